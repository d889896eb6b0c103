"""Sums are reckoned once until something is counted anew, and are nobody else's."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext, override_settings

from accounts.models import Team, User
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from proxy.access import Sight, sight_of
from proxy.usage.kept import kept_summary
from proxy.usage.span import Span, days_until
from tests.accounts.rows import new_member, new_team
from tests.proxy.ledger_rows import new_call

pytestmark = pytest.mark.django_db
NOWHERE = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    }
}


def this_week() -> Span:
    return days_until(utc_now().date(), 7)


def calls_of(sight: Sight) -> tuple[int, int]:
    """How many calls are told of, and how many queries summed them up."""
    with CaptureQueriesContext(connection) as queries:
        total = kept_summary(sight, this_week()).total.calls
    return total, sum("sum(calls)" in query["sql"] for query in queries)


@pytest.fixture
def team() -> Team:
    return new_team()


@pytest.fixture
def owner(team: Team) -> User:
    return new_member(team, Role.OWNER)


def test_sums_are_reckoned_once_until_something_is_counted(team: Team, owner: User) -> None:
    new_call(team)
    sight = sight_of(owner)
    assert calls_of(sight) == (1, 2)
    assert calls_of(sight) == (1, 0)
    new_call(team)
    assert calls_of(sight) == (2, 2)
    assert calls_of(sight_of(new_member(team, Role.AUDITOR))) == (2, 0)


def test_other_days_are_other_sums(team: Team, owner: User) -> None:
    new_call(team)
    assert calls_of(sight_of(owner)) == (1, 2)
    before = days_until(this_week().first, 7)
    assert kept_summary(sight_of(owner), Span(before.first, before.first)).total.calls == 0


def test_nobody_reads_the_sums_of_another(team: Team, owner: User) -> None:
    one, other = new_member(team), new_member(team)
    new_call(team, one)
    assert calls_of(sight_of(one)) == (1, 2)
    assert calls_of(sight_of(other)) == (0, 2)
    assert calls_of(sight_of(owner)) == (1, 2)
    assert calls_of(sight_of(new_member(new_team(), Role.OWNER))) == (0, 2)


def test_without_the_cache_sums_are_reckoned_each_time(team: Team, owner: User) -> None:
    new_call(team)
    sight = sight_of(owner)
    with override_settings(CACHES=NOWHERE):
        assert calls_of(sight) == (1, 2)
        assert calls_of(sight) == (1, 2)
    cache.clear()
    assert calls_of(sight) == (1, 2)
