"""Alerts of limits: at the chosen percentages, once in each period, to whoever answers for them."""

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from accounts.audit import acting
from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from models_registry import limit_standings
from models_registry.limit_alerts import percent_due, tell_of_limits
from models_registry.limit_standings import LimitStanding
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit, set_limit
from tests.accounts.rows import new_account, new_key, new_member, new_person, new_team
from tests.models_registry.rows import new_model

pytestmark = pytest.mark.django_db


class Counts:
    """Says how limits stand, as a test wants them to."""

    def __init__(self) -> None:
        self.used: dict[uuid.UUID, int] = {}
        self.refusing: set[uuid.UUID] = set()

    def __call__(self, limits: Sequence[Limit]) -> dict[uuid.UUID, LimitStanding]:
        return {
            limit.pk: LimitStanding(self.used[limit.pk], 7, None, limit.pk in self.refusing)
            for limit in limits
            if limit.pk in self.used
        }


@pytest.fixture
def counts() -> Iterator[Counts]:
    """In the place of the store, which tests/flows asks itself."""
    before = list(limit_standings._sources)
    counts = Counts()
    limit_standings.answer_with(counts)
    yield counts
    limit_standings._sources[:] = before


def a_limit(setter: User, /, **subject: Any) -> Limit:
    """A soft one of 1,000 tokens a month that alerts at 50 and 80 %."""
    return set_limit(
        Subject(**subject),
        measure=LimitMeasure.TOKENS,
        period=LimitPeriod.CALENDAR_MONTH,
        amount=1_000,
        is_soft=True,
        alert_percents=[80, 50],
        actor=acting(setter),
    )


def told() -> list[tuple[str, int]]:
    """Who was told of which percentage, in the order in which it was told."""
    rows = Notification.objects.filter(kind=NotificationKind.LIMIT_ALERT).order_by("id")
    return [(row.email, row.facts["percent"]) for row in rows]


@pytest.mark.parametrize(
    ("used", "due"), [(0, None), (499, None), (500, 50), (799, 50), (800, 80), (5_000, 80)]
)
def test_highest_percentage_that_is_reached_is_due(used: int, due: int | None) -> None:
    limit = Limit(amount=1_000, alert_percents=[50, 80])
    assert percent_due(limit, LimitStanding(used, 0, None)) == due


@pytest.mark.parametrize(("is_soft", "told_of"), [(False, [50, 100]), (True, [50])])
def test_hard_limit_that_refuses_is_used_up_and_told_of_once(
    counts: Counts, is_soft: bool, told_of: list[int]
) -> None:
    limit = a_limit(new_person(), team=new_team())
    change_limit(limit, is_soft=is_soft, alert_percents=[50, 100, 120], actor=acting(new_person()))
    counts.used[limit.pk] = 600
    tell_of_limits()
    counts.used[limit.pk], counts.refusing = 930, {limit.pk}
    tell_of_limits()
    assert tell_of_limits() == 0
    assert sorted({percent for _, percent in told()}) == told_of


def test_each_percentage_is_told_once(counts: Counts) -> None:
    setter = new_person(is_administrator=True)
    limit = a_limit(setter, team=new_team())
    assert tell_of_limits() == 0
    for used, new in ((400, 0), (500, 1), (700, 0), (810, 1), (820, 0)):
        counts.used[limit.pk] = used
        assert tell_of_limits() == new
        assert tell_of_limits() == 0
    assert told() == [(setter.email, 50), (setter.email, 80)]
    facts = Notification.objects.latest("id").facts
    assert (facts["used"], facts["in_admin"]) == ("810 tokens", True)


def test_changed_amount_is_told_of_anew(counts: Counts) -> None:
    setter = new_person(is_administrator=True)
    limit = a_limit(setter, team=new_team())
    counts.used[limit.pk] = 500
    assert tell_of_limits() == 1
    change_limit(limit, amount=900, actor=acting(setter))
    assert tell_of_limits() == 1


def test_owners_and_managers_and_whoever_set_it_are_told_and_nobody_else(counts: Counts) -> None:
    team = new_team()
    owner, manager = new_member(team, Role.OWNER), new_member(team, Role.MANAGER)
    new_member(team)
    new_member(team, Role.AUDITOR)
    gone = new_member(team, Role.OWNER)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    setter, account = new_person(), new_account(team)
    for subject in (
        {"team": team},
        {"service_account": account},
        {"key": new_key(account).key},
        {"team": team, "person": manager},
        {"team": team, "model": new_model()},
        {"model": new_model(owner=team)},
    ):
        Notification.objects.all().delete()
        limit = a_limit(setter, **subject)
        counts.used = {limit.pk: 600}
        tell_of_limits()
        assert {email for email, _ in told()} == {owner.email, manager.email, setter.email}


def test_of_a_persons_own_limit_the_person_is_told(counts: Counts) -> None:
    setter, person = new_person(), new_person()
    limit = a_limit(setter, person=person)
    counts.used[limit.pk] = 600
    tell_of_limits()
    assert {email for email, _ in told()} == {person.email, setter.email}


def test_nothing_is_told_while_counts_are_away(counts: Counts) -> None:
    a_limit(new_person(), team=new_team())
    assert tell_of_limits() == 0
    assert not told()
