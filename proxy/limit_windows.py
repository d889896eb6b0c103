"""From the rows of limits to the windows that calls spend from."""

import datetime
from collections.abc import Iterable

from models_registry.models import Limit, LimitPeriod, SubjectKind
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from proxy.leases.window import NEVER_ENDS_AT, Measure, Window

_LENGTHS_S = {
    LimitPeriod.SECOND: 1,
    LimitPeriod.MINUTE: 60,
    LimitPeriod.HOUR: 3_600,
    LimitPeriod.DAY: 86_400,
}


def window_of(limit: Limit, *, now: datetime.datetime) -> Window:
    """The window that the limit is counted in now. Its key holds ids alone, and the period where that has an end."""
    measure, period = Measure(limit.measure), LimitPeriod(limit.period)
    key = f"{_subject(limit)}:{measure}"
    if period in _LENGTHS_S:
        return Window(key, limit.amount, _LENGTHS_S[period], measure, is_soft=limit.is_soft)
    if period in CALENDAR_PERIODS:
        name, starts_at, ends_at = calendar_period(period, limit.zone, now=now)
        # Set in the middle of the period, it is a count of its own, which begins with what the ledger says.
        has_past = limit.period_set_at > starts_at
        since = f":{round(limit.period_set_at.timestamp() * 1_000_000):x}" if has_past else ""
        return Window(
            f"{key}:{name}{since}",
            limit.amount,
            round((ends_at - starts_at).total_seconds()),
            measure,
            ends_at=round(ends_at.timestamp()),
            is_soft=limit.is_soft,
            has_past=has_past,
        )
    if period == LimitPeriod.AT_ONCE:
        return Window(key, limit.amount, 0, measure)
    # Counted under the limit's own id: one that is set anew begins anew.
    return Window(
        f"{key}:{limit.id.hex}",
        limit.amount,
        0,
        measure,
        ends_at=NEVER_ENDS_AT,
        is_soft=limit.is_soft,
    )


def renewal_of(windows: Iterable[Window]) -> int | None:
    """Unix seconds at which the first of these periods is over; None where none ends."""
    ends = [window.ends_at for window in windows if 0 < window.ends_at < NEVER_ENDS_AT]
    return min(ends, default=None)


def _subject(limit: Limit) -> str:
    kind = limit.subject_kind
    ids = {
        SubjectKind.KEY: (limit.key_id,),
        SubjectKind.SERVICE_ACCOUNT: (limit.service_account_id,),
        SubjectKind.PERSON: (limit.person_id,),
        SubjectKind.MEMBER: (limit.team_id, limit.person_id),
        SubjectKind.TEAM: (limit.team_id,),
        SubjectKind.MODEL: (limit.model_id,),
        SubjectKind.TEAM_MODEL: (limit.team_id, limit.model_id),
    }[kind]
    return f"{kind}:{'.'.join(one.hex for one in ids if one is not None)}"
