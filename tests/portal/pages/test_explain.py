"""The page of explanations: one verdict, every rule, the next step, and nobody else's keys."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import Membership, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.bounds import change_bounds
from models_registry.models import AiModel
from models_registry.writes.catalogue import deploy_model
from models_registry.writes.grants import grant_model
from tests.accounts.rows import new_account, new_key, new_member, new_team, tomorrow
from tests.many_rows import multiply, quickest_s
from tests.models_registry.rows import new_offer, new_provider
from tests.pages import HOSTILE, QUERIES_MAX, Browser, shows_as_text, words_of

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[Any]]
GRANTS, PEOPLE, TEAMS = 100_000, 10_000, 200


def deployed() -> AiModel:
    model = new_offer()
    deploy_model(model, provider=new_provider(), upstream_name="upstream", actor=COMMAND)
    return model


def grant_to(team: Team, model: AiModel) -> Any:
    return grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)


def test_page_says_no_with_the_next_step_then_yes() -> None:
    team, model = new_team(), deployed()
    browser = Browser(new_member(team))
    asked = {"who": f"new:{team.pk}", "model": model.name}

    page = browser.page("/explain/", **asked)
    assert f"No. A new key of yours in {team.name} may not call {model.name} now." in words_of(page)
    assert "This model does not exist, or it has not been granted to you." in words_of(page)
    assert reverse("ask", args=[model.name]) in page

    grant_to(team, model)
    page = browser.page("/explain/", **asked)
    assert f"Yes. A new key of yours in {team.name} may call {model.name} now." in words_of(page)
    assert "What to do" not in page
    later = words_of(browser.page("/explain/", **asked, at="2999-01-31T12:00"))
    assert "on 31 Jan 2999, 12:00 UTC." in later
    assert f"The grant to {team.name} ended on" in later


@pytest.mark.parametrize("role", Role)
def test_whoever_may_see_a_key_has_it_explained_and_nobody_else(role: Role) -> None:
    team, model = new_team(), deployed()
    key = new_key(new_account(team)).key
    change_bounds(key, networks=["192.0.2.0/24"], hours=None, actor=COMMAND)
    asked = {"who": f"key:{key.pk}", "model": model.name, "address": "198.51.100.1"}
    sees = role is not Role.MEMBER
    reply = Browser(new_member(team, role)).get("/explain/", **asked)
    assert reply.status_code == (200 if sees else 404)
    if sees:
        said = words_of(reply.content.decode())
        assert "403 address_not_allowed" in said
        assert "alone, and 198.51.100.1 is not among them." in said
    stranger = Browser(new_member(new_team(), role))
    for who in (f"key:{key.pk}", f"new:{team.pk}", f"account:{key.service_account_id}", "key:x"):
        assert stranger.get("/explain/", who=who).status_code == 404
    assert key.name not in stranger.page("/explain/")


def test_what_was_asked_stands_in_the_page_as_text() -> None:
    team = new_team()
    browser = Browser(new_member(team))
    page = browser.page("/explain/", who=f"new:{team.pk}", model=HOSTILE)
    assert shows_as_text(page)
    assert "There is no model of this name" in page
    wrong = browser.page("/explain/", who=f"new:{team.pk}", address="here", at="soon")
    assert "Give an IP address" in wrong
    assert 'class="verdict' not in wrong


def test_link_from_a_models_page_asks_about_a_key_of_ones_own() -> None:
    team, model = new_team(), deployed()
    browser = Browser(new_member(team))
    assert f"/explain/?model={model.name}" in browser.page(f"/models/{model.name}/")
    assert f"A new key of yours in {team.name}" in browser.page("/explain/", model=model.name)


def many_rows(team: Team, model: AiModel, person: User) -> None:
    """Grants spread over teams, and people who each belong to one of them."""
    multiply(team, TEAMS, name="'Team ' || number", slug="'team-' || number")
    teams = "(ARRAY(SELECT id FROM accounts_team ORDER BY id))[1 + number % 200]"
    multiply(grant_to(team, model), GRANTS, team_id=teams)
    multiply(person, PEOPLE, email="'person-' || number || '@many.test'")
    multiply(
        Membership.objects.get(team=team, person=person),
        PEOPLE,
        id="number + 1000000",
        team_id=teams,
        person_id="(ARRAY(SELECT id FROM accounts_user WHERE email LIKE '%@many.test'))[number]",
    )


def test_page_is_quick_among_a_hundred_thousand_grants_and_ten_thousand_people(
    django_assert_max_num_queries: MaxQueries,
) -> None:
    team, model = new_team(), deployed()
    owner = new_member(team, Role.OWNER)
    key = new_key(new_account(team)).key
    many_rows(team, model, owner)
    browser = Browser(owner)

    def read() -> None:
        with django_assert_max_num_queries(2 * QUERIES_MAX):
            page = browser.page("/explain/", who=f"key:{key.pk}", model=model.name)
        assert "Yes." in page

    assert quickest_s(read, under_s=0.3) < 0.3
