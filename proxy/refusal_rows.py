"""Bounds the rows that one key's refused calls get: a client that tries for ever must not fill the disk."""

import asyncio
import logging
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable

BURST = 60.0
PER_SECOND = 1.0
KEYS_MAX = 10_000
SUM_UP_S = 10.0
_log = logging.getLogger("latchkey.calls")


class RefusalRows:
    """One process's rows for refused calls, a bucket of them for each key; the rest is counted by code."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # What is left, and when that was so.
        self._left: OrderedDict[uuid.UUID, tuple[float, float]] = OrderedDict()
        self._unwritten: dict[uuid.UUID, Counter[str]] = {}

    def take(self, key_id: uuid.UUID, code: str) -> bool:
        """Take a row out of the key's bucket; False where there is none, and the refusal is counted instead."""
        now = self._clock()
        left, left_at = self._left.pop(key_id, (BURST, now))
        left = min(BURST, left + (now - left_at) * PER_SECOND)
        has_row = left >= 1
        self._left[key_id] = (left - has_row, now)
        if len(self._left) > KEYS_MAX:
            self._left.popitem(last=False)
        if not has_row:
            self._count(key_id, code)
        return has_row

    def sum_up(self) -> None:
        """Log what was counted, a line for each key."""
        unwritten, self._unwritten = self._unwritten, {}
        for key_id, codes in unwritten.items():
            _log.warning(
                "Refused calls of a key were counted and not written to the ledger.",
                extra={
                    "key_id": str(key_id),
                    "count": codes.total(),
                    "codes": ", ".join(f"{code}: {count}" for code, count in codes.most_common()),
                },
            )

    def _count(self, key_id: uuid.UUID, code: str) -> None:
        if not self._unwritten:
            # One timer, however many keys and calls there are until it ends.
            asyncio.get_running_loop().call_later(SUM_UP_S, self.sum_up)
        self._unwritten.setdefault(key_id, Counter())[code] += 1
