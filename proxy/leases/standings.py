"""How windows stand over all processes, for pages and alerts; nothing is lent or changed by looking."""

from collections.abc import Sequence

import msgspec

from proxy.leases.request import PROCESSES_KEY, STATE_KEY
from proxy.leases.store import connect_waiting
from proxy.leases.window import NEVER_ENDS_AT, Window

_GONE_AFTER_US = 10_000_000
_LATELY_US = 60_000_000

Fields = dict[bytes, bytes]


class Standing(msgspec.Struct, frozen=True):
    """One window as the store counts it.

    used: settled; in a sliding window all that was lent, since there what is reserved counts as used.
    held: reserved by running calls, or idle in a slice; what a process that is gone held counts as used.
    reset_s: seconds until nothing of it counts any more; None for what never ends.
    is_closed: it waits for what was used before the store lost writes.
    is_refusing: under this limit or a larger one it has refused what had no room left: in its period, or in the last
        stretch of its length.
    """

    limit: int
    used: int
    held: int
    reset_s: float | None
    is_closed: bool = False
    is_refusing: bool = False

    @property
    def remaining(self) -> int:
        """What a call could still have; below 0 where more was used than the limit."""
        return self.limit - self.used - self.held


class StoreClock(msgspec.Struct, frozen=True):
    """The store's time, and who was heard of when."""

    raw_us: int
    shift_us: int
    woke_us: int
    epoch: bytes
    seen: dict[bytes, int]

    def is_gone(self, process: bytes) -> bool:
        since_us = self.raw_us - _GONE_AFTER_US
        seen_us = self.seen.get(process, 0)
        is_silent = seen_us < since_us or seen_us > self.raw_us
        return not seen_us or (is_silent and self.woke_us < since_us)

    def was_heard_lately(self, process: bytes) -> bool:
        """Whether its journal may still be on its way into the ledger."""
        return self.seen.get(process, 0) > self.raw_us - _LATELY_US


def read_standings(store_url: str, windows: Sequence[Window]) -> list[Standing]:
    """Read all windows in one round trip, in their order. Raises: redis.RedisError where the store is away."""
    clock, stored = read_stored(store_url, windows)
    return [_stand(window, fields, clock) for window, fields in zip(windows, stored, strict=True)]


def read_stored(store_url: str, windows: Sequence[Window]) -> tuple[StoreClock, list[Fields]]:
    """The store's time and the hash of each window, read at once. Raises: redis.RedisError."""
    with connect_waiting(store_url) as client, client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.hmget(STATE_KEY, "shift_us", "woke_us", "epoch")
        pipeline.hgetall(PROCESSES_KEY)
        for window in windows:
            pipeline.hgetall(window.store_name)
        time, state, processes, *stored = pipeline.execute()
    return _read_clock(time, state, processes), stored


def _read_clock(time: tuple[int, int], state: list[bytes | None], processes: Fields) -> StoreClock:
    raw_us = time[0] * 1_000_000 + time[1]
    seen = {name: int(at) for name, at in processes.items()}
    return StoreClock(raw_us, int(state[0] or 0), int(state[1] or raw_us), state[2] or b"", seen)


def _stand(window: Window, fields: Fields, clock: StoreClock) -> Standing:
    if window.is_sliding:
        return _stand_sliding(window, fields, clock)
    held = gone = 0
    for name, amount in fields.items():
        if name[:1] != b"o":
            continue
        if clock.is_gone(name[1:]):
            gone += int(amount)
        else:
            held += int(amount)
    if window.is_of_now:
        return Standing(window.limit, 0, held, 0.0)
    is_endless = window.ends_at == NEVER_ENDS_AT
    left_s = max(0.0, window.ends_at - clock.raw_us / 1_000_000)
    return Standing(
        window.limit,
        int(fields.get(b"u", 0)) + gone,
        held,
        None if is_endless else left_s,
        # Whether one that nobody has asked for yet is open is known when it is asked for.
        is_closed=bool(fields) and fields.get(b"e") != clock.epoch,
        is_refusing=_has_refused(window, fields, since_us=0),
    )


def _stand_sliding(window: Window, fields: Fields, clock: StoreClock) -> Standing:
    now_us = clock.raw_us + clock.shift_us
    oldest = now_us // window.bucket_us - window.buckets
    amounts: list[tuple[int, int]] = [
        (int(name), int(amount)) for name, amount in fields.items() if name.isdigit()
    ]
    live = [(bucket, amount) for bucket, amount in amounts if bucket >= oldest and amount > 0]
    if not live:
        return Standing(window.limit, 0, 0, 0.0)
    newest = max(bucket for bucket, _ in live)
    ends_us = (newest + window.buckets + 1) * window.bucket_us
    reset_s = max(0.0, (ends_us - now_us) / 1_000_000)
    return Standing(
        window.limit,
        sum(amount for _, amount in live),
        0,
        reset_s,
        is_refusing=_has_refused(window, fields, since_us=now_us - window.length_s * 1_000_000),
    )


def _has_refused(window: Window, fields: Fields, *, since_us: int) -> bool:
    limit, _, at_us = fields.get(b"r", b"0:0").partition(b":")
    return int(limit) >= window.limit and int(at_us) > since_us
