"""Before secrets are shown and rights change it has to be proven anew that it is still whoever signed in."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django_ratelimit import core
from pytest_django.fixtures import Settings

from accounts.models import Membership, User
from accounts.models.teams import Role
from portal.recent_proof_required import PROOF_TO_OPEN, PROOF_TO_SEND
from tests.accounts.rows import PASSWORD, new_member, new_person, new_team
from tests.accounts.second_factor import code_of, give_app
from tests.portal.world import OWNER, Route, World, every_route, new_world

pytestmark = pytest.mark.django_db

# What is sent without a new proof, and why: it gives nobody a right, and takes none but one's own or what must end at once.
NO_PROOF = {
    "ask",
    "calls",
    "home",
    "invitation",
    "invitation-withdraw",
    "key-old-secret-end",
    "key-revoke",
    # GitHub signs what it reports.
    "leaks-github",
    "notifications",
    # A client proves itself, and no person is asked.
    "oauth-device-authorization",
    "oauth-introspect",
    "oauth-revoke",
    "oauth-token",
    "password-change",
    "password-forgotten",
    "password-reset",
    "prove",
    "request",
    "request-comment",
    "request-withdraw",
    "delegate-end",
    "second-factor",
    "session-end",
    "sessions-end",
    "sign-in",
    "sign-in-passkey",
    "sign-on-saml",
    "sign-out",
    "team-leave",
    "team-token-test",
}


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts begin anew, and no minute ends in the middle of a test."""
    monkeypatch.setattr(core, "time", SimpleNamespace(time=lambda: 1_800_000_000))
    cache.clear()
    yield
    cache.clear()


