"""What was served, for proofs that each call arrived exactly once. It lives in memory only."""

import time
from collections import deque
from enum import StrEnum

REMEMBERED_CALLS = 500_000


class Outcome(StrEnum):
    """How a call's answer ended, seen from the upstream."""

    OPEN = "open"
    ANSWERED = "answered"
    CLIENT_LEFT = "client_left"


class Call:
    """One call that was counted: its number, where it went, what the client called it."""

    __slots__ = ("_started", "marker", "n", "outcome", "path", "request_id", "seconds")

    def __init__(self, n: int, path: str, request_id: str) -> None:
        self.n = n
        self.path = path
        self.request_id = request_id
        self.marker = ""
        self.outcome = Outcome.OPEN
        self.seconds = 0.0
        self._started = time.monotonic()

    def end(self, outcome: Outcome) -> None:
        """Note how and after how long the answer ended; only the first ending counts."""
        if self.outcome is Outcome.OPEN:
            self.outcome = outcome
            self.seconds = time.monotonic() - self._started

    def describe(self) -> dict[str, object]:
        """The call as GET /demo/counts lists it."""
        return {
            "n": self.n,
            "path": self.path,
            "marker": self.marker,
            "request_id": self.request_id,
            "outcome": self.outcome.value,
            "seconds": round(self.seconds, 4),
        }


class Counts:
    """Every call since the start or the last reset, the oldest forgotten beyond a bound."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything and begin at 1 again."""
        self.total = 0
        self._calls: deque[Call] = deque(maxlen=REMEMBERED_CALLS)

    def begin(self, path: str, request_id: str) -> Call:
        """Give the next number to a call that has arrived whole."""
        self.total += 1
        call = Call(self.total, path, request_id)
        self._calls.append(call)
        return call

    def describe(self) -> dict[str, object]:
        """The reply to GET /demo/counts; `forgotten` calls are in `total` and not in the list."""
        return {
            "total": self.total,
            "forgotten": self.total - len(self._calls),
            "calls": [call.describe() for call in self._calls],
        }
