"""Tells the limits store what the ledger knows, of periods whose counts it may have lost or never had."""

import datetime
import logging
from collections.abc import Sequence

import redis
from django.conf import settings

from models_registry.models import Limit, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from portal.lib.clock import utc_now
from proxy.leases.rebuild import closed_names, forget_closed, may_ask_ledger, rebuild
from proxy.ledger_use import unended_of, used_of
from proxy.limit_windows import window_of

_log = logging.getLogger("latchkey.limits")
_WITH_END = (*CALENDAR_PERIODS, LimitPeriod.FIXED_SUM)
# Longer than a worker takes to come round again.
_CAUGHT_UP_AFTER = datetime.timedelta(minutes=10)


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
    wanted = {
        window: limit
        for limit in Limit.objects.filter(period__in=_WITH_END)
        if (window := window_of(limit, now=now)).store_name in names
    }
    used = {window: used_of(limit, now=now) for window, limit in wanted.items()}
    unended = {window: unended_of(limit, now=now) for window, limit in wanted.items()}
    if not rebuild(store_url, used, unended=unended):
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
