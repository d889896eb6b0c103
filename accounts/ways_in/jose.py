"""Reads signed tokens in one meaning alone. Signatures are PyJWT's to check; which algorithm, the key says and never the token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.algorithms import OKPAlgorithm

from portal.lib.strict_json import decode_base64url, read_object

Claims = dict[str, Any]
# Whatever else a head holds (jku, x5u, jwk, x5c, crit, b64) asks us to trust or to do something: it is refused, not skipped.
_HEAD_MEMBERS = frozenset({"alg", "kid", "typ"})
_KEY_ID_MAX = 200
_JWS = jwt.PyJWS()
# The name that RFC 9864 gives to EdDSA on this curve; the library does not know it yet. Which keys it goes with, each key says.
_JWS.register_algorithm("Ed25519", OKPAlgorithm())


@dataclass(frozen=True)
class VerifyingKey:
    """A public key and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


def read_head(text: str) -> Mapping[str, str] | None:
    """Return the head of a token where it holds nothing but texts named alg, kid and typ, each once; None otherwise."""
    try:
        head = read_object(decode_base64url(text.partition(".")[0]))
    except ValueError:
        return None
    if not head.keys() <= _HEAD_MEMBERS or not all(isinstance(one, str) for one in head.values()):
        return None
    return head if len(head.get("kid", "")) <= _KEY_ID_MAX else None


def read_verified(text: str, keys: Sequence[VerifyingKey]) -> Claims | None:
    """Return the claims of a token that one of the keys signed, or None. What they mean is the caller's to judge."""
    for one in keys:
        try:
            signed = _JWS.decode(text, one.key, algorithms=list(one.algorithms))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            continue
        try:
            return read_object(signed)
        except ValueError:
            return None
    return None


def is_time(value: object) -> bool:
    """Whether it is a NumericDate that a clock can show."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value < 253_402_300_800
    )
