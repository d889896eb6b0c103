"""Limits as rows: what they may say, and that what is below another is never looser."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key
from models_registry.limit_words import limit_text
from models_registry.models import Limit, LimitMeasure, LimitPeriod, SubjectKind
from models_registry.writes.limits import Subject, change_limit, remove_limit, set_limit
from tests.accounts.rows import new_account, new_key, new_member, new_team, tomorrow
from tests.models_registry.rows import new_limit, new_model

pytestmark = pytest.mark.django_db

MONTH, TOKENS, MONEY = LimitPeriod.CALENDAR_MONTH, LimitMeasure.TOKENS, LimitMeasure.MICRO_USD


def key_of(person: User, team: Team) -> ApiKey:
    return issue_key(
        team,
        holder=person,
        name="Own",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    ).key


def key_of_account(account: ServiceAccount) -> ApiKey:
    return new_key(account).key


def member_of(team: Team) -> dict[str, Any]:
    return {"team": team, "person": new_member(team)}


SUBJECTS: dict[SubjectKind, Callable[[], dict[str, Any]]] = {
    SubjectKind.KEY: lambda: {"key": new_key().key},
    SubjectKind.SERVICE_ACCOUNT: lambda: {"service_account": new_account()},
    SubjectKind.PERSON: lambda: {"person": new_member(new_team())},
    SubjectKind.MEMBER: lambda: member_of(new_team()),
    SubjectKind.TEAM: lambda: {"team": new_team()},
    SubjectKind.MODEL: lambda: {"model": new_model()},
    SubjectKind.TEAM_MODEL: lambda: {"team": new_team(), "model": new_model()},
}


@pytest.mark.parametrize("kind", SubjectKind)
def test_limit_of_each_subject_is_set_once_changed_and_removed_with_an_entry_each(
    kind: SubjectKind,
) -> None:
    subject = SUBJECTS[kind]()
    limit = new_limit(**subject)
    assert limit.subject_kind is kind
    with pytest.raises(ValidationError) as twice:
        new_limit(**subject, amount=5)
    assert "period" in twice.value.message_dict
    change_limit(limit, amount=500_000, actor=COMMAND)
    change_limit(limit, amount=500_000, actor=COMMAND)
    remove_limit(limit, actor=COMMAND)
    remove_limit(limit, actor=COMMAND)
    assert not Limit.objects.filter(pk=limit.pk).exists()
    trail = AuditEntry.objects.filter(subject_id=limit.pk).order_by("id")
    assert [entry.tag for entry in trail] == ["limit.set", "limit.changed", "limit.removed"]
    assert trail[0].facts["of"] == kind.value
    assert (trail[1].facts["old_amount"], trail[1].facts["amount"]) == (1_000_000, 500_000)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"amount": 0}, "amount"),
    "less than nothing": ({"amount": -1}, "amount"),
    "more than can be counted": ({"amount": 10**15 + 1}, "amount"),
    "no such zone": ({"zone": "Europe/Atlantis"}, "zone"),
    "a path for a zone": ({"zone": "../etc/passwd"}, "zone"),
    "a zone without a calendar": ({"period": LimitPeriod.HOUR, "zone": "UTC"}, "zone"),
    "calls at once a day": (
        {"measure": LimitMeasure.CONCURRENT, "period": LimitPeriod.DAY},
        "period",
    ),
    "tokens at once": ({"period": LimitPeriod.AT_ONCE}, "period"),
    "soft by the second": ({"period": LimitPeriod.SECOND, "is_soft": True}, "alert_percents"),
    "no percentage": ({"alert_percents": [0]}, "alert_percents"),
    "too many percentages": ({"alert_percents": list(range(1, 12))}, "alert_percents"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_what_a_limit_cannot_say_is_refused_by_its_field(case: tuple[dict[str, Any], str]) -> None:
    changes, field = case
    facts: dict[str, Any] = {"measure": TOKENS, "period": MONTH, "amount": 1, "actor": COMMAND}
    team = new_team()
    with pytest.raises(ValidationError) as refused:
        set_limit(Subject(team=team), **(facts | changes))
    assert field in refused.value.message_dict
    assert not Limit.objects.filter(team=team).exists()
    set_limit(Subject(team=team), **facts)


@pytest.mark.parametrize("measure", [LimitMeasure.REQUESTS, LimitMeasure.TOKENS])
def test_what_stands_in_the_key_is_no_limit_beside_it(measure: LimitMeasure) -> None:
    key = new_key().key
    with pytest.raises(ValidationError, match="stand in the key itself"):
        new_limit(measure, LimitPeriod.MINUTE, key=key)
    new_limit(measure, LimitPeriod.HOUR, key=key)
    new_limit(LimitMeasure.INPUT_TOKENS, LimitPeriod.MINUTE, key=key)


SHAPELESS: dict[str, Callable[[], dict[str, Any]]] = {
    "nobody": dict,
    "a key and its team": lambda: {"key": new_key().key, "team": new_team()},
    "a person on a model": lambda: {"person": new_member(new_team()), "model": new_model()},
}


@pytest.mark.parametrize("make", SHAPELESS.values(), ids=SHAPELESS)
def test_limit_without_a_subject_of_a_known_shape_is_refused(
    make: Callable[[], dict[str, Any]],
) -> None:
    with pytest.raises(ValidationError, match="A limit is of a key"):
        new_limit(**make())


def test_member_limit_needs_a_member() -> None:
    with pytest.raises(ValidationError, match="no member"):
        new_limit(team=new_team(), person=new_member(new_team()))


ROWS: dict[str, dict[str, Any]] = {
    "no subject": {"team_id": None},
    "no amount": {"amount": 0},
    "an unknown measure": {"measure": "bytes"},
    "a calendar without a zone": {"zone": ""},
    "a length with a zone": {"period": "hour"},
    "concurrent calls a month": {"measure": "concurrent"},
}


@pytest.mark.parametrize("change", ROWS.values(), ids=ROWS)
def test_database_refuses_what_no_write_makes(change: dict[str, Any]) -> None:
    limit = new_limit(team=new_team())
    with pytest.raises(IntegrityError), transaction.atomic():
        Limit.objects.filter(pk=limit.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        limit.pk = None
        limit.save(force_insert=True)


def test_key_is_bound_by_its_account_and_its_team() -> None:
    account = new_account()
    new_limit(team=account.team, amount=100)
    with pytest.raises(ValidationError, match=r"At most \$0\.0001: the team"):
        new_limit(service_account=account, amount=101)
    new_limit(service_account=account, amount=50)
    with pytest.raises(ValidationError, match=r"At most \$0\.00005: the service account"):
        new_limit(key=key_of_account(account), amount=51)
    new_limit(key=key_of_account(account), amount=50)


def test_own_key_is_bound_by_the_person_the_member_and_the_team() -> None:
    team = new_team()
    person = new_member(team)
    key = key_of(person, team)
    for subject, amount in (
        ({"person": person}, 90),
        ({"team": team}, 80),
        ({"person": person, "team": team}, 70),
    ):
        limit = new_limit(amount=amount, **subject)
        with pytest.raises(ValidationError, match="At most"):
            new_limit(key=key, amount=amount + 1)
        if subject == {"person": person, "team": team}:
            with pytest.raises(ValidationError, match="At most"):
                change_limit(limit, amount=81, actor=COMMAND)
    new_limit(key=key, amount=70)


def test_team_on_a_model_is_bound_by_the_team_and_by_the_model() -> None:
    team, model = new_team(), new_model()
    new_limit(team=team, amount=100)
    new_limit(model=model, amount=60)
    with pytest.raises(ValidationError, match="the model"):
        new_limit(team=team, model=model, amount=61)
    new_limit(team=team, model=model, amount=60)


def test_other_measures_periods_teams_and_soft_limits_do_not_bind() -> None:
    account = new_account()
    new_limit(TOKENS, MONTH, 1, team=account.team)
    new_limit(MONEY, LimitPeriod.DAY, 1, team=account.team)
    new_limit(MONEY, MONTH, 1, team=new_team())
    new_limit(MONEY, LimitPeriod.HOUR, 1, team=account.team, is_soft=True)
    new_limit(MONEY, MONTH, 1_000, service_account=account)
    new_limit(MONEY, LimitPeriod.HOUR, 1_000, service_account=account)


def test_tightening_a_team_tightens_what_became_looser_below_and_says_so() -> None:
    account = new_account()
    above = new_limit(team=account.team, amount=100)
    looser = new_limit(service_account=account, amount=80)
    key = new_limit(key=key_of_account(account), amount=80)
    tighter = new_limit(key=key_of_account(account), amount=10)
    elsewhere = new_limit(team=new_team(), amount=80)
    change_limit(above, amount=40, actor=COMMAND)
    amounts = {limit.pk: limit.amount for limit in Limit.objects.all()}
    assert [amounts[one.pk] for one in (looser, key, tighter, elsewhere)] == [40, 40, 10, 80]
    entries = AuditEntry.objects.filter(tag=AuditTag.LIMIT_CHANGED).exclude(subject_id=above.pk)
    assert {entry.facts["narrowed_by"] for entry in entries} == {str(above.pk)}
    assert {entry.subject_id for entry in entries} == {looser.pk, key.pk}


def test_new_limit_above_tightens_what_is_below() -> None:
    team, model = new_team(), new_model()
    below = new_limit(team=team, model=model, amount=100)
    new_limit(model=model, amount=30)
    below.refresh_from_db()
    assert below.amount == 30


def test_soft_limit_without_percentages_alerts_at_80_and_100() -> None:
    limit = new_limit(team=new_team(), is_soft=True)
    assert limit.alert_percents == [80, 100]
    hard = new_limit(team=new_team())
    assert hard.alert_percents == []
    assert change_limit(hard, is_soft=True, actor=COMMAND).alert_percents == [80, 100]


def test_limits_end_with_their_subject() -> None:
    team = new_team()
    member = new_member(team, Role.MEMBER)
    limit = new_limit(team=team, person=member)
    member.delete()
    assert not Limit.objects.filter(pk=limit.pk).exists()


def test_limit_is_written_as_people_say_it() -> None:
    assert limit_text(new_limit(team=new_team())) == "$1.00 a calendar month (UTC)"
    hourly = new_limit(TOKENS, LimitPeriod.HOUR, 12_000, team=new_team())
    assert limit_text(hourly) == "12,000 tokens an hour"
    at_once = new_limit(LimitMeasure.CONCURRENT, LimitPeriod.AT_ONCE, 3, team=new_team())
    assert limit_text(at_once) == "3 calls at once"
