"""Single sign-on by OpenID Connect: who is let in, as whom, and into which teams; and who is not."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection as connection_of_tests
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Membership, SignOnConnection, SignOnIdentity, User
from accounts.models.audit import AuditTag
from accounts.models.sign_on import SignOnKind
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.custom_roles import remove_role
from accounts.writes.people import disable_person
from accounts.writes.portal_roles import change_break_glass
from accounts.writes.second_factors import replace_recovery_codes
from accounts.writes.sign_on import (
    add_connection,
    change_connection,
    map_group,
    open_secret,
    unmap_group,
)
from accounts.writes.teams import add_member, role_of
from portal.lib.networks import NetworkPolicy
from tests.accounts.oidc_provider import CLIENT_ID, CLIENT_SECRET, KID, Provider, run_provider
from tests.accounts.rows import (
    PASSWORD,
    REASON,
    new_name,
    new_person,
    new_team,
    new_team_role,
)
from tests.accounts.second_factor import code_of, person_with_app
from tests.accounts.sign_on_rows import new_connection
from tests.pages import without_tokens

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with run_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    """The provider, saying nothing special yet."""
    cache.clear()
    running.claims, running.token, running.document, running.told_apart = {}, None, {}, {}
    running.faults.clear()
    return running


@pytest.fixture
def connection(provider: Provider) -> SignOnConnection:
    return new_connection(issuer=provider.issuer, client_id=CLIENT_ID, secret=CLIENT_SECRET)


def address_in(connection: SignOnConnection) -> str:
    return f"{new_name('ada')}@{connection.domains[0]}"


def begin(client: Client, connection: SignOnConnection, query: str = "") -> HttpResponse:
    reply = client.get(f"/sign-in/with/{connection.slug}/{query}")
    assert isinstance(reply, HttpResponse)
    return reply


def finish(client: Client, connection: SignOnConnection, answer: dict[str, str]) -> HttpResponse:
    reply = client.get(f"/sign-in/with/{connection.slug}/callback/", answer)
    assert isinstance(reply, HttpResponse)
    return reply


def come(
    client: Client, connection: SignOnConnection, provider: Provider, **claims: Any
) -> HttpResponse:
    """Go to the provider and come back as it says."""
    provider.claims = claims
    return finish(client, connection, provider.authorize(begin(client, connection)["Location"]))


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()


def test_new_person_is_created_signed_in_and_known_again(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    email, subject = address_in(connection), new_name("sub")
    reply = come(client, connection, provider, email=email.upper(), name="Ada", sub=subject)
    assert (reply.status_code, reply["Location"]) == (302, "/")
    assert provider.faults == []
    assert is_signed_in(client)
    person = User.objects.get(email=email)
    assert (person.name, person.has_usable_password(), person.is_staff) == ("Ada", False, False)
    tags = AuditEntry.objects.filter(subject_id=person.pk).values_list("tag", flat=True)
    assert set(tags) == {AuditTag.PERSON_CREATED, AuditTag.SIGN_ON_LINKED, AuditTag.SIGNED_IN}
    again = Client()
    other = address_in(connection)
    come(again, connection, provider, email=other, sub=subject)
    assert again.session["_auth_user_id"] == str(person.pk)
    assert not User.objects.filter(email=other).exists()


def test_person_who_is_here_already_is_linked_by_a_verified_address(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    person = new_person()
    User.objects.filter(pk=person.pk).update(email=address_in(connection))
    person.refresh_from_db()
    come(client, connection, provider, email=person.email, sub=new_name("sub"))
    assert client.session["_auth_user_id"] == str(person.pk)
    taken = come(Client(), connection, provider, email=person.email, sub=new_name("another"))
    assert taken.status_code == 403


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_address_that_is_not_verified_links_and_creates_nobody(
    client: Client, connection: SignOnConnection, provider: Provider, verified: object
) -> None:
    person = new_person()
    User.objects.filter(pk=person.pk).update(email=address_in(connection))
    person.refresh_from_db()
    for email in (person.email, address_in(connection)):
        reply = come(
            client, connection, provider, email=email, email_verified=verified, sub=new_name("sub")
        )
        assert reply.status_code == 403
    assert not is_signed_in(client)
    assert not SignOnIdentity.objects.filter(connection=connection).exists()


def test_address_of_a_domain_that_the_connection_does_not_own_is_refused(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    domain = connection.domains[0]
    stranger = new_person()
    for email in (
        stranger.email,
        f"a@sub.{domain}",
        f"a@evil{domain}",
        f"a@{domain}.evil.test",
        f"a@{domain}@evil.test",
        f"a b@{domain}",
        "",
    ):
        reply = come(client, connection, provider, email=email, sub=new_name("sub"))
        assert reply.status_code == 403, email
    assert not is_signed_in(client)


def test_what_is_told_apart_counts_where_it_is_about_the_same_subject(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    provider.document = {"userinfo_endpoint": f"{provider.issuer}/userinfo"}
    email, subject = address_in(connection), new_name("sub")
    verified = {"email": email, "email_verified": True}
    for told in ({}, {"sub": "another"} | verified, {"sub": subject, "email": email}):
        provider.told_apart = told
        reply = come(client, connection, provider, sub=subject, email_verified=None)
        assert reply.status_code == 403
    provider.told_apart = {"sub": subject, "name": "Ada"} | verified
    come(client, connection, provider, sub=subject, email_verified=None)
    assert User.objects.get(email=email).name == "Ada"
    assert is_signed_in(client)


def test_disabled_person_is_refused_like_everybody_who_is(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    email, subject = address_in(connection), new_name("sub")
    come(client, connection, provider, email=email, sub=subject)
    disable_person(User.objects.get(email=email), actor=COMMAND, reason=REASON)
    assert not is_signed_in(client)
    reply = come(client, connection, provider, email=email, sub=subject)
    assert reply.status_code == 403
    assert email not in reply.content.decode()


def forged(provider: Provider, how: str) -> str:
    """A token that is not the provider's, or not as it has to be."""
    right = jwt.decode(provider.id_token(), options={"verify_signature": False})
    head = {"kid": KID}
    if how == "none":
        return jwt.encode(right, "", algorithm="none", headers=head)
    if how == "another key":
        return jwt.encode(right, ec.generate_private_key(ec.SECP256R1()), "ES256", headers=head)
    if how == "public key as a password":
        public = provider.jwks()["keys"][0]
        return jwt.encode(right, public["x"] + public["y"], "HS256", headers=head)
    if how == "its own key":
        own = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
        return jwt.encode(right, own, "ES256", headers={"jwk": jwk, "jku": "https://evil.test"})
    if how == "unknown name":
        return jwt.encode(right, provider.key, "ES256", headers={"kid": "../k1"})
    return {"no token": "a.b.c", "huge": "a" * 40_000, "empty parts": "..", "a list": "[]"}[how]


