"""What a key's page says of where the key was found, and of what was called with it since."""

import datetime
from dataclasses import dataclass

from accounts.call_source import CallsOfKey, calls_of_key
from accounts.models import ApiKey, Leak
from accounts.models.leaks import LOOKED_BACK

SHOWN_MAX = 20


@dataclass(frozen=True)
class KeyLeaks:
    """The newest places, and the calls since a while before the first report of any."""

    rows: list[Leak]
    since: datetime.datetime
    calls: CallsOfKey


def leaks_of(key: ApiKey) -> KeyLeaks | None:
    """Return what is to be said; None for a key that nobody reported."""
    first = key.leaks.order_by("reported_at").first()
    if first is None:
        return None
    since = first.reported_at - LOOKED_BACK
    return KeyLeaks(
        list(key.leaks.order_by("-reported_at")[:SHOWN_MAX]), since, calls_of_key(key, since=since)
    )
