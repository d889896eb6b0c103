"""The home page says what needs the person, and nothing of what is not theirs."""

import datetime

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.audit import COMMAND
from accounts.models import ApiKey, KeyUse, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key, revoke_key
from accounts.writes.teams import add_member, disable_team
from models_registry.models import AiModel
from models_registry.writes.grants import grant_model
from models_registry.writes.requests import withdraw_request
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_member, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_offer

pytestmark = pytest.mark.django_db
FIRST_STEPS = "To your first call"


def in_days(days: int) -> datetime.datetime:
    return utc_now() + datetime.timedelta(days=days)


def home_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    reply = client.get("/")
    assert reply.status_code == 200
    return reply.content.decode()


def own_key(team: Team, person: User, name: str, *, days: int = 90) -> ApiKey:
    return issue_key(
        team, holder=person, name=name, scopes=[Scope.CHAT], expires_at=in_days(days), actor=COMMAND
    ).key


def granted(team: Team, *, days: int = 90) -> AiModel:
    model = new_offer()
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=in_days(days), actor=COMMAND)
    return model


def test_stranger_reads_what_this_is_and_where_to_sign_in(client: Client) -> None:
    page = client.get("/").content.decode()
    assert "Internal AI models, one way in" in page
    assert 'href="/sign-in/"' in page
    assert f"{django_settings.LATCHKEY_BASE_URL}/v1" in page
    assert FIRST_STEPS not in page


def test_person_without_a_team_is_told_how_to_get_into_one() -> None:
    page = home_of(new_person())
    assert "You are in no team yet" in page
    assert FIRST_STEPS not in page


def test_newcomer_is_led_from_step_to_step_until_the_first_call() -> None:
    team = new_team()
    person = new_member(team)
    assert home_of(person).count('<li class="done">') == 0
    granted(team)
    assert home_of(person).count('<li class="done">') == 1
    key = own_key(team, person, "Notebook")
    page = home_of(person)
    assert page.count('<li class="done">') == 2
    assert FIRST_STEPS in page
    KeyUse.objects.create(key=key, last_used_at=utc_now())
    assert FIRST_STEPS not in home_of(person)


def test_open_requests_of_ones_own_teams_are_shown_and_closed_ones_are_not() -> None:
    team, other = new_team(), new_team()
    person, stranger = new_member(team), new_member(other)
    model, theirs = new_offer(), new_offer()
    request = ask(new_member(team), team, model)
    ask(stranger, other, theirs)
    page = home_of(person)
    assert model.name in page
    assert f"/requests/{request.pk}/" in page
    assert theirs.name not in page
    withdraw_request(request, actor=request.requested_by or person)
    assert model.name not in home_of(person)


def test_keys_and_grants_that_end_within_two_weeks_are_shown() -> None:
    team, other = new_team(), new_team()
    person = new_member(team)
    soon, late = granted(team, days=13), granted(team, days=15)
    theirs = granted(other, days=2)
    own_key(team, person, "Ends soon", days=13)
    own_key(team, person, "Ends late", days=15)
    own_key(other, new_member(other), "Another team's", days=2)
    own_key(team, new_member(team), "A colleague's", days=2)
    revoked = own_key(team, person, "Revoked already", days=2)
    revoke_key(revoked, actor=COMMAND, reason=REASON)
    page = home_of(person)
    for text in (soon.name, "Ends soon"):
        assert text in page
    for text in (late.name, theirs.name, "Ends late", "Another team&#x27;s", "Revoked already"):
        assert text not in page
    assert "A colleague&#x27;s" not in page
    assert "A colleague&#x27;s" in home_of(new_member(team, Role.MANAGER))


def test_whoever_decides_is_told_what_waits_but_not_their_own() -> None:
    team = new_team()
    decider = new_decider()
    add_member(team, person=decider, role=Role.MEMBER, actor=COMMAND)
    ask(decider, team)
    assert "waits for you" not in home_of(decider)
    ask(new_member(team), team)
    assert "1 request waits for you" in home_of(decider)
    assert "waits for you" not in home_of(new_member(team, Role.OWNER))


def test_disabled_team_is_gone_from_home() -> None:
    team = new_team()
    person = new_member(team, Role.OWNER)
    ask(person, team)
    own_key(team, person, "Ends soon", days=2)
    assert team.name in home_of(person)
    disable_team(team, actor=COMMAND, reason=REASON)
    page = home_of(person)
    assert team.name not in page
    assert "Ends soon" not in page


def test_home_asks_no_more_for_more_rows(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    person = new_person(is_administrator=True)
    for _ in range(8):
        team = new_team()
        add_member(team, person=person, role=Role.OWNER, actor=COMMAND)
        ask(person, team)
        granted(team, days=3)
        own_key(team, person, "Ends soon", days=3)
    client = Client()
    client.force_login(person)
    with django_assert_max_num_queries(13):
        page = client.get("/").content.decode()
    assert "All teams" in page
