"""Signing in with a second factor, and the doors that ask for one: of staff, and of members of a team that wants it."""

import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django_ratelimit import core
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import AuditEntry, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.second_factors import has_second_factor, second_factors_of
from accounts.writes.keys import issue_key
from accounts.writes.people import disable_person
from accounts.writes.second_factors import replace_recovery_codes
from accounts.writes.teams import change_team
from tests.accounts.rows import PASSWORD, REASON, new_member, new_person, new_team, tomorrow
from tests.accounts.second_factor import code_of, give_app, person_with_app

pytestmark = pytest.mark.django_db
STEP = "/sign-in/second-factor/"


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts begin anew, and no minute ends in the middle of a test."""
    monkeypatch.setattr(core, "time", SimpleNamespace(time=lambda: 1_800_000_000))
    cache.clear()
    yield
    cache.clear()


def give_password(client: Client, person: User, *, wanted: str = "") -> HttpResponse:
    fields = {"username": person.email, "password": PASSWORD, "next": wanted}
    return client.post("/sign-in/", fields)  # type: ignore[return-value]


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()


def test_password_alone_signs_nobody_in_who_has_a_second_factor(client: Client) -> None:
    person, secret = person_with_app()
    assert give_password(client, person, wanted="/keys/")["Location"] == STEP
    assert not is_signed_in(client)
    assert not AuditEntry.objects.filter(tag=AuditTag.SIGNED_IN, subject_id=person.pk).exists()
    refused = client.post(STEP, {"code": "000000"})
    assert "not right" in refused.content.decode()
    assert not is_signed_in(client)
    assert client.post(STEP, {"code": code_of(secret)})["Location"] == "/keys/"
    assert is_signed_in(client)
    AuditEntry.objects.get(tag=AuditTag.SIGNED_IN, subject_id=person.pk)


def test_recovery_code_stands_in_for_the_factor_once(client: Client) -> None:
    person, _ = person_with_app()
    code = replace_recovery_codes(person)[0]
    give_password(client, person)
    assert client.post(STEP, {"code": code}).status_code == 302
    assert is_signed_in(client)
    again = Client()
    give_password(again, person)
    assert again.post(STEP, {"code": code}).status_code == 200
    assert not is_signed_in(again)


def test_second_step_is_closed_to_whoever_has_not_given_a_password(client: Client) -> None:
    _, secret = person_with_app()
    for reply in (client.get(STEP), client.post(STEP, {"code": code_of(secret)})):
        assert (reply.status_code, reply["Location"]) == (302, "/sign-in/")


@pytest.mark.parametrize("body", ["", "x", "[]", "{}", '{"id": 1}', "{" * 2000, '{"response": []}'])
def test_answer_that_is_no_passkeys_is_refused_without_a_fault(client: Client, body: str) -> None:
    person, _ = person_with_app()
    give_password(client, person)
    client.get(STEP)
    assert client.post(STEP, {"credential": body}).status_code == 200
    assert client.post("/sign-in/passkey/", {"credential": body}).status_code == 200
    assert not is_signed_in(client)


def test_codes_of_one_person_are_throttled_whoever_tries(client: Client) -> None:
    person, secret = person_with_app()
    for _ in range(5):
        give_password(client, person)
        assert client.post(STEP, {"code": "000000"}).status_code == 200
    other = Client()
    give_password(other, person)
    assert other.post(STEP, {"code": code_of(secret)}, REMOTE_ADDR="10.0.0.9").status_code == 429
    assert not is_signed_in(other)


def test_person_disabled_between_the_steps_is_not_let_in(client: Client) -> None:
    person, secret = person_with_app()
    give_password(client, person)
    disable_person(person, actor=COMMAND, reason=REASON)
    assert client.post(STEP, {"code": code_of(secret)})["Location"] == "/sign-in/"
    assert not is_signed_in(client)
    assert not AuditEntry.objects.filter(tag=AuditTag.SIGNED_IN, subject_id=person.pk).exists()


def test_app_is_set_up_on_its_page_and_codes_are_shown_once(client: Client) -> None:
    person = new_person()
    client.force_login(person)
    page = client.get("/security/app/").content.decode()
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert secret is not None
    assert "data:" not in page
    session = str(dict(client.session.items()))
    assert secret[1] not in session
    assert client.post("/security/app/", {"code": "000000"}).status_code == 200
    shown = client.post("/security/app/", {"code": code_of(secret[1])})
    codes = re.findall(r"\b\d{12}\b", shown.content.decode())
    assert len(codes) == 10
    assert "no-store" in shown["Cache-Control"]
    assert has_second_factor(person)
    again = client.get("/security/").content.decode()
    assert not any(code in again for code in codes)
    assert "10 codes left" in again


def test_factor_of_somebody_else_is_not_there_to_remove(client: Client) -> None:
    person, _ = person_with_app()
    factor = second_factors_of(person).get()
    client.force_login(new_person())
    assert client.post(reverse("factor-remove", args=[factor.pk])).status_code == 404
    assert has_second_factor(person)


CLOSED_TO_STAFF = ["/", "/keys/", "/admin/", "/teams/", "/usage/", "/api/docs/", "/password/"]


@pytest.mark.parametrize("address", CLOSED_TO_STAFF)
def test_staff_without_a_second_factor_is_led_to_set_one_up(
    client: Client, settings: Settings, address: str
) -> None:
    settings.LATCHKEY_STAFF_SECOND_FACTOR = "required"
    person, member = new_person(is_administrator=True), new_member(new_team())
    client.force_login(person)
    reply = client.get(address)
    assert (reply.status_code, reply["Location"]) == (302, "/security/")
    assert client.get("/security/").status_code == 200
    give_app(person)
    client.logout()
    client.force_login(member)
    assert client.get("/keys/").status_code == 200


def test_staff_with_a_second_factor_administers(client: Client, settings: Settings) -> None:
    settings.LATCHKEY_STAFF_SECOND_FACTOR = "required"
    person, secret = person_with_app(is_administrator=True)
    give_password(client, person)
    client.post(STEP, {"code": code_of(secret)})
    assert client.get("/admin/").status_code == 200
    assert client.get("/api/v1/admin/people").status_code == 200


def test_api_is_closed_to_a_session_of_staff_without_a_second_factor(
    client: Client, settings: Settings
) -> None:
    client.force_login(new_person(is_administrator=True))
    assert client.get("/api/v1/admin/people").status_code == 200
    settings.LATCHKEY_STAFF_SECOND_FACTOR = "required"
    reply = client.get("/api/v1/admin/people")
    assert (reply.status_code, reply.json()["code"]) == (403, "second_factor_needed")


def test_demand_on_staff_is_the_default() -> None:
    from portal.settings import env  # noqa: PLC0415

    assert env.declared["LATCHKEY_STAFF_SECOND_FACTOR"].default == "required"


def ask_for_factors(team_of: User) -> str:
    team = team_of.memberships.get().team
    change_team(team, name=team.name, cost_centre="", actor=COMMAND, requires_second_factor=True)
    return team.slug


def test_team_that_asks_for_a_second_factor_opens_to_members_who_have_one(client: Client) -> None:
    member = new_member(new_team(), Role.OWNER)
    team = member.memberships.get().team
    key = issue_key(
        team, holder=member, name="k", scopes=[Scope.MANAGE], expires_at=tomorrow(), actor=COMMAND
    ).text
    by_key = {"headers": {"authorization": f"Bearer {key}"}}
    client.force_login(member)
    address = f"/api/v1/teams/{team.slug}"
    for way in ({}, by_key):
        assert client.get(address, **way).status_code == 200  # type: ignore[arg-type]
    ask_for_factors(member)
    for page in ("", "settings/", "audit/", "limits/", "service-accounts/"):
        reply = client.get(f"/teams/{team.slug}/{page}")
        assert (reply.status_code, reply["Location"]) == (302, "/security/")
    for way in ({}, by_key):
        reply = client.get(address, **way)  # type: ignore[arg-type]
        assert (reply.status_code, reply.json()["code"]) == (403, "second_factor_needed")
    assert "asks its members for a second factor" in client.get("/teams/").content.decode()
    secret = give_app(member)
    assert client.get(f"/teams/{team.slug}/").status_code == 200
    for way in ({}, by_key):
        assert client.get(address, **way).status_code == 200  # type: ignore[arg-type]
    assert secret


def test_team_that_asks_is_told_to_its_own_members_alone(client: Client) -> None:
    slug = ask_for_factors(new_member(new_team()))
    client.force_login(new_member(new_team()))
    assert client.get(f"/teams/{slug}/").status_code == 404


def test_owner_without_a_second_factor_cannot_ask_others_for_one(client: Client) -> None:
    owner = new_member(new_team(), Role.OWNER)
    team = owner.memberships.get().team
    client.force_login(owner)
    form = {"name": team.name, "cost_centre": "", "requires_second_factor": "on"}
    address = f"/teams/{team.slug}/settings/"
    assert "You have none yourself" in client.post(address, form).content.decode()
    give_app(owner)
    client.post("/prove/", {"code": "x"})
    team.refresh_from_db()
    assert not team.requires_second_factor
