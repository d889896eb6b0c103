"""Single sign-on by SAML: a signed assertion lets its subject in once, and nothing else lets anybody in."""

import base64
import re

import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.test import Client
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from accounts.audit import COMMAND
from accounts.models import Membership, SignOnConnection, User
from accounts.models.sign_on import SignOnKind
from accounts.models.teams import Role
from accounts.single_sign_on.encryption import EncryptionKey, make_encryption_key
from accounts.writes.sign_on import (
    KEY_COLUMN,
    add_connection,
    change_connection,
    map_group,
    open_encryption_key,
    remove_encryption_key,
    replace_encryption_key,
)
from portal.lib.clock import utc_now
from portal.lib.crypto import Sealer
from tests.accounts.rows import new_name, new_team
from tests.accounts.saml_provider import (
    SSO_URL,
    Assertion,
    SamlProvider,
    new_provider,
    request_of,
    without_declaration,
)
from tests.accounts.sign_on_rows import new_connection

pytestmark = pytest.mark.django_db
BASE = "http://testserver"


@pytest.fixture(scope="module")
def provider() -> SamlProvider:
    return new_provider("https://idp.latchkey.test/entity")


@pytest.fixture
def connection(provider: SamlProvider) -> SignOnConnection:
    cache.clear()
    return add_connection(
        new_name("saml"),
        kind=SignOnKind.SAML,
        name="Corp",
        issuer=provider.entity_id,
        sso_url=SSO_URL,
        certificate=provider.certificate,
        domains=[f"{new_name('d')}.example"],
        group_claim="groups",
        actor=COMMAND,
    )


def begin(client: Client, connection: SignOnConnection, provider: SamlProvider) -> Assertion:
    """Go to the provider. Returns: what it would rightly say, for a new person of the domain."""
    reply = client.get(f"/sign-in/with/{connection.slug}/?next=/keys/")
    assert reply["Location"].startswith(f"{SSO_URL}?SAMLRequest=")
    home = f"{BASE}/sign-in/with/{connection.slug}/"
    asked = request_of(reply["Location"])
    assert asked["AssertionConsumerServiceURL"] == f"{home}saml/"
    return Assertion(
        provider,
        request_id=asked["ID"],
        answer_to=f"{home}saml/",
        audience=home,
        subject=new_name("subject"),
        attributes={"email": [f"{new_name('ada')}@{connection.domains[0]}"]},
    )


def bring(client: Client, connection: SignOnConnection, response: str) -> HttpResponse:
    """Post the answer as a browser does from the provider's page, without the session, and follow with it."""
    strange = Client(enforce_csrf_checks=True)
    posted = strange.post(f"/sign-in/with/{connection.slug}/saml/", {"SAMLResponse": response})
    if posted.status_code != 302:
        return posted  # type: ignore[return-value]
    return client.get(posted["Location"])  # type: ignore[return-value]


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()


def test_signed_assertion_lets_its_subject_in_and_into_teams(
    client: Client, connection: SignOnConnection, provider: SamlProvider
) -> None:
    team = new_team()
    map_group(connection, group="staff", team=team, role=Role.MANAGER, actor=COMMAND)
    said = begin(client, connection, provider)
    said.attributes |= {"groups": ["others", "staff"], "displayName": ["Ada"]}
    reply = bring(client, connection, said.response(said.signed()))
    assert (reply.status_code, reply["Location"]) == (302, "/keys/")
    assert is_signed_in(client)
    person = User.objects.get(email=said.attributes["email"][0])
    assert person.name == "Ada"
    assert Membership.objects.get(person=person, team=team).role == "manager"


def test_answer_counts_once_and_in_the_session_that_began_alone(
    client: Client, connection: SignOnConnection, provider: SamlProvider
) -> None:
    said = begin(client, connection, provider)
    response = said.response(said.signed())
    victim = Client()
    assert bring(victim, connection, response).status_code == 403
    begin(victim, connection, provider)
    assert bring(victim, connection, response).status_code == 403
    assert bring(client, connection, response).status_code == 302
    assert bring(client, connection, response).status_code == 403


def test_assertion_is_not_taken_twice_even_for_one_request(
    client: Client, connection: SignOnConnection, provider: SamlProvider
) -> None:
    said = begin(client, connection, provider)
    kept = client.session["sign_on"]
    response = said.response(said.signed())
    assert bring(client, connection, response).status_code == 302
    again = Client()
    session = again.session
    session["sign_on"] = kept
    session.save()
    again.cookies["sessionid"] = str(session.session_key)
    assert bring(again, connection, response).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"audience": "http://testserver/sign-in/with/another/"},
        {"audience": ""},
        {"request_id": "_of_another_session"},
        {"request_id": ""},
        {"destination": "https://evil.test/"},
        {"recipient": "https://evil.test/"},
        {"valid_s": -3600},
        {"subject": ""},
        {"attributes": {"email": ["a@elsewhere.example"]}},
        {"attributes": {}},
    ],
    ids=str,
)
def test_assertion_for_somebody_else_or_another_time_is_refused(
    client: Client,
    connection: SignOnConnection,
    provider: SamlProvider,
    change: dict[str, object],
) -> None:
    said = begin(client, connection, provider)
    for name, value in change.items():
        setattr(said, name, value)
    assert bring(client, connection, said.response(said.signed())).status_code == 403
    assert not is_signed_in(client)
    right = begin(client, connection, provider)
    assert bring(client, connection, right.response(right.signed())).status_code == 302


