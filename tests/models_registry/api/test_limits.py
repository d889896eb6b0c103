"""Limits by the API: the same bounds as in the portal and the admin, and no key loosens what bounds itself."""

from typing import Any

import pytest

from accounts.models import AuditEntry
from accounts.models.keys import Scope
from accounts.models.teams import Role
from models_registry.models import Limit
from tests.accounts.rows import new_account, new_key, new_member, new_person, new_team
from tests.asking_api import (
    Asker,
    administrator,
    code_of,
    data_of,
    fields_of,
    member_of,
    personal_key,
)
from tests.models_registry.rows import new_limit, new_model

pytestmark = pytest.mark.django_db

MONTH = {"measure": "micro_usd", "period": "calendar_month", "amount": 50}


def test_limit_is_set_read_changed_and_removed_by_whoever_manages_the_team() -> None:
    team = new_team()
    account = new_account(team)
    manager = member_of(team, Role.MANAGER)
    body = MONTH | {"service_account_id": str(account.pk), "zone": "Europe/Berlin"}
    made = data_of(manager.post("limits", body), 201)
    assert made["of"] == "service_account"
    assert (made["zone"], made["by_administrator"]) == ("Europe/Berlin", False)
    assert data_of(manager.get(f"limits/{made['id']}")) == made
    changed = data_of(manager.patch(f"limits/{made['id']}", {"amount": 40, "alert_percents": [90]}))
    assert (changed["amount"], changed["alert_percents"]) == (40, [90])
    assert [one["id"] for one in data_of(manager.get(f"limits?team={team.slug}"))["data"]] == [
        made["id"]
    ]
    assert manager.delete(f"limits/{made['id']}").status_code == 204
    assert code_of(manager.get(f"limits/{made['id']}")) == "not_found"
    tags = AuditEntry.objects.filter(subject_id=made["id"]).values_list("tag", flat=True)
    assert list(tags.order_by("id")) == ["limit.set", "limit.changed", "limit.removed"]


def test_limit_of_a_member_is_of_a_member_of_the_team() -> None:
    team = new_team()
    owner, member = member_of(team, Role.OWNER), new_member(team)
    body = MONTH | {"team_id": str(team.pk), "person_id": str(member.pk)}
    assert data_of(owner.post("limits", body), 201)["of"] == "member"
    stranger = body | {"person_id": str(new_person().pk)}
    assert fields_of(owner.post("limits", stranger)) == {"person_id"}
    assert fields_of(owner.post("limits", MONTH | {"person_id": str(member.pk)})) == {"person_id"}
    assert code_of(owner.post("limits", MONTH | {"team_id": str(team.pk)})) == "forbidden"
    assert code_of(owner.post("limits", MONTH | {"team_id": str(new_team().pk)})) == "not_found"


