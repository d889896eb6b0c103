"""One call of the store's function: what is sent, and what its answer means."""

import msgspec

from proxy.leases.returns import ReturnBatch
from proxy.leases.window import Window

STATE_KEY = "latchkey:lease:1:state"
PROCESS_KEY = "latchkey:lease:1:process:"
PROCESSES_KEY = "latchkey:lease:1:processes"
CLOSED_KEY = "latchkey:lease:1:closed"
RECALL_CHANNEL = "latchkey:lease:1:recall:"

RECALLING, CLOSED = 1, 2
_SLIDING, _PERIOD, _NOW = 0, 1, 2

_encode = msgspec.msgpack.Encoder().encode


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of one ask.

    refused_by: 0 when granted, else the place of a window in the request, from 1.
    recalling: 1 while other processes are asked to return what they do not use; 2 where the window
        waits for what was used before the store lost writes.
    """

    refused_by: int
    wait_us: int
    recalling: int


class Lent(msgspec.Struct, frozen=True, array_like=True):
    """How one window stands after the call.

    slice: lent on top of what was asked.
    remaining: below 0 where more was used than reserved.
    """

    bucket: int
    life_us: int
    slice: int
    remaining: int
    empty_us: int


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The function's reply; `lent` has an empty place for each window that nobody asked for."""

    epoch: bytes
    is_stale: int
    outcomes: list[Outcome]
    lent: list[list[int]]


class Request:
    """Windows, asks and returns in the order in which the function reads them."""

    def __init__(self) -> None:
        self.windows: list[Window] = []
        self._places: dict[str, int] = {}
        self._table: list[list[int | bool]] = []
        self._asks: list[list[tuple[int, int]]] = []

    def place_of(self, window: Window, *, slice_wanted: int = 0, asked: bool = False) -> int:
        """The window's place, from 1; added when it is not there yet."""
        place = self._places.get(window.name)
        if place is None:
            self.windows.append(window)
            place = self._places[window.name] = len(self.windows)
            self._table.append(_row(window, slice_wanted=slice_wanted, asked=asked))
        return place

    def limit_of(self, window: Window) -> int | None:
        """Under which limit the window is asked for in this request; None when it is not."""
        place = self._places.get(window.name)
        return None if place is None else self.windows[place - 1].limit

    def ask(self, wants: list[tuple[int, int]]) -> None:
        """Add one all-or-nothing ask of (place, amount)."""
        self._asks.append(wants)

    def keys(self, process: str) -> list[str]:
        """The keys that the function declares."""
        names = [window.store_name for window in self.windows]
        return [STATE_KEY, PROCESS_KEY + process, PROCESSES_KEY, CLOSED_KEY, *names]

    def encode(
        self,
        *,
        turn: int,
        epoch: str,
        returns: ReturnBatch | None,
        last_batch: int,
        resent: bool,
        behind: bool,
    ) -> bytes:
        """The one argument: integers and one epoch, nothing that a caller wrote."""
        batch = returns if returns is not None else ReturnBatch(last_batch, [], [], [], [])
        place_of = self.place_of
        returned = [(place_of(window), bucket, n) for window, bucket, n in batch.credits]
        debts = [(place_of(window), amount) for window, amount in batch.debts]
        emptied = [place_of(window) for window in batch.emptied]
        reports = [
            (
                place_of(one.window),
                one.holds,
                one.spent,
                one.returned,
                one.beyond,
                one.is_doubted,
                one.spent_before,
            )
            for one in batch.reports
        ]
        return _encode(
            {
                "turn": turn,
                "batch": batch.number,
                "resent": resent,
                "behind": behind,
                "epoch": epoch,
                "windows": self._table,
                "asks": self._asks,
                "credits": returned,
                "debts": debts,
                "emptied": emptied,
                "reports": reports,
            }
        )


def _row(window: Window, *, slice_wanted: int, asked: bool) -> list[int | bool]:
    """A window as the function reads it."""
    kind = _NOW if window.is_of_now else _SLIDING if window.is_sliding else _PERIOD
    starts_at = window.ends_at - window.length_s if window.length_s and not window.has_past else 0
    return [
        window.limit,
        window.bucket_us,
        window.buckets,
        slice_wanted,
        asked,
        kind,
        # Where a start is unknown, something of the period may always have been lost.
        starts_at * 1_000_000 if kind == _PERIOD else 0,
        window.ends_at * 1_000_000,
        window.is_soft,
    ]


def decode_answer(reply: object) -> Answer:
    """Read the reply, or raise ValueError (msgspec.ValidationError) for anything unexpected."""
    return msgspec.convert(reply, Answer)


def decode_lent(fields: list[int]) -> Lent:
    """Read one window's place in the answer."""
    return msgspec.convert(fields, Lent)
