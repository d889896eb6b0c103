"""The pages of a team's limits: seen by its members, set by whoever manages them, within what stands above."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Team, User
from accounts.models.teams import Role
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.pages import limit_forms
from tests.accounts.rows import new_account, new_key, new_member, new_team
from tests.models_registry.rows import new_limit, new_model

pytestmark = pytest.mark.django_db


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def page_of(team: Team, limit: Limit | None = None, name: str = "team-limit") -> str:
    return (
        reverse("team-limits", args=[team.slug])
        if limit is None
        else reverse(name, args=[team.slug, limit.pk])
    )


def sent(**changes: Any) -> dict[str, Any]:
    facts = {
        "measure": "micro_usd",
        "period": "calendar_month",
        "amount": "12.5",
        "zone": "Europe/Berlin",
    }
    return facts | {"alert_percents": "80, 100 %"} | changes


def test_manager_sets_changes_and_removes_a_limit_of_each_kind() -> None:
    team = new_team()
    account, member = new_account(team), new_member(team)
    key = new_key(account).key
    client = signed_in(new_member(team, Role.MANAGER))
    for subject in (f"account:{account.pk}", f"member:{member.pk}", f"key:{key.pk}"):
        assert client.post(page_of(team), sent(subject=subject)).status_code == 302
        limit = Limit.objects.get()
        assert (limit.amount, limit.zone, limit.alert_percents) == (
            12_500_000,
            "Europe/Berlin",
            [80, 100],
        )
        assert not limit.by_administrator
        assert (
            "$12.50 a calendar month (Europe/Berlin)" in client.get(page_of(team)).content.decode()
        )
        page = client.get(page_of(team, limit)).content.decode()
        assert 'value="12.5"' in page
        changed = {"amount": "10", "zone": "Europe/Berlin"}
        assert client.post(page_of(team, limit), changed).status_code == 302
        limit.refresh_from_db()
        assert (limit.amount, limit.alert_percents) == (10_000_000, [])
        assert client.post(page_of(team, limit, "team-limit-remove")).status_code == 302
        assert not Limit.objects.exists()


def test_of_a_large_team_what_is_not_listed_is_chosen_by_a_link_on_its_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_forms, "CHOICES_MAX", 2)
    team = new_team()
    account = new_account(team)
    keys = sorted((new_key(account).key for _ in range(4)), key=lambda key: key.name)
    last, others = keys[-1], new_key(new_account()).key
    client = signed_in(new_member(team, Role.MANAGER))
    chosen = f'value="key:{last.pk}" selected'
    assert chosen not in client.get(page_of(team)).content.decode()
    assert f"?of=key:{last.pk}" in client.get(reverse("key", args=[last.pk])).content.decode()
    assert chosen in client.get(page_of(team), {"of": f"key:{last.pk}"}).content.decode()
    assert client.post(page_of(team), sent(subject=f"key:{last.pk}")).status_code == 302
    assert Limit.objects.get().key == last
    for strange in (f"key:{others.pk}", "key:x", "\x00", "key:"):
        page = client.get(page_of(team), {"of": strange})
        assert page.status_code == 200
        assert str(others.pk) not in page.content.decode()
        assert client.post(page_of(team), sent(subject=strange)).status_code == 200
    member = signed_in(new_member(team))
    assert "?of=" not in member.get(reverse("key", args=[last.pk])).content.decode()


def test_what_is_refused_stands_in_the_form() -> None:
    team = new_team()
    account = new_account(team)
    new_limit(team=team, amount=1_000_000)
    client = signed_in(new_member(team, Role.OWNER))
    cases: dict[str, dict[str, Any]] = {
        "At most $1.00: the team has this limit": {},
        "Enter a whole number": {"measure": "requests", "amount": "1.5"},
        "Name a time zone": {"zone": "Mars"},
        "Select a valid choice": {"subject": f"account:{new_account().pk}"},
        "Name at most 10 percentages": {"alert_percents": "all"},
        "greater than or equal to": {"amount": "-1"},
        "Concurrent calls are counted at once": {"period": "at_once", "zone": ""},
    }
    for words, changes in cases.items():
        reply = client.post(page_of(team), sent(subject=f"account:{account.pk}") | changes)
        assert reply.status_code == 200
        assert words in reply.content.decode().replace("&#x27;", "'")
    assert Limit.objects.count() == 1
    within = sent(subject=f"account:{account.pk}", amount="1")
    assert client.post(page_of(team), within).status_code == 302


def test_administrators_limit_is_read_and_not_changed_by_the_team() -> None:
    team = new_team()
    limit = new_limit(team=team, model=new_model())
    client = signed_in(new_member(team, Role.OWNER))
    page = client.get(page_of(team, limit)).content.decode()
    assert "An administrator set this limit" in page
    assert 'name="amount"' not in page
    assert client.post(page_of(team, limit), {"amount": "1"}).status_code == 403
    assert client.post(page_of(team, limit, "team-limit-remove")).status_code == 403


def test_limit_is_found_at_its_own_team_alone() -> None:
    team, other = new_team(), new_team()
    limit = new_limit(team=team)
    person = new_member(team, Role.OWNER)
    other.memberships.create(person=person, role=Role.OWNER)
    client = signed_in(person)
    assert client.get(page_of(team, limit)).status_code == 200
    assert client.get(page_of(other, limit)).status_code == 404
    assert signed_in(new_member(new_team(), Role.OWNER)).get(page_of(team)).status_code == 404


def test_member_sees_the_teams_limits_and_no_form() -> None:
    team = new_team()
    new_limit(team=team)
    page = signed_in(new_member(team)).get(page_of(team)).content.decode()
    assert "The whole team" in page
    assert 'name="amount"' not in page


def test_names_that_are_no_text_are_escaped() -> None:
    team = new_team()
    account = new_account(team)
    account.name = "<script>alert(1)</script>"
    account.save()
    limit = new_limit(service_account=account)
    client = signed_in(new_member(team, Role.OWNER))
    for address in (page_of(team), page_of(team, limit)):
        assert "<script>alert" not in client.get(address).content.decode()


def test_keys_page_shows_what_holds_it() -> None:
    team = new_team()
    account = new_account(team)
    key = new_key(account).key
    new_limit(team=team)
    new_limit(LimitMeasure.CONCURRENT, LimitPeriod.AT_ONCE, 3, key=key)
    page = signed_in(new_member(team, Role.OWNER)).get(reverse("key", args=[key.pk]))
    text = page.content.decode()
    assert "$1.00 a calendar month (UTC)" in text
    assert "3 calls at once" in text
