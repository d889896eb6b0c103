"""The form of an API key: `lk_<public id>_<secret><checksum>`.

The public id finds the row and may be shown. The secret carries 190 bits. The checksum lets us, and any scanner of
leaked credentials, tell a key from junk without a look-up.
"""

import re
import secrets
import zlib
from dataclasses import dataclass

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PUBLIC_ID_LENGTH = 12
SECRET_LENGTH = 32  # log2(62) * 32 = 190.5 bits
CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
_FORM = re.compile(
    rf"lk_([0-9A-Za-z]{{{PUBLIC_ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CHECKSUM_LENGTH}}}",
    re.ASCII,
)


@dataclass(frozen=True, repr=False)
class Credential:
    """A whole key, which exists only while it is made or presented."""

    text: str
    public_id: str


def make_credential(public_id: str = "") -> Credential:
    """Return a new secret, under a new public id or under that of the key whose secret it replaces."""
    public_id = public_id or _random(PUBLIC_ID_LENGTH)
    body = f"lk_{public_id}_{_random(SECRET_LENGTH)}"
    return Credential(body + checksum(body), public_id)


def read_credential(text: str) -> Credential | None:
    """Return the credential, or None for anything that no issue of a key could have made."""
    match = _FORM.fullmatch(text)
    if match is None or checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return Credential(text, match[1])


def checksum(body: str) -> str:
    """CRC-32 (ISO-HDLC) of the body in base 62, most significant digit first. It guards against typing, not forging."""
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        value, digit = divmod(value, 62)
        digits = _ALPHABET[digit] + digits
    return digits


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
