"""Periods that the limits store knows nothing of are opened with what the ledger says."""

import asyncio
import datetime
import time
from typing import Any

import pytest
import redis

from accounts.audit import COMMAND
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import change_limit
from portal.lib.clock import utc_now
from proxy.closed_periods import catch_up, open_written, reopen_periods
from proxy.leases.accounts import read_accounts
from proxy.leases.book import LeaseBook
from proxy.leases.rebuild import closed_names, rebuild
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.request import STATE_KEY
from proxy.leases.standings import read_standings
from proxy.leases.window import Window
from proxy.ledger_use import used_of
from proxy.limit_windows import window_of
from tests.accounts.rows import new_key
from tests.models_registry.rows import new_limit, new_model
from tests.proxy.leases.endings import age_epoch
from tests.proxy.ledger_rows import call_with, correct

pytestmark = pytest.mark.django_db
FIGURES: dict[str, Any] = {"input_tokens": 70, "output_tokens": 30, "cost_micro_usd": 900}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("requests", 2),
        ("input_tokens", 140),
        ("output_tokens", 65),
        ("tokens", 205),
        ("micro_usd", 1850),
    ],
)
def test_ledger_counts_each_measure_with_its_corrections_and_without_refusals(
    measure: str, expected: int
) -> None:
    key = new_key().key
    limit = new_limit(LimitMeasure(measure), LimitPeriod.CALENDAR_MONTH, 10**6, team=key.team)
    corrected = call_with(key, **FIGURES)
    correct(corrected, output_tokens=5, cost_micro_usd=50)
    call_with(key, **FIGURES)
    call_with(key, status="refused")
    call_with(new_key().key, **FIGURES)
    assert used_of(limit, now=utc_now()) == expected
    later = utc_now() + datetime.timedelta(days=32)
    assert used_of(limit, now=later) == 0


def test_limit_of_a_team_on_a_model_counts_that_model_alone() -> None:
    key, model = new_key().key, new_model()
    limit = new_limit(
        LimitMeasure.MICRO_USD, LimitPeriod.FIXED_SUM, 10**6, team=key.team, model=model
    )
    call_with(key, model, **FIGURES)
    call_with(key, new_model(), **FIGURES)
    assert used_of(limit, now=utc_now()) == 900


def test_fixed_sum_counts_from_when_it_was_set() -> None:
    key = new_key().key
    call_with(key, **FIGURES)
    limit = new_limit(LimitMeasure.MICRO_USD, LimitPeriod.FIXED_SUM, 10**6, team=key.team)
    Limit.objects.filter(pk=limit.pk).update(created_at=utc_now() + datetime.timedelta(seconds=1))
    limit.refresh_from_db()
    assert used_of(limit, now=utc_now()) == 0


def grow_old(store_url: str) -> None:
    """Let the store be one that lends budgets."""
    # One that nobody has asked yet is as old as this question.
    rebuild(store_url, {})
    with redis.Redis.from_url(store_url) as client:
        age_epoch(client)


def used_now(store_url: str, limit: Limit) -> tuple[int, bool]:
    """What stands in the limit's count, and whether it still waits for it."""
    (standing,) = read_standings(store_url, [window_of(limit, now=utc_now())])
    return standing.used, standing.is_closed


async def spend(store_url: str, window: Window, amount: int) -> None:
    """Call once, and settle to what was taken."""
    book = LeaseBook(store_url, process_id="test", call_timeout_s=5.0)
    await book.start()
    try:
        book.settle(await book.reserve([(window, amount)]), [amount])
    finally:
        await book.stop()


async def want(store_url: str, window: Window) -> None:
    """Call once, and be refused for want of figures."""
    book = LeaseBook(store_url, process_id="test", call_timeout_s=5.0)
    await book.start()
    try:
        with pytest.raises(StoreAway):
            await book.reserve([(window, 1)])
    finally:
        await book.stop()


def test_period_that_a_caller_wanted_opens_with_its_figures(limits_url: str) -> None:
    key = new_key().key
    call_with(key, **FIGURES)
    window = window_of(new_limit(team=key.team), now=utc_now())
    asyncio.run(want(limits_url, window))
    assert window.store_name in closed_names(limits_url)
    grow_old(limits_url)
    with redis.Redis.from_url(limits_url) as client:
        client.hset(STATE_KEY, "bgateway", round(time.time() * 1_000_000) + 1_000_000)
        assert not reopen_periods(), "What that gateway has to ship may be of this period."
        client.hdel(STATE_KEY, "bgateway")
    assert reopen_periods()
    (standing,) = read_standings(limits_url, [window])
    assert (standing.used, standing.held, standing.is_closed) == (900, 0, False)
    assert closed_names(limits_url) == set()


