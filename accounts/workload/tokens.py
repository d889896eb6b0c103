"""Reads a JWT's form and holds its signature and times to what is accepted. Nothing of it is believed before.

A token's own `jwk`, `jku`, `x5u` and `x5c` are never followed: a token that brings its own key is refused.
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from accounts.models.workload import AUDIENCE_MAX, SUBJECT_MAX, SigningAlgorithm
from accounts.ways_in.presented import TOKEN_MAX
from accounts.workload.jwks import KID_MAX, keys_for, public_key
from accounts.workload.spiffe import trust_domain_of
from portal.lib.strict_json import decode_base64url, read_object

HEADER_MAX = 1024
# How far an issuer's clock may be ahead of ours.
SKEW_S = 30
AUDIENCES_MAX = 20
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_TYPES = frozenset({"jwt", "jose", "at+jwt", "application/at+jwt"})
_OWN_KEYS = ("jwk", "jku", "x5u", "x5c")
_LATEST = 253_402_300_799  # 9999-12-31


class Refused(Exception):
    """A token is not accepted; the text says why, without anything of the token that could be a secret."""


class KeyUnknown(Refused):
    """It names a key that is not known here: the issuer may have a new one."""


@dataclass(frozen=True, repr=False)
class Token:
    """A token's form. Nothing in it is proven."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> str:
        """Whom it names as its issuer, by its subject's trust domain where it has no `iss`; "" for nobody."""
        named = self.claims.get("iss", trust_domain_of(self.claims.get("sub")))
        return named if isinstance(named, str) else ""


@dataclass(frozen=True)
class Times:
    issued_at: datetime.datetime
    ends_at: datetime.datetime


def read_token(text: str) -> Token:
    """Read a signed JWT in compact form. Raises: Refused."""
    if len(text) > TOKEN_MAX or text.count(".") != 2:
        raise Refused("It is no signed JWT of three parts, or it is too long.")
    header, claims, signature = text.split(".")
    if len(header) > HEADER_MAX or not all(map(_PART.fullmatch, (header, claims, signature))):
        raise Refused("Its parts are not base64url, or its header is too long.")
    return Token(text, _object(header), _object(claims))


def check_header(header: Mapping[str, Any]) -> None:
    """Refuse what is another kind of token, or asks for more than is understood here. Raises: Refused."""
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise Refused("Its `typ` is none that is accepted.")
    if brought := [name for name in _OWN_KEYS if name in header]:
        raise Refused(f"It brings its own key (`{brought[0]}`), which is never followed.")
    if "crit" in header or "b64" in header or "zip" in header:
        raise Refused("Its header asks for an extension that is not understood.")


def check_algorithm(header: Mapping[str, Any], *, allowed: Sequence[str]) -> str:
    """Return the algorithm that it says it is signed with. Raises: Refused for one that the issuer may not use."""
    named = header.get("alg")
    if not isinstance(named, str) or named not in SigningAlgorithm.values or named not in allowed:
        raise Refused("It is not signed with an algorithm that this issuer may use.")
    return named


def check_signature(token: Token, *, keys: Sequence[Mapping[str, str]], algorithm: str) -> None:
    """Hold the signature against the issuer's keys. Raises: KeyUnknown, Refused."""
    kid = token.header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= KID_MAX):
        raise Refused("The name of its key is no text of a fitting length.")
    candidates = keys_for(keys, kid=kid, algorithm=algorithm)
    if not candidates:
        raise KeyUnknown("The key that it names is none of the issuer's.")
    if not any(_is_signed(token.text, key, algorithm) for key in candidates):
        raise Refused("Its signature is wrong.")


def check_times(
    claims: Mapping[str, Any], *, max_age_s: int, now: datetime.datetime, needs_iat: bool = True
) -> Times:
    """Hold it to its own times and to the age that the issuer's tokens may have. Raises: Refused.

    needs_iat: where it may be missing, a token without it is taken for as old as its end allows, so that none lives
    longer from now on than one that says its age.
    """
    ends_at, max_age = _moment(claims, "exp"), datetime.timedelta(seconds=max_age_s)
    is_dated = needs_iat or "iat" in claims
    issued_at = _moment(claims, "iat") if is_dated else ends_at - max_age
    begins_at = _moment(claims, "nbf") if "nbf" in claims else issued_at
    skew = datetime.timedelta(seconds=SKEW_S)
    if ends_at <= now:
        raise Refused("It has ended (`exp`).")
    if not is_dated and issued_at > now + skew:
        raise Refused(f"It has no `iat` and ends more than {max_age_s} seconds from now (`exp`).")
    if begins_at > now + skew:
        raise Refused("It does not count yet (`nbf`).")
    if issued_at > now + skew:
        raise Refused("It was issued in the future (`iat`).")
    oldest = issued_at + max_age
    if oldest <= now:
        raise Refused(f"It is older than {max_age_s} seconds (`iat`).")
    return Times(issued_at, min(ends_at, oldest))


def check_audience(claims: Mapping[str, Any], *, accepted: Sequence[str]) -> list[str]:
    """Return the audiences of ours that it names. Raises: Refused."""
    named = claims.get("aud")
    listed = [named] if isinstance(named, str) else named
    if (
        not isinstance(listed, list)
        or len(listed) > AUDIENCES_MAX
        or not all(isinstance(one, str) and 0 < len(one) <= AUDIENCE_MAX for one in listed)
    ):
        raise Refused("Its `aud` is neither a text nor a short list of texts.")
    ours = [one for one in listed if one in accepted]
    if not ours:
        raise Refused("It was made for another audience (`aud`).")
    return ours


def check_subject(claims: Mapping[str, Any], *, trust_domain: str = "") -> str:
    """Return whom it speaks of. Raises: Refused.

    trust_domain: the only one whose workloads the issuer may speak of, where it is a SPIFFE trust domain.
    """
    subject = claims.get("sub")
    if (
        not isinstance(subject, str)
        or not 0 < len(subject) <= SUBJECT_MAX
        or not subject.isprintable()
    ):
        raise Refused("Its `sub` is no text of a fitting length.")
    if trust_domain and trust_domain_of(subject) != trust_domain:
        raise Refused("Its `sub` is no SPIFFE id of a workload in the issuer's trust domain.")
    return subject


def _object(part: str) -> Mapping[str, Any]:
    try:
        return read_object(decode_base64url(part).decode("utf-8"))
    except ValueError:
        raise Refused("A part of it is no JSON object in UTF-8, or says something twice.") from None


def _is_signed(text: str, key: Mapping[str, str], algorithm: str) -> bool:
    try:
        jwt.PyJWS().decode(text, public_key(key, algorithm=algorithm), algorithms=[algorithm])
    except jwt.PyJWTError:
        return False
    return True


def _moment(claims: Mapping[str, Any], name: str) -> datetime.datetime:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"Its `{name}` is no number.")
    if not 0 <= value <= _LATEST:
        raise Refused(f"Its `{name}` lies beyond every calendar.")
    return datetime.datetime.fromtimestamp(value, datetime.UTC)