def let_time_pass(client: Client, seconds: float) -> None:
    """Make what this session has proven that much older."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= seconds
    session.save()


def asks_for_proof(client: Client, method: str, address: str) -> bool:
    reply = getattr(client, method)(address)
    return reply.status_code == 302 and str(reply["Location"]).startswith("/prove/")


@pytest.fixture
def world() -> World:
    return new_world()


def pages() -> list[Route]:
    return sorted(
        {
            route
            for route in every_route()
            if not route.name.startswith(("api", "inference", "admin:"))
        }
    )


def test_every_listed_route_asks_for_it_and_opens_with_it(client: Client, world: World) -> None:
    client.force_login(world.people[OWNER])  # type: ignore[arg-type]
    listed = [route for route in pages() if route.name in PROOF_TO_SEND]
    assert {route.name for route in listed} == PROOF_TO_SEND
    for route in listed:
        address = world.address_of(route)
        assert not asks_for_proof(client, "get", address), route.name
    let_time_pass(client, 601)
    for route in listed:
        address = world.address_of(route)
        assert asks_for_proof(client, "post", address), route.name
        assert asks_for_proof(client, "get", address) == (route.name in PROOF_TO_OPEN), route.name


def test_whatever_takes_something_in_is_on_one_of_the_two_lists(
    client: Client, world: World
) -> None:
    client.force_login(world.people[OWNER])  # type: ignore[arg-type]
    let_time_pass(client, 601)
    # Signing out would end the session that asks.
    asked = [route for route in pages() if route.name != "sign-out"]
    takes = {
        route.name for route in asked if client.post(world.address_of(route)).status_code != 405
    }
    assert takes - PROOF_TO_SEND <= NO_PROOF
    assert not PROOF_TO_SEND & NO_PROOF


def test_everything_that_is_sent_in_the_admin_asks_for_it(client: Client, world: World) -> None:
    client.force_login(new_person(is_administrator=True))
    let_time_pass(client, 601)
    asked = [world.address_of(route) for route in every_route() if route.name.startswith("admin:")]
    assert len(asked) > 30
    for address in asked:
        if client.get(address).status_code != 404:
            assert asks_for_proof(client, "post", address), address


def test_session_at_the_management_api_needs_it_to_change_something(client: Client) -> None:
    owner = new_member(new_team(), Role.OWNER)
    team = owner.memberships.get().team
    client.force_login(owner)
    address = f"/api/v1/teams/{team.slug}"
    change = {"data": {"name": team.name}, "content_type": "application/json"}
    assert client.patch(address, **change).status_code == 200  # type: ignore[arg-type]
    let_time_pass(client, 601)
    assert client.get(address).status_code == 200
    reply = client.patch(address, **change)  # type: ignore[arg-type]
    assert (reply.status_code, reply.json()["code"]) == (403, "proof_needed")


def test_password_proves_it_and_leads_back(client: Client) -> None:
    client.force_login(new_member(new_team()))
    let_time_pass(client, 601)
    sent = client.get("/keys/new/?team=x")
    assert sent["Location"] == "/prove/?next=/keys/new/%3Fteam%3Dx"
    wrong = client.post(sent["Location"], {"password": "another passphrase", "next": "/keys/new/"})
    assert "not your password" in wrong.content.decode()
    assert asks_for_proof(client, "get", "/keys/new/")
    right = client.post(sent["Location"], {"password": PASSWORD, "next": "/keys/new/"})
    assert right["Location"] == "/keys/new/"
    assert client.get("/keys/new/").status_code == 200


def test_nothing_is_done_until_it_is_proven(client: Client) -> None:
    owner, member = new_member(team := new_team(), Role.OWNER), new_member(team)
    client.force_login(owner)
    let_time_pass(client, 601)
    row = Membership.objects.get(person=member)
    address = reverse("member", args=[team.slug, row.pk])
    reply = client.post(
        address, {"role": "owner"}, headers={"referer": f"http://testserver{address}"}
    )
    assert reply["Location"] == f"/prove/?next=http%3A//testserver{address}"
    row.refresh_from_db()
    assert row.role == Role.MEMBER
    assert client.post(reply["Location"], {"password": PASSWORD}).status_code == 302
    client.post(address, {"role": "owner"})
    row.refresh_from_db()
    assert row.role == Role.OWNER


def test_whoever_has_a_second_factor_proves_it_and_not_the_password(client: Client) -> None:
    person = new_member(new_team())
    secret = give_app(person)
    client.force_login(person)
    assert asks_for_proof(client, "get", "/keys/new/")
    client.post("/prove/", {"password": PASSWORD})
    assert asks_for_proof(client, "get", "/keys/new/")
    assert (
        client.post("/prove/", {"code": code_of(secret), "next": "/keys/new/"}).status_code == 302
    )
    assert client.get("/keys/new/").status_code == 200


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "javascript:alert(1)", ""])
def test_proof_leads_nowhere_else(client: Client, target: str) -> None:
    client.force_login(new_person())
    reply = client.post("/prove/", {"password": PASSWORD, "next": target})
    assert reply["Location"] == "/"


def test_session_that_tells_nothing_of_its_sign_in_proves_nothing(client: Client) -> None:
    client.force_login(new_member(new_team()))
    session = client.session
    del session["account_authentication_methods"]
    session.save()
    assert asks_for_proof(client, "get", "/keys/new/")


def test_proof_of_somebody_else_and_of_a_time_to_come_count_for_nothing(client: Client) -> None:
    person, other = new_member(new_team()), new_person()
    client.force_login(person)
    assert not asks_for_proof(client, "get", "/keys/new/")
    session = client.session
    session["account_authentication_methods_user"] = str(other.pk)
    session.save()
    assert asks_for_proof(client, "get", "/keys/new/")
    client.force_login(person)
    let_time_pass(client, -60)
    assert asks_for_proof(client, "get", "/keys/new/")


def test_how_long_it_counts_is_set(client: Client, settings: Settings) -> None:
    client.force_login(new_member(new_team()))
    let_time_pass(client, 601)
    assert asks_for_proof(client, "get", "/keys/new/")
    settings.LATCHKEY_RECENT_PROOF_S = 700
    assert not asks_for_proof(client, "get", "/keys/new/")


def test_guesses_at_the_password_are_throttled(client: Client) -> None:
    person: User = new_person()
    client.force_login(person)
    for _ in range(5):
        assert client.post("/prove/", {"password": "a guess"}).status_code == 200
    assert client.post("/prove/", {"password": PASSWORD}).status_code == 429
    assert time.time() > 0