def test_limit_above_is_named_and_an_administrators_stays() -> None:
    team = new_team()
    account = new_account(team)
    of_team = new_limit(team=team, amount=49)
    owner = member_of(team, Role.OWNER)
    body = MONTH | {"service_account_id": str(account.pk)}
    refused = owner.post("limits", body)
    assert fields_of(refused) == {"amount"}
    assert b"the team has this limit" in refused.content
    made = data_of(owner.post("limits", body | {"amount": 49}), 201)
    assert code_of(owner.patch(f"limits/{of_team.pk}", {"amount": 1})) == "forbidden"
    assert code_of(owner.delete(f"limits/{of_team.pk}")) == "forbidden"
    admin = administrator()
    data_of(admin.patch(f"admin/limits/{of_team.pk}", {"amount": 20}))
    assert data_of(owner.get(f"limits/{made['id']}"))["amount"] == 20
    data_of(admin.patch(f"admin/limits/{made['id']}", {"amount": 10}))
    assert code_of(owner.patch(f"limits/{made['id']}", {"amount": 5})) == "forbidden"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no amount": ({"amount": 0}, "amount"),
    "a number as text": ({"amount": "5"}, "amount"),
    "a fraction": ({"amount": 1.5}, "amount"),
    "more than is counted": ({"amount": 10**15 + 1}, "amount"),
    "unknown measure": ({"measure": "bytes"}, "measure"),
    "unknown period": ({"period": "year"}, "period"),
    "unknown zone": ({"zone": "Mars"}, "zone"),
    "a zone with a NUL": ({"zone": "UTC\x00"}, "zone"),
    "percentages as text": ({"alert_percents": "80"}, "alert_percents"),
    "a percentage of nothing": ({"alert_percents": [0]}, "alert_percents"),
    "a model in the portal's part": ({"model": "m"}, "model"),
    "whose it is said twice": ({"key_id": ""}, "key_id"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_value_that_is_not_accepted_is_named(case: tuple[dict[str, Any], str]) -> None:
    change, field = case
    team = new_team()
    owner = member_of(team, Role.OWNER)
    body = MONTH | {"service_account_id": str(new_account(team).pk)}
    assert {name.split(".")[0] for name in fields_of(owner.post("limits", body | change))} == {
        field
    }
    assert not Limit.objects.exists()
    data_of(owner.post("limits", body), 201)


def test_limit_of_two_subjects_is_refused() -> None:
    team = new_team()
    account = new_account(team)
    owner = member_of(team, Role.OWNER)
    both = {"service_account_id": str(account.pk), "key_id": str(new_key(account).key.pk)}
    assert fields_of(owner.post("limits", MONTH | both)) == {"subject"}
    assert code_of(owner.post("limits", MONTH)) == "forbidden"


def test_key_cannot_change_or_remove_what_bounds_itself() -> None:
    team = new_team()
    person = new_member(team, Role.OWNER)
    issued = personal_key(person, team)
    by_key, by_session = Asker(text=issued.text), Asker(person=person)
    for subject in ({"key": issued.key}, {"team": team, "person": person}):
        limit = new_limit(by_administrator=False, **subject)
        assert code_of(by_key.patch(f"limits/{limit.pk}", {"amount": 10**9})) == "forbidden"
        assert code_of(by_key.delete(f"limits/{limit.pk}")) == "forbidden"
        data_of(by_session.patch(f"limits/{limit.pk}", {"amount": 10**9}))


def test_what_bounds_a_key_is_listed() -> None:
    team = new_team()
    account = new_account(team)
    key = new_key(account).key
    limits = {new_limit(key=key).pk, new_limit(service_account=account).pk, new_limit(team=team).pk}
    new_limit(service_account=new_account(team))
    owner = member_of(team, Role.OWNER)
    listed = data_of(owner.get(f"keys/{key.pk}/limits"))["data"]
    assert {one["id"] for one in listed} == {str(one) for one in limits}
    assert code_of(member_of(new_team(), Role.OWNER).get(f"keys/{key.pk}/limits")) == "not_found"


def test_administrator_limits_people_teams_models_and_use_of_a_model() -> None:
    admin, model, team = administrator(), new_model(), new_team()
    for subject, of in (
        ({"team_id": str(team.pk)}, "team"),
        ({"person_id": str(new_person().pk)}, "person"),
        ({"model": model.name}, "model"),
        ({"model": model.name, "team_id": str(team.pk)}, "team_model"),
    ):
        made = data_of(admin.post("admin/limits", MONTH | subject), 201)
        assert (made["of"], made["by_administrator"]) == (of, True)
        found = data_of(admin.get(f"admin/limits?of={of}&measure=micro_usd"))["data"]
        assert [one["id"] for one in found] == [made["id"]]
    of_team = data_of(admin.get(f"admin/limits?team_id={team.pk}"))["data"]
    assert {one["of"] for one in of_team} == {"team", "team_model"}
    assert fields_of(admin.post("admin/limits", MONTH | {"model": "none"})) == {"model"}
    assert admin.delete(f"admin/limits/{of_team[0]['id']}").status_code == 204
    # A key that only manages opens none of it, whoever holds it.
    managing = personal_key(new_member(team, Role.OWNER), team, Scope.MANAGE)
    assert code_of(Asker(text=managing.text).get("admin/limits")) in {"forbidden", "scope_missing"}
