"""Secrets of clients and texts of tokens: random, of a form that scanners know, and stored under digests alone.

A client's secret is kept as keys are, under a keyed hash: it is random, so a slow hash would gain nothing but 430 ms of CPU a
token, and would tell an unknown client from a wrong secret by time.
"""

import hashlib
import hmac
import secrets

from django.conf import settings

from portal.lib.crypto import Peppers

ALGORITHM = "latchkey_hmac"
_RANDOM_BYTES = 32


def encode_secret(secret: str) -> str:
    """Return what is stored of a client's secret: `latchkey_hmac$<pepper id>$<hex>`."""
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    digest = peppers.digest(secret, pepper_id=peppers.current_id)
    return f"{ALGORITHM}${peppers.current_id}${digest.hex()}"


def is_secret(presented: str, encoded: str) -> bool:
    """Whether it is the secret that was stored so. Without a stored one it takes the same time, and is not."""
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    algorithm, _, rest = encoded.partition("$")
    pepper_id, _, stored = rest.partition("$")
    digest = peppers.digest(presented, pepper_id=pepper_id).hex()
    is_same = hmac.compare_digest(digest.encode(), stored.encode().ljust(len(digest), b"-"))
    return is_same and algorithm == ALGORITHM


def make_client_secret() -> str:
    return f"lkcs_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def make_refresh_token(request: object) -> str:
    return f"lkrt_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def make_device_code() -> str:
    return f"lkdc_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def digest_of(text: str) -> str:
    """The digest under which what is random is stored and found."""
    return hashlib.sha256(text.encode()).hexdigest()
