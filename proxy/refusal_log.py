"""Tells the log of refusals, and of those that cost their senders nothing only so many that it can still be read."""

import asyncio
import logging
import time

from proxy.errors import Refusal

LINES_PER_SECOND = 20
_log = logging.getLogger("latchkey.calls")


class RefusalLog:
    """One process's lines about refused calls: each that is in the journal, and up to a rate those that are not."""

    def __init__(self) -> None:
        self._second = -1
        self._told = 0
        self._untold = 0

    def tell(self, request_id: str, refusal: Refusal) -> None:
        """Log the refusal, or count it for the line that sums up."""
        if refusal.is_recorded or self._has_room():
            _log.info(
                "A call was refused.",
                extra={
                    "request_id": request_id,
                    "code": refusal.code.code,
                    "detail": refusal.detail,
                },
            )
            return
        if not self._untold:
            # One timer for a second that overflows, however many calls there are in it.
            asyncio.get_running_loop().call_later(1.0, self._sum_up)
        self._untold += 1

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._told = second, 0
        self._told += 1
        return self._told <= LINES_PER_SECOND

    def _sum_up(self) -> None:
        untold, self._untold = self._untold, 0
        _log.warning("Further calls were refused.", extra={"count": untold})
