"""Tells the registry how limits stand, as the store counts them over all processes."""

import datetime
import logging
import math
import uuid
from collections.abc import Sequence

from django.conf import settings
from redis import RedisError

from models_registry.limit_standings import LimitStanding
from models_registry.models import Limit
from portal.lib.clock import utc_now
from proxy.leases.standings import Standing, read_standings
from proxy.leases.window import NEVER_ENDS_AT, Window
from proxy.limit_windows import window_of

_log = logging.getLogger("latchkey.limits")


def standings_now(limits: Sequence[Limit]) -> dict[uuid.UUID, LimitStanding]:
    """How each limit stands, by its id; none where the store is away: a page says less then, and no alert is lost."""
    now = utc_now()
    windows = [window_of(limit, now=now) for limit in limits]
    try:
        standings = read_standings(settings.LATCHKEY_LIMITS_URL, windows)
    except RedisError as error:
        _log.warning("Limits cannot be read.", extra={"error": type(error).__name__})
        return {}
    return {
        limit.pk: LimitStanding(
            standing.used,
            standing.held,
            _resets_at(window, standing, now=now),
            standing.is_refusing,
        )
        for limit, window, standing in zip(limits, windows, standings, strict=True)
    }


def _resets_at(
    window: Window, standing: Standing, *, now: datetime.datetime
) -> datetime.datetime | None:
    """When the whole of it is free again, to the second; None for what is free now, and what time alone never frees."""
    if not standing.reset_s or window.ends_at == NEVER_ENDS_AT:
        return None
    if window.ends_at:
        return datetime.datetime.fromtimestamp(window.ends_at, datetime.UTC)
    return now.replace(microsecond=0) + datetime.timedelta(seconds=math.ceil(standing.reset_s))
