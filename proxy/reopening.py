"""Has closed periods opened soon after a caller wanted one, away from the event loop."""

import asyncio
import logging
from collections.abc import Callable

from django.db import connection

_log = logging.getLogger("latchkey.limits")
_AGAIN_S = 1.0
# Callers may name what cannot be opened; the ledger is not asked for that all the time.
_AT_MOST_EVERY_S = 0.5


class Reopening:
    """Runs `reopen` while anything waits for it; one at a time in a process."""

    def __init__(self, reopen: Callable[[], bool]) -> None:
        self._reopen = reopen
        self._is_wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self) -> None:
        """Have it done soon."""
        self._is_wanted.set()

    def start(self) -> None:
        """Do it now, for what was set while nobody could be asked, and whenever it is wanted."""
        self.want()
        self._task = asyncio.create_task(self._reopen_always(), name="reopening of periods")

    async def stop(self) -> None:
        """Do it no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _reopen_always(self) -> None:
        while True:
            await self._is_wanted.wait()
            self._is_wanted.clear()
            if not await asyncio.to_thread(self._try):
                self._is_wanted.set()
                await asyncio.sleep(_AGAIN_S)
            await asyncio.sleep(_AT_MOST_EVERY_S)

    def _try(self) -> bool:
        try:
            return self._reopen()
        except Exception:  # noqa: BLE001 - PostgreSQL or the store may be away, and are asked again.
            _log.warning("Closed periods cannot be opened.", exc_info=True)
            return False
        finally:
            connection.close()
