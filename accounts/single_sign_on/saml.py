"""SAML 2.0: leading somebody to the provider, and reading the signed assertion that comes back.

python3-saml does the reading, in its strict mode: an assertion has to be signed itself, by the connection's certificate and
with no outdated algorithm, and has to be for us, for this address, for this request, and of now. Each counts once. It may
be encrypted; see encryption.
"""

import hashlib
import time
import uuid
from dataclasses import asdict, dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.cache import cache

from accounts.models import SignOnConnection
from accounts.single_sign_on import encryption
from accounts.single_sign_on.connections import SignOnRefused, taken_up
from accounts.writes.arrival import Named
from accounts.writes.sign_on import open_encryption_key

ANSWER_MAX = 256 * 1024
GROUPS_MAX = 1_000
# An assertion whose end is further away than this is remembered for as long as anybody could send it again.
REMEMBERED_MIN_S = 3_600
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
EMAILS = (
    "email",
    "mail",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
)
NAMES = (
    "name",
    "displayName",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
)


@dataclass(frozen=True)
class Begun:
    """What a sign-in that was begun is recognised by; it is kept in the session of whoever began it."""

    connection_id: str
    request_id: str
    wanted: str
    anew: bool

    @classmethod
    def from_session(cls, kept: Any) -> Self:
        """Raises: SignOnRefused."""
        return cls(**taken_up(kept, by="request_id"))

    def as_session(self) -> dict[str, str | bool]:
        return asdict(self)


def begin(
    connection: SignOnConnection, *, answer_to: str, wanted: str, anew: bool
) -> tuple[str, Begun]:
    """Return the address at the provider, and what to keep."""
    auth = _auth(connection, answer_to)
    address = str(auth.login(return_to="", force_authn=anew))
    return address, Begun(str(connection.pk), str(auth.get_last_request_id()), wanted, anew)


def check_length(answer: str) -> None:
    """Raises: SignOnRefused."""
    if not 0 < len(answer) <= ANSWER_MAX:
        raise SignOnRefused("the answer is empty or too long")


def finish(connection: SignOnConnection, begun: Begun, answer: str, *, answer_to: str) -> Named:
    """Read the provider's answer and return whom it names. Raises: SignOnRefused."""
    if begun.connection_id != str(connection.pk):
        raise SignOnRefused("it was begun at another connection")
    check_length(answer)
    try:
        auth = _auth(connection, answer_to, answer)
        _check_encryption(auth, answer)
        auth.process_response(request_id=begun.request_id)
    except SignOnRefused:
        raise
    except Exception as error:  # noqa: BLE001 - the library parses whatever came, and raises what its parsers do.
        raise SignOnRefused(f"the answer cannot be read ({type(error).__name__})") from None
    if auth.get_errors() or not auth.is_authenticated():
        raise SignOnRefused(f"the assertion is refused ({str(auth.get_last_error_reason())[:200]})")
    if entity_id(answer_to) not in _audiences(auth, answer):
        raise SignOnRefused("the assertion is not for this portal")
    _refuse_replay(connection, auth)
    return _named(connection, auth)


def _check_encryption(auth: Any, answer: str) -> None:
    """See what is encrypted before the library opens it, and that nothing encrypted comes out of it. Raises: SignOnRefused."""
    from onelogin.saml2.response import OneLogin_Saml2_Response  # noqa: PLC0415
    from onelogin.saml2.utils import OneLogin_Saml2_Utils  # noqa: PLC0415
    from onelogin.saml2.xml_utils import OneLogin_Saml2_XML  # noqa: PLC0415

    # Read as the library will read it.
    document = OneLogin_Saml2_XML.to_etree(OneLogin_Saml2_Utils.b64decode(answer))
    if not encryption.is_encrypted(document):
        return
    encryption.refuse_unsafe(document)
    if not auth.get_settings().get_sp_key():
        raise SignOnRefused("it is encrypted, and the connection has no key")
    opened = OneLogin_Saml2_Response(auth.get_settings(), answer).decrypted_document
    if encryption.is_encrypted(opened):
        raise SignOnRefused("what was encrypted holds something encrypted")


