"""Who sees limits, and who may set them within what an administrator set."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.teams import Role
from models_registry.limit_access import access_limit, limits_of_key, limits_seen_by, may_change
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit
from models_registry.writes.limits_as import change_limit_as, remove_limit_as, set_limit_as
from tests.accounts.rows import new_account, new_key, new_member, new_team
from tests.models_registry.rows import new_limit, new_model
from tests.models_registry.test_limits import key_of

pytestmark = pytest.mark.django_db

FACTS: dict[str, Any] = {
    "measure": LimitMeasure.MICRO_USD,
    "period": LimitPeriod.CALENDAR_MONTH,
    "amount": 50,
}


def set_as(who: User, /, **subject: Any) -> Limit:
    return set_limit_as(who, Subject(**subject), **FACTS)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
def test_owners_and_managers_limit_keys_accounts_and_members(role: Role) -> None:
    team = new_team()
    person, member, account = new_member(team, role), new_member(team), new_account(team)
    for subject in (
        {"key": new_key(account).key},
        {"key": key_of(member, team)},
        {"service_account": account},
        {"team": team, "person": member},
    ):
        limit = set_as(person, **subject)
        assert not limit.by_administrator
        assert limit.set_by == person
        assert change_limit_as(person, limit, amount=10).amount == 10
        remove_limit_as(person, limit)


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
def test_members_and_auditors_set_none(role: Role) -> None:
    team = new_team()
    person, account = new_member(team, role), new_account(team)
    limit = new_limit(service_account=account, by_administrator=False)
    with pytest.raises(PermissionDenied):
        set_as(person, team=team, person=person)
    with pytest.raises(PermissionDenied):
        change_limit_as(person, limit, amount=1)
    with pytest.raises(PermissionDenied):
        remove_limit_as(person, limit)


def test_nobody_sets_a_limit_of_another_team() -> None:
    stranger = new_member(new_team(), Role.OWNER)
    account = new_account()
    limit = new_limit(service_account=account, by_administrator=False)
    for subject in ({"service_account": account}, {"key": new_key(account).key}):
        with pytest.raises(Http404):
            set_as(stranger, **subject)
    with pytest.raises(Http404):
        change_limit_as(stranger, limit, amount=1)
    with pytest.raises(Http404):
        remove_limit_as(stranger, limit)


def test_limits_of_the_team_of_a_person_and_of_a_model_are_administrators() -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    model = new_model()
    for subject in (
        {"team": team},
        {"person": owner},
        {"model": model},
        {"team": team, "model": model},
    ):
        with pytest.raises(PermissionDenied):
            set_as(owner, **subject)


def test_owner_stays_within_an_administrators_limit_and_leaves_it_alone() -> None:
    team = new_team()
    owner, account = new_member(team, Role.OWNER), new_account(team)
    of_team = new_limit(team=team, amount=49)
    of_account = new_limit(LimitMeasure.TOKENS, service_account=account)
    with pytest.raises(ValidationError, match="At most"):
        set_as(owner, service_account=account)
    for limit in (of_team, of_account):
        with pytest.raises(PermissionDenied):
            change_limit_as(owner, limit, amount=1)
        with pytest.raises(PermissionDenied):
            remove_limit_as(owner, limit)


def test_limit_that_an_administrator_changed_is_the_administrators() -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    limit = set_as(owner, service_account=new_account(team))
    assert may_change(owner, limit)
    change_limit(limit, amount=20, actor=COMMAND)
    with pytest.raises(PermissionDenied):
        change_limit_as(owner, limit, amount=30)


def seen(person: User) -> set[Any]:
    return set(limits_seen_by(person).values_list("pk", flat=True))


def world(team: Team, member: User) -> dict[str, Limit]:
    account = new_account(team)
    return {
        "team": new_limit(team=team),
        "team on model": new_limit(team=team, model=new_model()),
        "account": new_limit(service_account=account),
        "account's key": new_limit(key=new_key(account).key),
        "member": new_limit(team=team, person=member),
        "member's key": new_limit(key=key_of(member, team)),
        "person": new_limit(person=member),
        "model": new_limit(model=new_model()),
    }


EVERYBODY = {"team", "team on model", "account"}
WATCHED = EVERYBODY | {"account's key", "member", "member's key"}
SEEN = {
    Role.OWNER: WATCHED,
    Role.MANAGER: WATCHED,
    Role.AUDITOR: WATCHED,
    Role.MEMBER: EVERYBODY,
}


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_what_it_is_to_see(role: Role) -> None:
    team = new_team()
    limits = world(team, new_member(team))
    person = new_member(team, role)
    found = seen(person)
    assert {name for name, limit in limits.items() if limit.pk in found} == SEEN[role]
    for limit in limits.values():
        if limit.pk not in found:
            with pytest.raises(Http404):
                access_limit(person, limit.pk)


def test_person_sees_what_bounds_themself_and_nothing_of_other_teams() -> None:
    team = new_team()
    member = new_member(team)
    limits = world(team, member)
    own = EVERYBODY | {"member", "member's key", "person"}
    found = seen(member)
    assert {name for name, limit in limits.items() if limit.pk in found} == own
    assert not seen(new_member(new_team(), Role.OWNER))
    member.acts_in_team_id = new_team().pk
    assert not seen(member)


def test_key_shows_what_bounds_it_to_whoever_may_see_it() -> None:
    team = new_team()
    member, owner = new_member(team), new_member(team, Role.OWNER)
    key = key_of(member, team)
    person = new_limit(person=member)
    bounds = {
        new_limit(key=key).pk,
        new_limit(team=team).pk,
        new_limit(team=team, person=member).pk,
    }
    new_limit(team=team, model=new_model())
    new_limit(service_account=new_account(team))
    assert {limit.pk for limit in limits_of_key(owner, key)} == bounds
    assert {limit.pk for limit in limits_of_key(member, key)} == bounds | {person.pk}
