"""Tells the limits store what the ledger knows, of periods whose counts it may have lost or never had."""

import datetime
import logging
from collections.abc import Sequence
from typing import Any

import redis
from django.conf import settings
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from portal.lib.clock import utc_now
from proxy.call import CallStatus
from proxy.leases.rebuild import closed_names, forget_closed, may_ask_ledger, rebuild
from proxy.leases.window import MAX_AMOUNT
from proxy.limit_windows import window_of
from proxy.models import Adjustment, Call, first_id_since

_log = logging.getLogger("latchkey.limits")
_WITH_END = (*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM)
# Longer than a worker takes to come round again.
_CAUGHT_UP_AFTER = datetime.timedelta(minutes=10)
_SUBJECT = ("key_id", "service_account_id", "person_id", "team_id", "model_id")
_COLUMNS: dict[str, tuple[str, ...]] = {
    LimitMeasure.INPUT_TOKENS: ("input_tokens",),
    LimitMeasure.OUTPUT_TOKENS: ("output_tokens",),
    LimitMeasure.TOKENS: ("input_tokens", "output_tokens"),
    LimitMeasure.MICRO_USD: ("cost_micro_usd",),
}


def reopen_periods() -> bool:
    """Open every period that waits for its figures; False where one has to wait a little longer.

    The ledger is asked once every gateway that is heard of has shipped what was over by then.
    Raises: redis.RedisError, django.db.Error.
    """
    store_url = settings.LATCHKEY_LIMITS_URL
    names = closed_names(store_url)
    if not names:
        return True
    if not may_ask_ledger(store_url):
        return False
    now = utc_now()
    used = {
        window: used_of(limit, now=now)
        for limit in Limit.objects.filter(period__in=_WITH_END)
        if (window := window_of(limit, now=now)).store_name in names
    }
    if not rebuild(store_url, used):
        return False
    # Of what is left the period is over or the limit is gone; who still wants it names it again.
    forget_closed(store_url, names - {window.store_name for window in used})
    _log.info("Periods were opened with the ledger's figures.", extra={"periods": len(used)})
    return True


def open_written(limits: Sequence[Limit]) -> None:
    """Open the periods of limits that were just set or changed, for their first calls to find them open.

    Where the store is away, or too young to lend budgets, the first call has it done.
    """
    try:
        _tell(limits)
    except redis.RedisError as error:
        _log.warning("A limit's period is not open yet.", extra={"error": type(error).__name__})


def catch_up() -> int:
    """Count what calls used that ran when their limit was set, or ended just before; return how many limits are that young.

    Such calls hold nothing of the limit, and come into the ledger when they are over. Raises: redis.RedisError.
    """
    longest_s = settings.LATCHKEY_BODY_TIMEOUT_S + settings.LATCHKEY_TOTAL_TIMEOUT_S
    since = utc_now() - datetime.timedelta(seconds=longest_s) - _CAUGHT_UP_AFTER
    young = list(Limit.objects.filter(period_set_at__gt=since))
    _tell(young)
    return len(young)


def _tell(limits: Sequence[Limit]) -> None:
    """Have the store count at least what the ledger says of those limits whose periods end."""
    now = utc_now()
    used = {
        window_of(limit, now=now): used_of(limit, now=now)
        for limit in limits
        if limit.period in _WITH_END
    }
    if used:
        rebuild(settings.LATCHKEY_LIMITS_URL, used)


def used_of(limit: Limit, *, now: datetime.datetime, turn_s: int = 0, is_sure: bool = False) -> int:
    """What the ledger says was used of the limit in the period in which `now` lies.

    turn_s: leaves so much of its beginning out, or takes so much of what was before in. is_sure: of calls, only those
    that surely went to an upstream.
    """
    since, until = limit.created_at, None
    if limit.period in CALENDAR_PERIODS:
        _, since, until = calendar_period(LimitPeriod(limit.period), limit.zone, now=now)
    first = first_id_since(since + datetime.timedelta(seconds=turn_s))
    calls = Call.objects.filter(_subject_of(limit), id__gte=first)
    later = Adjustment.objects.filter(call_id__gte=first)
    if until is not None:
        calls = calls.filter(id__lt=first_id_since(until))
        later = later.filter(call_id__lt=first_id_since(until))
    if limit.measure == LimitMeasure.REQUESTS:
        counted_calls = calls.exclude(status=CallStatus.REFUSED)
        if is_sure:
            counted_calls = counted_calls.filter(upstream_us__gt=0)
        counted = counted_calls.aggregate(n=Count("id"))["n"]
    else:
        columns = _COLUMNS[limit.measure]
        later = later.filter(call_id__in=calls.values("id"))
        counted = _sum(calls, columns) + _sum(later, columns)
    return int(max(0, min(counted, MAX_AMOUNT)))


def _sum(rows: Any, columns: tuple[str, ...]) -> int:
    total = sum((F(column) for column in columns[1:]), start=F(columns[0]))
    return int(rows.aggregate(n=Coalesce(Sum(total), 0))["n"])


def _subject_of(limit: Limit) -> Q:
    named = {name: getattr(limit, name) for name in _SUBJECT if getattr(limit, name) is not None}
    return Q(**named)
