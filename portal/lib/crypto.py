"""Keyed digests for credentials, and sealing for secrets that must be read again.

Primitives are `cryptography`'s and the standard library's; nothing here is home-made.
"""

import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class SealBroken(Exception):
    """A sealed value does not open: another key, another row or column, or changed bytes."""


@dataclass(frozen=True, repr=False)
class Peppers:
    """Named keys under which credentials are digested; the first is used for new ones."""

    keys: dict[str, bytes]

    @property
    def current_id(self) -> str:
        return next(iter(self.keys))

    def digest(self, credential: str, *, pepper_id: str) -> bytes:
        """HMAC-SHA-256 of the whole credential.

        An unknown pepper digests under the current one, so that a row with a lost pepper takes the same time as any
        other and simply matches nothing.
        """
        key = self.keys.get(pepper_id) or self.keys[self.current_id]
        return hmac.digest(key, credential.encode(), "sha256")


@dataclass(frozen=True, repr=False)
class Sealer:
    """AES-256-GCM under named keys that are not in the database; the first seals, all of them open."""

    keys: dict[str, bytes]

    def seal(self, secret: str, *, row: str, column: str) -> bytes:
        """Return `<key id>:` + nonce + ciphertext, bound to this row and column."""
        key_id, key = next(iter(self.keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, secret.encode(), _bound_to(row, column))
        return key_id.encode() + b":" + nonce + sealed

    def open(self, sealed: bytes, *, row: str, column: str) -> str:
        """Return the secret.

        Raises: SealBroken; the text never holds key material.
        """
        key_id, _, rest = bytes(sealed).partition(b":")
        key = self.keys.get(key_id.decode("ascii", "replace"))
        if key is None:
            raise SealBroken("the sealing key of this value is not configured")
        try:
            opened = AESGCM(key).decrypt(
                rest[:NONCE_BYTES], rest[NONCE_BYTES:], _bound_to(row, column)
            )
        except (InvalidTag, ValueError):
            raise SealBroken("this value was sealed for another row, or was changed") from None
        return opened.decode()


def _bound_to(row: str, column: str) -> bytes:
    return f"{column}\x00{row}".encode()
