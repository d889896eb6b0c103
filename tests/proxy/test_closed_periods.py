"""Periods that the limits store knows nothing of are opened with what the ledger says."""

import asyncio
import datetime
from typing import Any

import pytest
import redis

from models_registry.models import Limit, LimitMeasure, LimitPeriod
from portal.lib.clock import utc_now
from proxy.closed_periods import reopen_periods, used_of
from proxy.leases.book import LeaseBook
from proxy.leases.rebuild import closed_names
from proxy.leases.refusals import StoreAway
from proxy.leases.standings import read_standings
from proxy.leases.window import Window
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
    with redis.Redis.from_url(limits_url) as client:
        age_epoch(client)
    assert reopen_periods()
    (standing,) = read_standings(limits_url, [window])
    assert (standing.used, standing.held, standing.is_closed) == (900, 0, False)
    assert closed_names(limits_url) == set()


def test_name_of_a_period_without_a_limit_is_struck_out(limits_url: str) -> None:
    limit = new_limit(team=new_key().key.team)
    window = window_of(limit, now=utc_now())
    limit.delete()
    asyncio.run(want(limits_url, window))
    with redis.Redis.from_url(limits_url) as client:
        age_epoch(client)
    assert reopen_periods()
    assert closed_names(limits_url) == set()
    assert read_standings(limits_url, [window])[0].is_closed
