"""What an administrator does for the proof of rotation."""

import datetime as dt
from collections.abc import Callable

from accounts.audit import SYSTEM
from accounts.models import ApiKey
from accounts.writes.key_rotation import rotate_key
from accounts.writes.key_schedule import rotate_by_schedule
from bench.duties import issue_key
from bench.key_rows import open_limits
from portal.lib.clock import utc_now


def rotate(*, key_id: str, overlap_s: float) -> str:
    """Rotate a key with this overlap; return its new text."""
    key = ApiKey.objects.get(pk=key_id)
    return rotate_key(key, overlap=dt.timedelta(seconds=overlap_s), actor=SYSTEM).text


def rotate_by_age(*, key_id: str, overlap_s: float) -> bool:
    """Rotate a key as beat's task does, whose overlap of days is then cut to what a proof can wait for."""
    now = utc_now()
    done = rotate_by_schedule(ApiKey.objects.get(pk=key_id), older_than=now)
    ends_at = now + dt.timedelta(seconds=overlap_s)
    ApiKey.objects.filter(pk=key_id).update(previous_ends_at=ends_at)
    return done


def old_secret_left_s(*, key_id: str) -> float:
    """How long the old secret goes on working."""
    ends_at = ApiKey.objects.get(pk=key_id).previous_ends_at
    return 0.0 if ends_at is None else (ends_at - utc_now()).total_seconds()


DUTIES: dict[str, Callable[..., object]] = {
    duty.__name__: duty
    for duty in (issue_key, open_limits, rotate, rotate_by_age, old_secret_left_s)
}