def evil(said: Assertion) -> str:
    """The same assertion about somebody else, without a signature."""
    other = Assertion(**{**vars(said), "subject": "eve", "id": "_evil"})
    return other.unsigned()


def wrapped(said: Assertion, how: str) -> str:
    """Answers in which a right signature stands, and something else is to be read."""
    signed = without_declaration(said.signed())
    signature = re.search(r"<ds:Signature.*?</ds:Signature>", signed, re.DOTALL)
    assert signature is not None
    bare, issuer = evil(said), "</saml:Issuer>"
    inside = signature[0].replace(
        "</ds:Signature>", f"<ds:Object>{signed}</ds:Object></ds:Signature>"
    )
    answers = {
        "the evil one first": (bare, signed),
        "the evil one last": (signed, bare),
        "the evil one with the other's signature": (
            bare.replace(issuer, issuer + signature[0], 1),
        ),
        "the right one inside the evil one": (
            bare.replace("</saml:Assertion>", f"{signed}</saml:Assertion>"),
        ),
        "the right one inside the signature": (bare.replace(issuer, issuer + inside, 1),),
        "changed afterwards": (signed.replace(said.subject, "eve"),),
        "a comment within the name": (
            signed.replace(said.subject, f"{said.subject[:4]}<!---->{said.subject[4:]}"),
        ),
    }
    return said.response(*answers[how])


@pytest.mark.parametrize(
    "how",
    [
        "the evil one first",
        "the evil one last",
        "the evil one with the other's signature",
        "the right one inside the evil one",
        "the right one inside the signature",
        "changed afterwards",
        "a comment within the name",
    ],
)
def test_wrapped_or_changed_assertion_is_refused(
    client: Client, connection: SignOnConnection, provider: SamlProvider, how: str
) -> None:
    said = begin(client, connection, provider)
    reply = bring(client, connection, wrapped(said, how))
    named = set(connection.identities.values_list("subject", flat=True))
    # Whatever is read is what was signed, and the whole of it.
    assert named <= {said.subject}
    assert reply.status_code == (302 if named else 403)
    assert not named or how == "a comment within the name"


def test_assertion_that_nobody_or_somebody_else_signed_is_refused(
    client: Client, connection: SignOnConnection, provider: SamlProvider
) -> None:
    said = begin(client, connection, provider)
    assert bring(client, connection, said.response(said.unsigned())).status_code == 403
    said = begin(client, connection, provider)
    forger = new_provider(provider.entity_id)
    assert bring(client, connection, said.response(said.signed(by=forger))).status_code == 403
    assert not is_signed_in(client)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol">&b;</samlp:Response>'
)


@pytest.mark.parametrize(
    "answer",
    [
        "x",
        "!!",
        "AAAA",
        base64.b64encode(b"<a/>").decode(),
        base64.b64encode(BOMB.encode()).decode(),
    ],
    ids=range(5),
)
def test_answer_that_is_none_is_refused_without_a_fault(
    client: Client, connection: SignOnConnection, provider: SamlProvider, answer: str
) -> None:
    begin(client, connection, provider)
    assert bring(client, connection, answer).status_code == 403


@pytest.mark.parametrize("answer", ["", "A" * (256 * 1024 + 1)], ids=["empty", "too long"])
def test_answer_is_bounded_before_it_is_kept(
    client: Client, connection: SignOnConnection, answer: str
) -> None:
    reply = client.post(f"/sign-in/with/{connection.slug}/saml/", {"SAMLResponse": answer})
    assert reply.status_code == 403


@pytest.fixture(scope="module")
def made() -> EncryptionKey:
    return make_encryption_key("testserver", now=utc_now())


@pytest.fixture
def with_key(connection: SignOnConnection, made: EncryptionKey) -> SignOnConnection:
    """The connection as replace_encryption_key leaves it, by a key that is made once for all these tests."""
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    connection.encryption_certificate = made.certificate
    connection.sealed_encryption_key = sealer.seal(
        made.private, row=str(connection.pk), column=KEY_COLUMN
    )
    connection.save()
    return connection


def published(connection: SignOnConnection) -> str:
    reply = Client().get(f"/sign-in/with/{connection.slug}/metadata/")
    assert reply.status_code == 200
    assert reply["Content-Type"] == "application/samlmetadata+xml"
    text = reply.content.decode()
    checked = OneLogin_Saml2_XML.validate_xml(text, "saml-schema-metadata-2.0.xsd")
    assert not isinstance(checked, str), checked
    return text


