"""Assertions that a SAML provider has encrypted for us: the key that opens them, and which of them are opened at all.

Anybody can encrypt for us, and what is encrypted is opened before any signature in it can be checked. So nothing is opened
whose opening tells a stranger anything: the key comes by RSA-OAEP and the content by AES-GCM, which refuse changed bytes as a
whole. RSA 1.5 and CBC, whose padding can be asked after byte by byte, are refused, and so is whatever leads elsewhere.
"""

import datetime
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from accounts.single_sign_on.connections import SignOnRefused

KEY_BITS = 3072
LIFE = datetime.timedelta(days=3653)
_XENC = "http://www.w3.org/2001/04/xmlenc#"
_XENC11 = "http://www.w3.org/2009/xmlenc11#"
_DS = "http://www.w3.org/2000/09/xmldsig#"
CONTENT_ALGORITHMS = (f"{_XENC11}aes256-gcm", f"{_XENC11}aes128-gcm")
KEY_ALGORITHMS = (f"{_XENC}rsa-oaep-mgf1p", f"{_XENC11}rsa-oaep")
_SPACES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "xenc": _XENC,
    "ds": _DS,
}
_ENCRYPTED = "/samlp:Response/saml:EncryptedAssertion/xenc:EncryptedData"
# The one form that is opened: the assertion's data, with its key inside it, and nothing that is fetched from elsewhere.
_ONCE = (_ENCRYPTED, f"{_ENCRYPTED}/ds:KeyInfo/xenc:EncryptedKey")
_NEVER = ("//xenc:CipherReference", "//ds:RetrievalMethod", "//xenc:DataReference")


@dataclass(frozen=True, repr=False)
class EncryptionKey:
    """private, certificate: PEM."""

    private: str
    certificate: str


def make_encryption_key(host: str, *, now: datetime.datetime) -> EncryptionKey:
    """Make a key, and a certificate that says nothing but the key and whose it is."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + LIFE)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return EncryptionKey(private.decode(), public.decode())


def is_encrypted(document: Any) -> bool:
    """Whether anything in it is. document: an element of lxml."""
    return bool(_found(document, "//xenc:EncryptedData | //xenc:EncryptedKey"))


def refuse_unsafe(document: Any) -> None:
    """Refuse what is encrypted in a form or by an algorithm that is not opened here. Raises: SignOnRefused."""
    whole = len(_found(document, "//xenc:EncryptedData | //xenc:EncryptedKey"))
    if whole != len(_ONCE) or any(len(_found(document, path)) != 1 for path in _ONCE):
        raise SignOnRefused("it is encrypted in another form than one assertion with its key")
    if any(_found(document, path) for path in _NEVER):
        raise SignOnRefused("what is encrypted leads elsewhere")
    for path, allowed in zip(_ONCE, (CONTENT_ALGORITHMS, KEY_ALGORITHMS), strict=True):
        named = _found(document, f"{path}/xenc:EncryptionMethod/@Algorithm")
        if len(named) != 1 or named[0] not in allowed:
            raise SignOnRefused(f"it is encrypted by {str(named[:1])[:100]}")


def _found(document: Any, path: str) -> list[Any]:
    return list(document.xpath(path, namespaces=_SPACES))
