"""A SAML provider: its key, and assertions signed as providers sign them, by python3-saml on xmlsec."""

import base64
import datetime
import importlib
import secrets
import zlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from portal.lib.clock import utc_now

# Its stubs leave out much of what it has.
xmlsec: Any = importlib.import_module("xmlsec")
# Its names.
GCM, OAEP = "AES256_GCM", "RSA_OAEP"
SSO_URL = "https://idp.latchkey.test/sso"
_HEAD = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
_STATUS = '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'


@dataclass
class SamlProvider:
    """entity_id: the issuer. private, certificate: PEM."""

    entity_id: str
    private: str
    certificate: str


def new_provider(entity_id: str) -> SamlProvider:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.latchkey.test")])
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - day)
        .not_valid_after(utc_now() + day)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    return SamlProvider(entity_id, private.decode(), public.decode())


@dataclass
class Assertion:
    """What the provider says; each may be said wrongly."""

    provider: SamlProvider
    request_id: str
    answer_to: str
    audience: str
    subject: str
    attributes: dict[str, list[str]]
    destination: str = ""
    recipient: str = ""
    valid_s: int = 300
    id: str = field(default_factory=lambda: f"_{secrets.token_hex(16)}")

    def unsigned(self) -> str:
        now, end = utc_now(), utc_now() + datetime.timedelta(seconds=self.valid_s)
        begin = min(now, end - datetime.timedelta(seconds=1))
        listed = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in self.attributes.items()
        )
        return (
            f'<saml:Assertion {_HEAD} ID="{self.id}" Version="2.0" IssueInstant="{_time(now)}">'
            f"<saml:Issuer>{self.provider.entity_id}</saml:Issuer>"
            f"<saml:Subject><saml:NameID>{self.subject}</saml:NameID>"
            '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
            f'<saml:SubjectConfirmationData NotOnOrAfter="{_time(end)}" InResponseTo="{self.request_id}"'
            f' Recipient="{self.recipient or self.answer_to}"/></saml:SubjectConfirmation></saml:Subject>'
            f'<saml:Conditions NotBefore="{_time(begin)}" NotOnOrAfter="{_time(end)}"><saml:AudienceRestriction>'
            f"<saml:Audience>{self.audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
            f'<saml:AuthnStatement AuthnInstant="{_time(now)}"><saml:AuthnContext><saml:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
            f"</saml:AuthnStatement><saml:AttributeStatement>{listed}</saml:AttributeStatement></saml:Assertion>"
        )

    def signed(self, *, by: SamlProvider | None = None) -> str:
        signer = by or self.provider
        text = OneLogin_Saml2_Utils.add_sign(
            self.unsigned().encode(), signer.private, signer.certificate
        )
        return text.decode() if isinstance(text, bytes) else str(text)

    def encrypted(
        self, certificate: str, *, inner: str = "", content: str = GCM, key: str = OAEP
    ) -> str:
        """The signed assertion as an EncryptedAssertion, by xmlsec. inner: another text in its place."""
        text = without_declaration(inner or self.signed())
        shell = etree.fromstring(
            f"<saml:EncryptedAssertion {_HEAD}>{text}</saml:EncryptedAssertion>"
        )
        manager = xmlsec.KeysManager()
        manager.add_key(xmlsec.Key.from_memory(certificate, xmlsec.KeyFormat.CERT_PEM, None))
        data = xmlsec.template.encrypted_data_create(
            shell, getattr(xmlsec.Transform, content), type=xmlsec.EncryptionType.ELEMENT, ns="xenc"
        )
        xmlsec.template.encrypted_data_ensure_cipher_value(data)
        info = xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds")
        carried = xmlsec.template.add_encrypted_key(info, getattr(xmlsec.Transform, key))
        xmlsec.template.encrypted_data_ensure_cipher_value(carried)
        context = xmlsec.EncryptionContext(manager)
        length = 24 if content == "DES3" else int(content[3:6]) // 8
        kind = xmlsec.KeyData.DES if content == "DES3" else xmlsec.KeyData.AES
        context.key = xmlsec.Key.generate(kind, length * 8, xmlsec.KeyDataType.SESSION)
        context.encrypt_xml(data, shell[0])
        return str(etree.tostring(shell).decode())

    def response(self, *assertions: str) -> str:
        """The answer that a browser posts, with these assertions in it."""
        inner = "".join(without_declaration(one) for one in assertions)
        text = (
            f'<samlp:Response {_HEAD} ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{_time(utc_now())}"'
            f' Destination="{self.destination or self.answer_to}" InResponseTo="{self.request_id}">'
            f"<saml:Issuer>{self.provider.entity_id}</saml:Issuer>{_STATUS}{inner}</samlp:Response>"
        )
        return base64.b64encode(text.encode()).decode()


def without_declaration(xml: str) -> str:
    return str(etree.tostring(etree.fromstring(xml.encode())).decode())


def request_of(location: str) -> dict[str, str]:
    """What stands in the request with which a browser was sent to the provider."""
    asked: dict[str, Any] = parse_qs(urlsplit(location).query)
    xml = zlib.decompress(base64.b64decode(asked["SAMLRequest"][0]), -15)
    return {str(name): str(value) for name, value in etree.fromstring(xml).attrib.items()}


def _time(at: datetime.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
