"""Holds budgets to double entry: in the store, between store and ledger, and what is booked as unattributed."""

import time
from collections.abc import Callable, Iterator

from django.conf import settings

from models_registry.models import Limit, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from portal.lib.clock import utc_now
from proxy.leases.accounts import Account, read_accounts
from proxy.ledger_use import booked_of, used_of
from proxy.limit_windows import window_of
from proxy.usage.unattributed import Counted
from proxy.usage.verification import SHOWN_MAX, Wrong

_AT_A_TIME = 200
# What the store has heard of comes into the ledger within a second; a busy machine may take longer.
_TRIES = 5
_TRY_AGAIN_S = 1.0
# A call that came at the turn of a period may stand on one side here and on the other there.
_TURN_S = 90


def accounts_balance() -> Wrong | None:
    """Of every budget and of calls at once: what was reserved was settled, released or has lapsed, or is held."""
    periods = (*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM, LimitPeriod.AT_ONCE)
    found = []
    for one, account in _accounts(periods):
        off = account.used - account.opening - account.unended - account.settled
        if account.difference or account.wrong or (one.window.ends_at and off):
            found.append(
                f"limit {one.limit.pk}: lent {account.lent}, beyond {account.beyond}, restated {account.restated}; "
                f"settled {account.settled}, released {account.returned + account.lost}, "
                f"lapsed {account.lapsed + account.orphaned}, held {account.held}: "
                f"{account.difference} unbalanced, {account.wrong} unexplained, {off} used without an entry"
            )
    return _wrong("reservations", found)


def budgets_are_those_of_the_ledger() -> Wrong | None:
    """The store counts no less of a budget than the ledger, and has settled nothing that the ledger lacks."""
    periods = (*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM)
    found = [text for one, _ in _accounts(periods) if (text := _compare(one))]
    return _wrong("budgets", found)


def unattributed_use_had_lapsed() -> Wrong | None:
    """Of no budget is more booked as unattributed than processes that are gone had taken, nor less than nothing.

    What they had taken of a store that was lost stands in the next one as what calls without an end used at most.
    """
    found = [
        f"limit {one.limit.pk}: {booked} booked as unattributed, {account.orphaned + account.unended} lapsed"
        for one, account in _accounts((*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM))
        if not 0 <= (booked := booked_of(one.window)) <= account.orphaned + account.unended
    ]
    return _wrong("unattributed", found)


BUDGET_CHECKS: tuple[Callable[[], Wrong | None], ...] = (
    accounts_balance,
    budgets_are_those_of_the_ledger,
    unattributed_use_had_lapsed,
)


def _accounts(periods: tuple[LimitPeriod, ...]) -> Iterator[tuple[Counted, Account]]:
    now = utc_now()
    limits = list(Limit.objects.filter(period__in=periods).order_by("pk"))
    for start in range(0, len(limits), _AT_A_TIME):
        counts = [
            Counted(limit, window_of(limit, now=now), now)
            for limit in limits[start : start + _AT_A_TIME]
        ]
        windows = [one.window for one in counts]
        accounts = read_accounts(settings.LATCHKEY_LIMITS_URL, windows)
        for one, account in zip(counts, accounts, strict=True):
            # A count that waits for the ledger's figure stands for nothing yet.
            if account.is_open or one.window.is_of_now:
                yield one, account


def _compare(one: Counted) -> str:
    """What is wrong between the ledger and the store; "" where nothing is."""
    for number in range(_TRIES):
        least = used_of(one.limit, now=one.at, turn_s=_TURN_S, is_sure=True)
        (account,) = read_accounts(settings.LATCHKEY_LIMITS_URL, [one.window])
        most = used_of(one.limit, now=one.at, turn_s=-_TURN_S)
        counted = account.used + account.held + account.orphaned
        # Calls that a lost store had forgotten, or that came before the ledger's word, may stand in it twice, and those
        # without an end at their worst.
        more = account.restated + account.early + account.unended
        if least <= counted and account.used <= most + more:
            return ""
        if number + 1 < _TRIES:
            time.sleep(_TRY_AGAIN_S)
    return (
        f"limit {one.limit.pk}: the ledger says {least} to {most}; the store says {account.used} used, "
        f"{account.held} held and {account.orphaned} lapsed"
    )


def _wrong(check: str, found: list[str]) -> Wrong | None:
    return Wrong(check, len(found), found[:SHOWN_MAX]) if found else None
