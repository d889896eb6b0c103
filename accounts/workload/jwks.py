"""Reads an issuer's public keys (RFC 7517), keeping those alone that can check a signature we accept.

PyJWT makes the keys and holds signatures against them. What a key may check follows from what it is, never from a token.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

JWKS_MAX_BYTES = 256 * 1024
KEYS_MAX = 100
RSA_MIN_BITS = 2048
RSA_MAX_BITS = 8192
KID_MAX = 200
# SPIFFE demands a word of its own for the keys of JWT-SVIDs; those of its certificates, in the same document, sign no tokens.
_USES = frozenset({"sig", "jwt-svid"})
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
# Only what is public: a document that holds private members by mistake leaves them here.
_MEMBERS = ("kty", "kid", "alg", "crv", "n", "e", "x", "y")


def read_jwks(document: bytes | str) -> list[dict[str, str]]:
    """Return the usable keys of a document, without anything else that stands in it.

    Raises: ValueError whose text says what is wrong and repeats nothing of the document.
    """
    if len(document) > JWKS_MAX_BYTES:
        raise ValueError(f"The keys are larger than {JWKS_MAX_BYTES} bytes.")
    try:
        found = json.loads(document)
    except (ValueError, RecursionError):
        raise ValueError("The keys are not JSON.") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or len(listed) > KEYS_MAX:
        raise ValueError(f"The keys are no JSON object with at most {KEYS_MAX} `keys`.")
    usable = [key for one in listed if (key := _usable(one)) is not None]
    if not usable:
        raise ValueError("None of the keys can check a signature that is accepted here.")
    return usable


def algorithms_of(key: Mapping[str, str]) -> tuple[str, ...]:
    """The algorithms whose signatures the key may check; its own `alg` leaves one of them."""
    found = _ALGORITHMS.get((key["kty"], key.get("crv")), ())
    alg = key.get("alg")
    return found if alg is None else tuple(one for one in found if one == alg)


def keys_for(
    keys: Sequence[Mapping[str, str]], *, kid: str | None, algorithm: str
) -> list[Mapping[str, str]]:
    """The keys that may have signed: by their name, or the only one there is where the token names none."""
    fitting = [key for key in keys if algorithm in algorithms_of(key)]
    if kid is None:
        return fitting if len(keys) == 1 else []
    return [key for key in fitting if key.get("kid") == kid]


def public_key(key: Mapping[str, str], *, algorithm: str) -> Any:
    """Make the key that checks signatures of this algorithm. Raises: jwt.PyJWTError."""
    return jwt.PyJWK(dict(key), algorithm=algorithm).key


def _usable(key: Any) -> dict[str, str] | None:
    """The public members of a key for signatures, or None for any other."""
    if not isinstance(key, dict) or key.get("use", "sig") not in _USES:
        return None
    if "key_ops" in key and key["key_ops"] != ["verify"]:
        return None
    kept = {name: key[name] for name in _MEMBERS if name in key}
    if (
        not all(isinstance(value, str) for value in kept.values())
        or len(kept.get("kid", "")) > KID_MAX
    ):
        return None
    if kept.get("kty") != "EC" and kept.get("kty") != "OKP":
        kept.pop("crv", None)
    algorithms = algorithms_of(kept) if "kty" in kept else ()
    return kept if algorithms and _is_sound(kept, algorithms[0]) else None


def _is_sound(key: Mapping[str, str], algorithm: str) -> bool:
    try:
        made = public_key(key, algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    if isinstance(made, rsa.RSAPublicKey):
        return RSA_MIN_BITS <= made.key_size <= RSA_MAX_BITS
    return True
