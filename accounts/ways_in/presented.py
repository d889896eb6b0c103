"""Reads the form of what a caller presents. What no issue of a credential could have made dies here, without a look-up."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings

from accounts.credential import read_credential
from accounts.ways_in.proven import CredentialKind
from accounts.workload.spiffe import trust_domain_of
from portal.lib.strict_json import decode_base64url

# A header of a request holds no more, and it carries all of the token.
TOKEN_MAX = 8 * 1024
_HEAD_MAX = 1024
_PART = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, repr=False)
class Presented:
    """A credential of a known form, of which nothing is proven yet.

    public_id: of an API key. issuer: whom a token names as its issuer, by its subject's trust domain where it has none.
    """

    text: str
    kind: CredentialKind
    public_id: str = ""
    issuer: str = ""


class _Claims(msgspec.Struct):
    """What decides which way a token belongs to; everything else is read when its signature has been held against a key."""

    iss: str = ""
    sub: Any = None


def read_presented(text: str) -> Presented | None:
    """Return the credential and the way it belongs to, or None for junk."""
    key = read_credential(text)
    if key is not None:
        return Presented(text, CredentialKind.API_KEY, public_id=key.public_id)
    return _read_token(text)


def _read_token(text: str) -> Presented | None:
    """A signed JWT in compact form (RFC 7519, 7515) belongs to its issuer: us, or somebody whose workloads are trusted."""
    if len(text) > TOKEN_MAX or text.count(".") != 2:
        return None
    head, claims, signature = text.split(".")
    if len(head) > _HEAD_MAX or not all(_PART.fullmatch(one) for one in (head, claims, signature)):
        return None
    try:
        read = msgspec.json.decode(decode_base64url(claims), type=_Claims)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    issuer = read.iss or trust_domain_of(read.sub)
    if not issuer:
        return None
    is_ours = issuer == settings.LATCHKEY_BASE_URL
    kind = CredentialKind.OAUTH_TOKEN if is_ours else CredentialKind.WORKLOAD
    return Presented(text, kind, issuer=issuer)
