"""What processes that died had taken of budgets, and no journal explains: booked, and taken back as far as it is explained later.

A process that is killed leaves behind what it held: running calls' worst cases, and what it had borrowed. That stays
counted against the limit, because it may have been used. What it did use comes into the ledger with its journal, which
a successor ships; the rest is unattributed. Both are known within bounds only while calls run: the count is raised to
what is surely unexplained, and lowered to what may be.
"""

import datetime
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from models_registry.limit_words import amount_text
from models_registry.models import Limit, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from portal.lib.clock import utc_now
from proxy.leases.accounts import Account, read_accounts
from proxy.leases.window import Window
from proxy.ledger_use import booked_of, used_of
from proxy.limit_windows import window_of
from proxy.models import UnattributedUse
from proxy.usage.span import Span

_log = logging.getLogger("latchkey.limits")
_LOCK = 0x6C6B_756E
# What the store has heard of is in the ledger by then.
SHIPPED_WITHIN_S = 3.0
SHOWN_MAX = 50


class Counted(NamedTuple):
    """One count of a limit: the period that lasts, or the one before."""

    limit: Limit
    window: Window
    at: datetime.datetime


def book_unattributed(*, shipped_within_s: float = SHIPPED_WITHIN_S) -> int:
    """Book of every budget what is unattributed and not booked yet; return how many were corrected. Twice is once.

    What a process held that was heard of within the last minute waits: its journal may be on its way.
    Raises: redis.RedisError.
    """
    found = [one for one, account in _with_orphans() if not account.lately_orphaned]
    if not found:
        return 0
    # The ledger before and after the store: a call of a living process is in the later one once the store has it
    # as used, and in the store as used or held once it is in the earlier one.
    before = [used_of(one.limit, now=one.at) for one in found]
    accounts = read_accounts(settings.LATCHKEY_LIMITS_URL, [one.window for one in found])
    time.sleep(shipped_within_s)
    after = [used_of(one.limit, now=one.at) for one in found]
    return sum(map(_book, found, accounts, before, after))


class Unattributed(NamedTuple):
    """What is unattributed of a limit of a team in a span of days, in words and as a figure of the measure."""

    team_id: uuid.UUID
    limit_id: uuid.UUID
    amount: str


def unattributed_in(teams: Sequence[uuid.UUID], span: Span) -> list[Unattributed]:
    """What was booked in the span, of each limit of these teams; what was explained meanwhile is left out."""
    rows = (
        UnattributedUse.objects.filter(
            team_id__in=teams, at__date__gte=span.first, at__date__lte=span.last
        )
        .values("team_id", "limit_id", "measure")
        .annotate(sum_amount=Sum("amount"))
        .filter(sum_amount__gt=0)
        .order_by("team_id", "limit_id")[:SHOWN_MAX]
    )
    return [
        Unattributed(
            row["team_id"], row["limit_id"], amount_text(row["sum_amount"], row["measure"])
        )
        for row in rows
        if row["team_id"] is not None
    ]


def counts_of(limit: Limit, *, now: datetime.datetime) -> Iterator[Counted]:
    """The count of the period that lasts, and of the calendar's one before, which the store still knows."""
    yield Counted(limit, window_of(limit, now=now), now)
    if limit.period in CALENDAR_PERIODS:
        starts_at = calendar_period(LimitPeriod(limit.period), limit.zone, now=now).starts_at
        earlier = starts_at - datetime.timedelta(seconds=1)
        if limit.created_at < starts_at:
            yield Counted(limit, window_of(limit, now=earlier), earlier)


def _with_orphans() -> list[tuple[Counted, Account]]:
    now = utc_now()
    periods = (*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM)
    limits = Limit.objects.filter(period__in=periods).select_related("key", "service_account")
    counts = [one for limit in limits for one in counts_of(limit, now=now)]
    accounts = read_accounts(settings.LATCHKEY_LIMITS_URL, [one.window for one in counts])
    return [
        (one, account) for one, account in zip(counts, accounts, strict=True) if account.orphaned
    ]


def _book(one: Counted, account: Account, before: int, after: int) -> bool:
    least = max(0, account.orphaned - max(0, after - account.used))
    explained = max(0, before - account.used - account.held)
    most = max(least, account.orphaned - explained)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        booked = booked_of(one.window)
        missing = min(max(booked, least), most) - booked
        if not missing:
            return False
        UnattributedUse.objects.create(
            at=utc_now(),
            limit_id=one.limit.pk,
            team_id=one.limit.owning_team_id,
            count=one.window.store_name,
            measure=one.limit.measure,
            amount=missing,
        )
    _log.warning(
        "Use that no call explains was booked.",
        extra={"limit": str(one.limit.pk), "measure": one.limit.measure, "amount": missing},
    )
    return True
