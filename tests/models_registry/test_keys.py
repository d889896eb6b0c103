"""T7: nobody issues a key wider than what they may do themselves."""

import datetime
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import IssuedKey
from accounts.writes.teams import disable_service_account, disable_team
from models_registry.models import KeyModel, LimitMeasure, LimitPeriod, Visibility
from models_registry.writes.keys import DAYS_MAX, issue_key_as
from portal.lib.clock import days_ahead, utc_now
from tests.accounts.rows import REASON, new_account, new_member, new_person, new_team, tomorrow
from tests.models_registry.rows import new_limit, new_offer

pytestmark = pytest.mark.django_db
ISSUE_THEIR_OWN = {Role.OWNER, Role.MANAGER, Role.MEMBER}
ISSUE_FOR_ACCOUNTS = {Role.OWNER, Role.MANAGER}


def issue(person: User, team: Team, holder: ServiceAccount | User, **changes: Any) -> IssuedKey:
    facts: dict[str, Any] = {"name": "First", "scopes": [Scope.CHAT], "expires_at": tomorrow()}
    return issue_key_as(person, team=team, holder=holder, **(facts | changes))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("of_account", [False, True])
def test_each_role_issues_as_its_rights_say(role: Role, of_account: bool) -> None:
    account = new_account()
    person = new_member(account.team, role)
    holder = account if of_account else person
    if role in (ISSUE_FOR_ACCOUNTS if of_account else ISSUE_THEIR_OWN):
        key = issue(person, account.team, holder).key
        entry = AuditEntry.objects.get(tag=AuditTag.KEY_ISSUED, subject_id=key.pk)
        assert (entry.actor_id, key.created_by) == (person.pk, person.pk)
    else:
        with pytest.raises(PermissionDenied):
            issue(person, account.team, holder)
        assert not account.team.keys.exists()


@pytest.mark.parametrize("of", ["team", "account"])
def test_key_is_no_looser_in_a_minute_than_a_limit_above_it(of: str) -> None:
    account = new_account()
    owner = new_member(account.team, Role.OWNER)
    above = {"service_account": account} if of == "account" else {"team": account.team}
    new_limit(LimitMeasure.REQUESTS, LimitPeriod.MINUTE, 10, **above)
    new_limit(LimitMeasure.TOKENS, LimitPeriod.HOUR, 10, **above)
    new_limit(LimitMeasure.REQUESTS, LimitPeriod.MINUTE, 5, team=new_team())
    with pytest.raises(ValidationError, match="nothing below may be looser") as refused:
        issue(owner, account.team, account, requests_per_minute=11)
    assert set(refused.value.message_dict) == {"requests_per_minute"}
    assert not account.team.keys.exists()
    issue(owner, account.team, account, requests_per_minute=10, tokens_per_minute=11)
    issue(owner, account.team, account)


def test_nobody_issues_a_key_for_another_person() -> None:
    team = new_team()
    owner, member = new_member(team, Role.OWNER), new_member(team)
    with pytest.raises(PermissionDenied):
        issue(owner, team, member)
    assert issue(member, team, member)


def test_other_teams_and_their_accounts_are_out_of_reach() -> None:
    team, other = new_team(), new_account()
    owner = new_member(team, Role.OWNER)
    with pytest.raises(Http404):
        issue(owner, other.team, other)
    with pytest.raises(ValidationError):
        issue(owner, team, other)
    with pytest.raises(Http404):
        issue(owner, other.team, owner)
    with pytest.raises(Http404):
        issue(new_person(is_administrator=True), team, new_account(team))
    assert not ApiKey.objects.filter(team__in=[team, other.team]).exists()
    assert issue(owner, team, new_account(team))


@pytest.mark.parametrize("disabled", ["team", "account"])
def test_what_is_disabled_gets_no_key(disabled: str) -> None:
    account = new_account()
    owner = new_member(account.team, Role.OWNER)
    if disabled == "team":
        disable_team(account.team, actor=COMMAND, reason=REASON)
    else:
        disable_service_account(account, actor=COMMAND, reason=REASON)
        account.refresh_from_db()
    with pytest.raises((Http404, ValidationError)):
        issue(owner, account.team, account)
    assert not account.keys.exists()


WIDER: dict[str, tuple[dict[str, Any], str]] = {
    "calls": (
        {"requests_per_minute": settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE + 1},
        "requests_per_minute",
    ),
    "tokens": (
        {"tokens_per_minute": settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE + 1},
        "tokens_per_minute",
    ),
    "no calls": ({"requests_per_minute": 0}, "requests_per_minute"),
    "time": ({"expires_at": days_ahead(DAYS_MAX) + datetime.timedelta(hours=1)}, "expires_at"),
    "past": ({"expires_at": utc_now() - datetime.timedelta(seconds=1)}, "expires_at"),
    "administering": ({"scopes": [Scope.CHAT, Scope.ADMINISTER]}, "scopes"),
    "nothing": ({"scopes": []}, "scopes"),
    "a network": ({"networks": ["10.0.0.1/8"]}, "networks"),
    "an empty list": ({"models": []}, "models"),
    "a hidden model": ({"models": "hidden"}, "models"),
    "many models": ({"models": "many"}, "models"),
}


@pytest.mark.parametrize("case", WIDER.values(), ids=WIDER)
def test_key_that_is_too_wide_is_refused_by_name(case: tuple[dict[str, Any], str]) -> None:
    changes, field = case
    team = new_team()
    member = new_member(team)
    if changes.get("models") == "hidden":
        changes = {"models": [new_offer(), new_offer(visibility=Visibility.GRANTED)]}
    elif changes.get("models") == "many":
        changes = {"models": [new_offer() for _ in range(51)]}
    with pytest.raises(ValidationError) as refused:
        issue(member, team, member, **changes)
    assert list(refused.value.message_dict) == [field]
    assert not team.keys.exists()
    most = {
        "requests_per_minute": settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE,
        "tokens_per_minute": settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE,
        "expires_at": days_ahead(DAYS_MAX),
    }
    assert issue(member, team, member, scopes=[Scope.CHAT, Scope.MANAGE], **most)


def test_accounts_key_cannot_manage() -> None:
    account = new_account()
    owner = new_member(account.team, Role.OWNER)
    with pytest.raises(ValidationError, match="person"):
        issue(owner, account.team, account, scopes=[Scope.MANAGE])
    assert issue(owner, account.team, account)


def test_administrator_alone_gets_a_key_that_administers() -> None:
    team, administrator = new_team(), new_person(is_administrator=True)
    team.memberships.create(person=administrator, role=Role.MEMBER)
    issued = issue(administrator, team, administrator, scopes=[Scope.ADMINISTER])
    assert issued.key.scopes == [Scope.ADMINISTER]


def test_key_is_issued_narrow_in_one_act() -> None:
    team, model = new_team(), new_offer()
    member = new_member(team)
    key = issue(member, team, member, models=[model]).key
    assert key.is_narrowed
    assert list(KeyModel.objects.filter(key=key).values_list("model_id", flat=True)) == [model.pk]
    assert not issue(member, team, member).key.is_narrowed
