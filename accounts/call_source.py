"""What keys' pages and mails want to know of calls. Who keeps the ledger says how to ask; until then nothing is known."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from accounts.models import ApiKey


@dataclass(frozen=True)
class CallsFrom:
    """Calls from one address that were let in."""

    peer: str
    calls: int
    last_at: datetime.datetime


@dataclass(frozen=True)
class CallsOfKey:
    """What was called with a key since a time, the busiest address first.

    is_cut: there were more calls than were looked at.
    """

    calls: int
    peers: list[CallsFrom]
    is_cut: bool = False


CallSource = Callable[[ApiKey, datetime.datetime], CallsOfKey]
_sources: list[CallSource] = []


def answer_with(source: CallSource) -> None:
    """Ask `source` from now on: it gets a key and a time, and says what was called since."""
    _sources[:] = [source]


def calls_of_key(key: ApiKey, *, since: datetime.datetime) -> CallsOfKey:
    return _sources[0](key, since) if _sources else CallsOfKey(0, [])