def test_metadata_tells_a_provider_what_it_needs_and_nothing_that_is_secret(
    connection: SignOnConnection,
) -> None:
    home = f"{BASE}/sign-in/with/{connection.slug}/"
    before = published(connection)
    assert f'entityID="{home}"' in before
    assert f'Location="{home}saml/"' in before
    assert "KeyDescriptor" not in before
    replace_encryption_key(connection, actor=COMMAND)
    connection.refresh_from_db()
    after = published(connection)
    [body] = re.findall(r"<ds:X509Certificate>([^<]+)<", after)
    assert body in connection.encryption_certificate.replace("\n", "")
    assert "PRIVATE" in open_encryption_key(connection)
    assert "PRIVATE" not in after
    assert "aes256-gcm" in after
    assert "cbc" not in after
    remove_encryption_key(connection, actor=COMMAND)
    assert published(connection) == before
    change_connection(connection, is_enabled=False, actor=COMMAND)
    switched_off = Client().get(f"/sign-in/with/{connection.slug}/metadata/")
    unknown = Client().get("/sign-in/with/nowhere/metadata/")
    assert switched_off.status_code == unknown.status_code == 404
    oidc = new_connection()
    assert Client().get(f"/sign-in/with/{oidc.slug}/metadata/").status_code == 404
    with pytest.raises(ValidationError):
        replace_encryption_key(oidc, actor=COMMAND)


def test_encrypted_assertion_lets_in_by_the_key_that_is_published_now_alone(
    client: Client, with_key: SignOnConnection, provider: SamlProvider
) -> None:
    old = with_key.encryption_certificate
    said = begin(client, with_key, provider)
    reply = bring(client, with_key, said.response(said.encrypted(old)))
    assert (reply.status_code, is_signed_in(client)) == (302, True)
    assert User.objects.filter(email=said.attributes["email"][0]).exists()
    another = Client()
    plain = begin(another, with_key, provider)
    assert bring(another, with_key, plain.response(plain.signed())).status_code == 302
    for change in (replace_encryption_key, remove_encryption_key):
        change(with_key, actor=COMMAND)
        late = Client()
        said = begin(late, with_key, provider)
        assert bring(late, with_key, said.response(said.encrypted(old))).status_code == 403
        assert not is_signed_in(late)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("AES256", "RSA_OAEP"),
        ("AES128", "RSA_OAEP"),
        ("DES3", "RSA_OAEP"),
        ("AES256_GCM", "RSA_PKCS1"),
    ],
)
def test_encryption_whose_padding_could_be_asked_after_is_refused_unopened(
    client: Client,
    with_key: SignOnConnection,
    provider: SamlProvider,
    caplog: pytest.LogCaptureFixture,
    content: str,
    key: str,
) -> None:
    said = begin(client, with_key, provider)
    sealed = said.encrypted(with_key.encryption_certificate, content=content, key=key)
    assert bring(client, with_key, said.response(sealed)).status_code == 403
    assert not is_signed_in(client)
    [refused] = [record for record in caplog.records if record.name == "latchkey.sign_on"]
    assert "it is encrypted by" in vars(refused)["reason"]


def unfit(said: Assertion, certificate: str, how: str) -> str:
    """Answers that are encrypted for us, and are not to be read."""
    whole = said.encrypted(certificate)
    head, _, content = whole.rpartition("<xenc:CipherValue>")
    elsewhere = 'URI="file:///etc/passwd"/>'
    fetched_key = f'<ds:RetrievalMethod xmlns:ds="http://www.w3.org/2000/09/xmldsig#" {elsewhere}'
    answers = {
        "unsigned": (said.encrypted(certificate, inner=said.unsigned()),),
        "signed by another": (
            said.encrypted(certificate, inner=said.signed(by=new_provider("x"))),
        ),
        "beside a plain one": (whole, evil(said)),
        "twice": (whole, whole),
        "encrypted again within": (said.encrypted(certificate, inner=whole),),
        "changed": (f"{head}<xenc:CipherValue>AAAA{content.lstrip()[4:]}",),
        "a key that is fetched": (whole.replace("</ds:KeyInfo>", f"{fetched_key}</ds:KeyInfo>"),),
        "content that is fetched": (
            f"{head}<xenc:CipherReference {elsewhere}{content.partition('</xenc:CipherValue>')[2]}",
        ),
    }
    assert answers[how] != (whole,)
    return said.response(*answers[how])


@pytest.mark.parametrize(
    "how",
    [
        "unsigned",
        "signed by another",
        "beside a plain one",
        "twice",
        "encrypted again within",
        "changed",
        "a key that is fetched",
        "content that is fetched",
    ],
)
def test_whoever_can_encrypt_for_the_portal_gains_nothing_by_it(
    client: Client, with_key: SignOnConnection, provider: SamlProvider, how: str
) -> None:
    said = begin(client, with_key, provider)
    answer = unfit(said, with_key.encryption_certificate, how)
    assert bring(client, with_key, answer).status_code == 403
    assert not with_key.identities.exists()
    right = begin(client, with_key, provider)
    sealed = right.encrypted(with_key.encryption_certificate)
    assert bring(client, with_key, right.response(sealed)).status_code == 302
