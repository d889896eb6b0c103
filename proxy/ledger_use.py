"""What the ledger says was used of a limit, and what may have been used beyond that."""

import datetime
from typing import Any

from django.db.models import Count, DecimalField, Exists, F, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Cast, Ceil, Coalesce, Greatest

from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from proxy.call import CallStatus
from proxy.leases.window import MAX_AMOUNT, Window
from proxy.limit_windows import window_of
from proxy.models import Adjustment, Call, UnattributedUse, first_id_since

_SUBJECT = ("key_id", "service_account_id", "person_id", "team_id", "model_id")
_COLUMNS: dict[str, tuple[str, ...]] = {
    LimitMeasure.INPUT_TOKENS: ("input_tokens",),
    LimitMeasure.OUTPUT_TOKENS: ("output_tokens",),
    LimitMeasure.TOKENS: ("input_tokens", "output_tokens"),
    LimitMeasure.MICRO_USD: ("cost_micro_usd",),
}
_PRICES = ("input", "cached", "output", "reasoning", "audio_input", "audio_output")
_EXACT = DecimalField(max_digits=40, decimal_places=0)


def used_of(limit: Limit, *, now: datetime.datetime, turn_s: int = 0, is_sure: bool = False) -> int:
    """What the ledger says was used of the limit in the period in which `now` lies.

    turn_s: leaves so much of its beginning out, or takes so much of what was before in. is_sure: of calls, only those
    that surely went to an upstream.
    """
    calls, later = _rows_of(limit, now=now, turn_s=turn_s)
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


def unended_of(limit: Limit, *, now: datetime.datetime) -> int:
    """The most that calls used of which the ledger knows no end: they were interrupted, or their journal never came.

    While the store lives, what their processes held stands for them in it. What was booked of them as unattributed and
    what the ledger knows of their beginnings are mostly the same calls, so that the larger of both counts.
    """
    return min(
        MAX_AMOUNT, max(_of_interrupted(limit, now=now), booked_of(window_of(limit, now=now)))
    )


def booked_of(window: Window) -> int:
    """What is booked of a count as unattributed."""
    rows = UnattributedUse.objects.filter(count=window.store_name)
    return int(rows.aggregate(n=Sum("amount"))["n"] or 0)


def _of_interrupted(limit: Limit, *, now: datetime.datetime) -> int:
    """The worst case of calls that were interrupted and not corrected since; each stands in the ledger as a call already."""
    if limit.measure == LimitMeasure.REQUESTS:
        return 0
    calls, _ = _rows_of(limit, now=now)
    corrected = Adjustment.objects.filter(call_id=OuterRef("id"))
    interrupted = calls.filter(~Exists(corrected), status=CallStatus.INTERRUPTED)
    tokens: Any = Cast(F("reserved_tokens"), _EXACT)
    if limit.measure == LimitMeasure.MICRO_USD:
        prices = (F(f"price_{name}_micro_usd_per_million") for name in _PRICES)
        tokens = Ceil(tokens * Greatest(*prices) / Value(1_000_000), output_field=_EXACT)
    return int(interrupted.aggregate(n=Coalesce(Sum(tokens), 0, output_field=_EXACT))["n"])


def _rows_of(
    limit: Limit, *, now: datetime.datetime, turn_s: int = 0
) -> tuple[QuerySet[Call], QuerySet[Adjustment]]:
    """The subject's calls of the period in which `now` lies, and the corrections of calls of that period."""
    since, until = limit.created_at, None
    if limit.period in CALENDAR_PERIODS:
        _, since, until = calendar_period(LimitPeriod(limit.period), limit.zone, now=now)
    first = first_id_since(since + datetime.timedelta(seconds=turn_s))
    calls = Call.objects.filter(_subject_of(limit), id__gte=first)
    later = Adjustment.objects.filter(call_id__gte=first)
    if until is not None:
        calls = calls.filter(id__lt=first_id_since(until))
        later = later.filter(call_id__lt=first_id_since(until))
    return calls, later


def _sum(rows: Any, columns: tuple[str, ...]) -> int:
    total = sum((F(column) for column in columns[1:]), start=F(columns[0]))
    return int(rows.aggregate(n=Coalesce(Sum(total), 0))["n"])


def _subject_of(limit: Limit) -> Q:
    named = {name: getattr(limit, name) for name in _SUBJECT if getattr(limit, name) is not None}
    return Q(**named)