@pytest.mark.parametrize(
    "how",
    [
        "none",
        "another key",
        "public key as a password",
        "its own key",
        "unknown name",
        "no token",
        "huge",
        "empty parts",
        "a list",
    ],
)
def test_token_that_the_provider_has_not_signed_is_refused(
    client: Client, connection: SignOnConnection, provider: Provider, how: str
) -> None:
    provider.claims = {"email": address_in(connection), "sub": new_name("sub")}
    answer = provider.authorize(begin(client, connection)["Location"])
    provider.token = forged(provider, how)
    assert finish(client, connection, answer).status_code == 403
    assert not is_signed_in(client)
    provider.token = None
    assert come(client, connection, provider, **provider.claims).status_code == 302


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.test"},
        {"exp": 1},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"nonce": "of another session"},
        {"nonce": None},
        {"azp": "another"},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 501},
    ],
    ids=str,
)
def test_token_for_somebody_else_or_another_time_is_refused(
    client: Client, connection: SignOnConnection, provider: Provider, claims: dict[str, Any]
) -> None:
    right = {"email": address_in(connection), "sub": new_name("sub")}
    assert come(client, connection, provider, **(right | claims)).status_code == 403
    assert not is_signed_in(client)
    assert come(client, connection, provider, **right).status_code == 302