def metadata(connection: SignOnConnection, *, answer_to: str) -> dict[str, Any]:
    """What the provider has to know of the portal, for the template."""
    lines = connection.encryption_certificate.split("-----")
    return {
        "entity_id": entity_id(answer_to),
        "answer_to": answer_to,
        "certificate": "".join(lines[2].split()) if len(lines) > 2 else "",
        "algorithms": (*encryption.CONTENT_ALGORITHMS, *encryption.KEY_ALGORITHMS),
    }


def _auth(connection: SignOnConnection, answer_to: str, answer: str = "") -> Any:
    # With lxml and xmlsec behind it, it is loaded by whoever needs it.
    from onelogin.saml2.auth import OneLogin_Saml2_Auth  # noqa: PLC0415

    address = urlsplit(answer_to)
    request = {
        "https": "on" if address.scheme == "https" else "off",
        "http_host": address.netloc,
        "script_name": address.path,
        "get_data": {},
        "post_data": {"SAMLResponse": answer} if answer else {},
    }
    # Opened for an answer alone: nobody is kept from beginning by a seal that is broken.
    private_key = open_encryption_key(connection) if answer else ""
    return OneLogin_Saml2_Auth(request, _settings(connection, answer_to, private_key=private_key))


def _settings(connection: SignOnConnection, answer_to: str, *, private_key: str) -> dict[str, Any]:
    redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
    post = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
    return {
        "strict": True,
        "sp": {
            "entityId": entity_id(answer_to),
            "assertionConsumerService": {"url": answer_to, "binding": post},
            # It opens what is encrypted, and signs nothing.
            "x509cert": connection.encryption_certificate,
            "privateKey": private_key,
        },
        "idp": {
            "entityId": connection.issuer,
            "singleSignOnService": {"url": connection.sso_url, "binding": redirect},
            "x509cert": connection.certificate,
        },
        "security": {
            "wantAssertionsSigned": True,
            "wantNameId": True,
            "wantAttributeStatement": False,
            "requestedAuthnContext": False,
            "rejectDeprecatedAlgorithm": True,
            "rejectUnsolicitedResponsesWithInResponseTo": True,
            "allowSingleLabelDomains": True,
        },
    }


def entity_id(answer_to: str) -> str:
    """The name under which the provider knows the portal: its address for answers, without the last part."""
    return answer_to.removesuffix("saml/")


def _audiences(auth: Any, answer: str) -> list[str]:
    """For whom the signed assertion is. One that names nobody would pass the library's own check."""
    from onelogin.saml2.response import OneLogin_Saml2_Response  # noqa: PLC0415

    read = OneLogin_Saml2_Response(auth.get_settings(), answer)
    return [str(one) for one in read.get_audiences()]


def _refuse_replay(connection: SignOnConnection, auth: Any) -> None:
    """Remember the assertion for as long as it could be sent again. Raises: SignOnRefused."""
    ends_in = int((auth.get_last_assertion_not_on_or_after() or 0) - time.time()) + 600
    key = used_name(connection.pk, str(auth.get_last_assertion_id()))
    if not cache.add(key, "used", max(ends_in, REMEMBERED_MIN_S)):
        raise SignOnRefused("the assertion was used before")


def used_name(connection_id: uuid.UUID, assertion_id: str) -> str:
    """The name in the cache of one connection's assertion that was used."""
    name = f"{connection_id}:{assertion_id}"
    return f"saml-assertion:{hashlib.sha256(name.encode()).hexdigest()}"


def _named(connection: SignOnConnection, auth: Any) -> Named:
    """Its provider speaks for the addresses of its domains, and for no others: so an address is verified there."""
    subject, attributes = str(auth.get_nameid() or ""), auth.get_attributes()
    email = _first(attributes, EMAILS)
    if not email and auth.get_nameid_format() == EMAIL_FORMAT:
        email = subject
    groups = attributes.get(connection.group_claim, []) if connection.group_claim else []
    return Named(
        subject=subject,
        email=email,
        is_verified=True,
        name=_first(attributes, NAMES),
        groups=frozenset(str(one) for one in groups[:GROUPS_MAX]),
    )


def _first(attributes: dict[str, list[Any]], names: tuple[str, ...]) -> str:
    return next((str(attributes[name][0]) for name in names if attributes.get(name)), "")