@pytest.mark.parametrize(
    ("measure", "expected"), [("requests", 3), ("tokens", 105), ("micro_usd", 903)]
)
def test_store_that_was_lost_counts_calls_without_an_end_at_their_worst(
    limits_url: str, measure: str, expected: int
) -> None:
    key = new_key().key
    dearest = {
        "price_input_micro_usd_per_million": 40_000,
        "price_reasoning_micro_usd_per_million": 50_000,
    }
    begun: dict[str, Any] = {"status": "interrupted", "reserved_tokens": 55} | dearest
    call_with(key, **FIGURES)
    correct(call_with(key, **begun), output_tokens=-50)
    call_with(key, **begun)
    limit = new_limit(LimitMeasure(measure), LimitPeriod.CALENDAR_MONTH, 10**6, team=key.team)
    window = window_of(limit, now=utc_now())
    asyncio.run(want(limits_url, window))
    grow_old(limits_url)
    assert reopen_periods()
    assert used_now(limits_url, limit) == (expected, False)
    (account,) = read_accounts(limits_url, [window])
    assert account.used == account.opening + account.unended


@pytest.mark.parametrize("period", [LimitPeriod.CALENDAR_MONTH, LimitPeriod.FIXED_SUM])
def test_limit_that_is_set_is_open_before_its_first_call_and_counts_the_period(
    limits_url: str, period: LimitPeriod, django_capture_on_commit_callbacks: Any
) -> None:
    key = new_key().key
    call_with(key, **FIGURES)
    grow_old(limits_url)
    with django_capture_on_commit_callbacks(execute=True):
        limit = new_limit(LimitMeasure.MICRO_USD, period, 1000, team=key.team)
    # Of a fixed sum nothing was used before it was set.
    before = 900 if period == LimitPeriod.CALENDAR_MONTH else 0
    assert used_now(limits_url, limit) == (before, False)
    window = window_of(limit, now=utc_now())
    asyncio.run(spend(limits_url, window, 1000 - before))
    with pytest.raises(LimitReached):
        asyncio.run(spend(limits_url, window, 1))


def test_limit_set_anew_in_a_month_counts_the_month_anew(limits_url: str) -> None:
    key = new_key().key
    grow_old(limits_url)
    first = new_limit(team=key.team)
    open_written([first])
    first.delete()
    call_with(key, **FIGURES)
    again = new_limit(team=key.team)
    open_written([again])
    assert used_now(limits_url, again) == (900, False)


def test_limit_of_another_zone_counts_its_own_month_from_the_ledger(limits_url: str) -> None:
    key = new_key().key
    limit = new_limit(team=key.team)
    Limit.objects.update(period_set_at=utc_now() - datetime.timedelta(days=40))
    limit.refresh_from_db()
    before = window_of(limit, now=utc_now())
    assert not before.has_past
    grow_old(limits_url)
    call_with(key, **FIGURES)
    changed = change_limit(limit, zone="Europe/Berlin", actor=COMMAND)
    assert window_of(changed, now=utc_now()).name != before.name
    open_written([changed])
    assert used_now(limits_url, changed) == (900, False)
    assert window_of(changed, now=utc_now() + datetime.timedelta(days=32)).has_past is False


def test_calls_that_ran_when_their_limit_was_set_are_counted_when_they_are_over(
    limits_url: str,
) -> None:
    key = new_key().key
    grow_old(limits_url)
    limit = new_limit(team=key.team)
    open_written([limit])
    asyncio.run(spend(limits_url, window_of(limit, now=utc_now()), 50))
    call_with(key, cost_micro_usd=50)
    call_with(key, **FIGURES)
    for _ in range(2):
        assert catch_up() == 1
        assert used_now(limits_url, limit) == (950, False), "Nothing counts twice."
    Limit.objects.update(period_set_at=utc_now() - datetime.timedelta(hours=2))
    assert catch_up() == 0


def test_limit_that_is_set_while_the_store_is_too_young_is_opened_later(limits_url: str) -> None:
    key = new_key().key
    call_with(key, **FIGURES)
    with redis.Redis.from_url(limits_url) as client:
        client.delete(STATE_KEY)
    limit = new_limit(team=key.team)
    open_written([limit])
    assert not reopen_periods()
    grow_old(limits_url)
    assert reopen_periods()
    assert used_now(limits_url, limit) == (900, False)


def test_name_of_a_period_without_a_limit_is_struck_out(limits_url: str) -> None:
    limit = new_limit(team=new_key().key.team)
    window = window_of(limit, now=utc_now())
    limit.delete()
    asyncio.run(want(limits_url, window))
    grow_old(limits_url)
    assert reopen_periods()
    assert closed_names(limits_url) == set()
    assert read_standings(limits_url, [window])[0].is_closed