def test_answer_counts_once_and_in_the_session_that_began_alone(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    provider.claims = {"email": address_in(connection), "sub": new_name("sub")}
    answer = provider.authorize(begin(client, connection)["Location"])
    victim = Client()
    assert finish(victim, connection, answer).status_code == 403
    begin(victim, connection)
    assert finish(victim, connection, answer).status_code == 403
    assert finish(client, connection, answer).status_code == 302
    assert finish(client, connection, answer).status_code == 403


@pytest.mark.parametrize("spoil", [{"state": "x"}, {"iss": "https://evil.test"}, {"code": ""}])
def test_answer_that_is_not_the_providers_is_refused(
    client: Client, connection: SignOnConnection, provider: Provider, spoil: dict[str, str]
) -> None:
    provider.claims = {"email": address_in(connection), "sub": new_name("sub")}
    answer = provider.authorize(begin(client, connection)["Location"])
    assert finish(client, connection, answer | spoil).status_code == 403
    assert not is_signed_in(client)


def test_document_of_another_issuer_leads_nowhere(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    provider.document = {"issuer": "https://evil.test"}
    assert begin(client, connection).status_code == 403


def test_provider_outside_the_networks_is_never_asked(
    client: Client, connection: SignOnConnection, settings: Settings
) -> None:
    settings.LATCHKEY_PROVIDER_NETWORKS = NetworkPolicy.parse("public")
    assert begin(client, connection).status_code == 403


def test_it_leads_to_where_the_person_wanted_and_nowhere_else(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    provider.claims = {"email": address_in(connection), "sub": new_name("sub")}
    for wanted, led in (("/keys/", "/keys/"), ("https://evil.test/", "/"), ("//evil.test", "/")):
        browser = Client()
        answer = provider.authorize(begin(browser, connection, f"?next={wanted}")["Location"])
        assert finish(browser, connection, answer)["Location"] == led


def roles_of(person: User) -> dict[str, str]:
    rows = Membership.objects.filter(person=person).values_list("team__name", "role")
    return dict(rows)


def asks_for_proof(client: Client) -> bool:
    return client.get("/security/app/").status_code == 302


def test_provider_is_asked_anew_where_a_recent_proof_is_wanted(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    who = {"email": address_in(connection), "sub": new_name("sub")}
    come(client, connection, provider, **who)
    assert asks_for_proof(client)
    assert f"/sign-in/with/{connection.slug}/" in client.get("/prove/").content.decode()
    now = int(time.time())
    for auth_time in (None, "now", now - 3600, now + 3600):
        provider.claims = who | {"auth_time": auth_time}
        answer = provider.authorize(begin(client, connection, "?anew=1")["Location"])
        assert (provider.asked["prompt"], provider.asked["max_age"]) == ("login", "0")
        assert finish(client, connection, answer).status_code == 403
        assert asks_for_proof(client)
    provider.claims = who | {"auth_time": now, "sub": new_name("other")}
    answer = provider.authorize(begin(client, connection, "?anew=1")["Location"])
    assert finish(client, connection, answer).status_code == 403
    provider.claims = who | {"auth_time": now}
    answer = provider.authorize(
        begin(client, connection, "?anew=1&next=/security/app/")["Location"]
    )
    assert finish(client, connection, answer)["Location"] == "/security/app/"
    assert not asks_for_proof(client)


def test_groups_give_change_and_take_only_what_they_gave(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    given, own, owned = new_team(), new_team(), new_team()
    for group, team, role in (
        ("staff", given, Role.MEMBER),
        ("leads", given, Role.MANAGER),
        ("staff", own, Role.MANAGER),
        ("heads", owned, Role.OWNER),
    ):
        mapping = map_group(connection, group=group, team=team, role=role, actor=COMMAND)
    email = address_in(connection)

    def groups(*names: str) -> dict[str, str]:
        come(Client(), connection, provider, email=email, sub=email, groups=list(names))
        return roles_of(User.objects.get(email=email))

    assert groups() == {}
    person = User.objects.get(email=email)
    add_member(own, person=person, role=Role.AUDITOR, actor=COMMAND)
    kept = {own.name: "auditor"}
    assert groups("staff") == kept | {given.name: "member"}
    assert groups("staff", "leads") == kept | {given.name: "manager"}
    assert groups("others") == kept
    # A team's only owner stays until another is there.
    assert groups("heads") == kept | {owned.name: "owner"}
    assert groups() == kept | {owned.name: "owner"}
    unmap_group(mapping, actor=COMMAND)
    add_member(owned, person=new_person(), role=Role.OWNER, actor=COMMAND)
    assert groups("heads") == kept
    assert not person.is_staff


def test_groups_lead_to_roles_of_the_teams_own_beside_built_in_ones(
    connection: SignOnConnection, provider: Provider
) -> None:
    team = new_team()
    keys = new_team_role(
        team, Right.MANAGE_KEYS, Right.SEE_USAGE, Right.SEE_AUDIT, Right.CALL_MODELS
    )
    usage = new_team_role(team, Right.SEE_USAGE)
    for group, role in (("keys", keys), ("usage", usage), ("staff", Role.MEMBER)):
        mapping = map_group(connection, group=group, team=team, role=role, actor=COMMAND)
    with pytest.raises(ValidationError):
        map_group(connection, group="x", team=new_team(), role=keys, actor=COMMAND)
    email = address_in(connection)

    def role_by(*names: str) -> object:
        come(Client(), connection, provider, email=email, sub=email, groups=list(names))
        found = Membership.objects.filter(person__email=email, team=team).first()
        return None if found is None else role_of(found)

    assert role_by("usage") == usage
    assert role_by("usage", "staff", "keys") == keys
    assert role_by("usage", "staff") is Role.MEMBER
    assert role_by("others") is None
    # While a group leads to the role, nobody removes it.
    with pytest.raises(ValidationError, match="A group of single sign-on"):
        remove_role(keys, actor=COMMAND)
    keys.sign_on_mappings.all().delete()
    remove_role(keys, actor=COMMAND)
    assert role_by("keys", "usage") == usage
    entry = AuditEntry.objects.filter(tag=AuditTag.SIGN_ON_GROUP_MAPPED).order_by("pk")
    assert f"custom {usage.pk}" in [one.facts["role"] for one in entry]
    assert mapping.role_name == "Member"


@pytest.mark.parametrize("groups", [None, "staff", 7, {"staff": True}, [7, None, ["staff"]]])
def test_groups_of_another_form_give_nothing_and_break_nothing(
    client: Client, connection: SignOnConnection, provider: Provider, groups: object
) -> None:
    team = new_team()
    map_group(connection, group="staff", team=team, role=Role.MEMBER, actor=COMMAND)
    email = address_in(connection)
    assert (
        come(client, connection, provider, email=email, sub=email, groups=groups).status_code == 302
    )
    expected = {team.name: "member"} if groups == "staff" else {}
    assert roles_of(User.objects.get(email=email)) == expected


def test_enforced_domain_refuses_passwords_in_the_same_words_but_of_a_break_glass_administrator(
    client: Client, connection: SignOnConnection
) -> None:
    person, administrator = new_person(), new_person(is_administrator=True)
    for one in (person, administrator):
        User.objects.filter(pk=one.pk).update(email=address_in(connection))
        one.refresh_from_db()
    change_break_glass(administrator, is_break_glass=True, actor=COMMAND)
    change_connection(connection, is_enforced=True, actor=COMMAND)
    told = set()
    for email, password in (
        (person.email, PASSWORD),
        (person.email, "another passphrase"),
        (address_in(connection), PASSWORD),
    ):
        reply = client.post("/sign-in/", {"username": email, "password": password})
        assert reply.status_code == 200
        page = reply.content.decode().replace(email, "")
        assert "People of this domain sign in with Corp" in page
        told.add(page.partition("<main")[2].partition("csrfmiddlewaretoken")[0])
    assert len(told) == 1
    assert not is_signed_in(client)
    client.post("/sign-in/", {"username": administrator.email, "password": PASSWORD})
    assert is_signed_in(client)
    change_connection(connection, is_enforced=False, actor=COMMAND)
    elsewhere = Client()
    elsewhere.post("/sign-in/", {"username": person.email, "password": PASSWORD})
    assert is_signed_in(elsewhere)


class CountingHasher(MD5PasswordHasher):
    """Counts what costs a sign-in its time."""

    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashed += 1
        return str(super().encode(password, salt))


@dataclass(frozen=True)
class Try:
    """What a try at the page shows, and what it costs: the queries without their values, and the passwords hashed."""

    page: str
    cookies: tuple[str, ...]
    queries: tuple[str, ...]
    hashed: int


def tried(client: Client, email: str, password: str = PASSWORD) -> Try:
    before = CountingHasher.hashed
    with CaptureQueriesContext(connection_of_tests) as asked:
        reply = client.post("/sign-in/", {"username": email, "password": password})
    # The next request would forget them.
    queries = tuple(re.sub(r"'[^']*'", "?", query["sql"]) for query in asked)
    assert queries
    assert reply.status_code == 200
    assert not is_signed_in(client)
    return Try(
        without_tokens(reply.content.decode()).replace(email, ""),
        tuple(sorted(reply.cookies)),
        queries,
        CountingHasher.hashed - before,
    )


@pytest.mark.parametrize("is_enforced", [True, False])
def test_try_at_a_domain_costs_and_shows_the_same_whomever_it_names(
    connection: SignOnConnection, settings: Settings, is_enforced: bool
) -> None:
    """The right password of somebody who signs in elsewhere is one try among the others."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    person, disabled = new_person(), new_person()
    for one in (person, disabled):
        User.objects.filter(pk=one.pk).update(email=address_in(connection))
        one.refresh_from_db()
    disable_person(disabled, actor=COMMAND, reason=REASON)
    change_connection(connection, is_enforced=is_enforced, actor=COMMAND)
    unknown = tried(Client(), address_in(connection))
    assert unknown.hashed == 1
    assert ("People of this domain sign in with Corp" in unknown.page) is is_enforced
    tries = [tried(Client(), person.email, "another passphrase"), tried(Client(), disabled.email)]
    if is_enforced:
        tries.append(tried(Client(), person.email))
    for made in tries:
        assert made.page == unknown.page
        assert made.queries == unknown.queries
        assert made == unknown


@pytest.mark.parametrize("letter", ["\u0131", "\uff49"], ids=["dotless", "wide"])
def test_other_spelling_of_an_enforced_domain_tells_nothing_of_the_password(
    connection: SignOnConnection, letter: str
) -> None:
    """Forms and the database find a person by more spellings than one."""
    person = new_person()
    User.objects.filter(pk=person.pk).update(email=address_in(connection))
    person.refresh_from_db()
    change_connection(connection, is_enforced=True, actor=COMMAND)
    name, _, domain = person.email.partition("@")
    spelt = f"{name}@{domain.replace('i', letter)}"
    assert spelt != person.email
    right, wrong = tried(Client(), spelt), tried(Client(), spelt, "another passphrase")
    assert right.page == wrong.page


def test_enforced_domain_holds_where_the_session_begins_whichever_way_somebody_came(
    client: Client, connection: SignOnConnection, provider: Provider
) -> None:
    person, secret = person_with_app()
    User.objects.filter(pk=person.pk).update(email=address_in(connection))
    person.refresh_from_db()
    client.post("/sign-in/", {"username": person.email, "password": PASSWORD})
    change_connection(connection, is_enforced=True, actor=COMMAND)
    reply = client.post("/sign-in/second-factor/", {"code": code_of(secret)})
    assert reply["Location"] == "/sign-in/"
    assert not is_signed_in(client)
    came = Client()
    there = come(came, connection, provider, email=person.email, sub=new_name("sub"))
    # A second factor of the portal's own is asked for beside whatever the provider asked for.
    assert there["Location"] == "/sign-in/second-factor/"
    code = replace_recovery_codes(person)[0]
    assert came.post("/sign-in/second-factor/", {"code": code}).status_code == 302
    assert is_signed_in(came)


def test_break_glass_is_for_administrators_alone() -> None:
    with pytest.raises(ValidationError, match="administrator"):
        change_break_glass(new_person(), is_break_glass=True, actor=COMMAND)


def test_secret_is_sealed_and_never_taken_to_another_issuer(connection: SignOnConnection) -> None:
    assert CLIENT_SECRET.encode() not in bytes(connection.sealed_secret or b"")
    assert open_secret(connection) == CLIENT_SECRET
    with pytest.raises(ValidationError, match="another issuer"):
        change_connection(connection, issuer="https://evil.test", actor=COMMAND)
    change_connection(connection, name="Other", actor=COMMAND)
    connection.refresh_from_db()
    assert open_secret(connection) == CLIENT_SECRET


def test_domain_belongs_to_one_connection(connection: SignOnConnection) -> None:
    facts: dict[str, Any] = {"name": "B", "issuer": "https://b.test", "client_id": "x"}
    for domains in (connection.domains, [], ["no domain"], ["Upper.example"]):
        with pytest.raises(ValidationError) as refused:
            add_connection(
                new_name("b"), kind=SignOnKind.OIDC, actor=COMMAND, domains=domains, **facts
            )
        assert "domains" in refused.value.message_dict
    with pytest.raises(ValidationError) as refused:
        facts["issuer"] = "http://b.test"
        add_connection(
            new_name("b"), kind=SignOnKind.OIDC, actor=COMMAND, domains=["b.example"], **facts
        )
    assert "issuer" in refused.value.message_dict


def test_connection_that_is_off_or_unknown_is_not_there(
    client: Client, connection: SignOnConnection
) -> None:
    assert begin(client, connection).status_code == 302
    change_connection(connection, is_enabled=False, actor=COMMAND)
    assert begin(client, connection).status_code == 404
    assert client.get("/sign-in/with/nowhere/").status_code == 404
