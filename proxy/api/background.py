"""The pipeline where no event loop serves: one loop in a thread of its own for each process, with a gateway on it.

Under portal.asgi calls never come this way. Under WSGI and the test client the views of proxy.api.inference hand theirs
to this loop, and what they see is the fast door itself: the same refusals, limits and records.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Coroutine
from typing import Any

from django.conf import settings

from proxy.challenges import make_challenges
from proxy.fast_door import FastDoor
from proxy.gateway import Gateway, build_gateway

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 60.0
_log = logging.getLogger("latchkey.gateway")


class BackgroundDoor:
    """A loop in its own thread, and the gateway that lives on it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self.loop.run_forever, name="gateway-loop", daemon=True
        )
        self._thread.start()
        self._gateway = self._run(self._start(), timeout_s=START_TIMEOUT_S)
        self.door = FastDoor(
            self._gateway,
            allowed_hosts=settings.ALLOWED_HOSTS,
            challenges=make_challenges(),
            trusted_hops=settings.LATCHKEY_TRUSTED_HOPS,
            max_body_bytes=settings.LATCHKEY_MAX_BODY_BYTES,
            room_bytes=settings.LATCHKEY_BODY_ROOM_BYTES,
        )

    def stop(self) -> None:
        """Let running calls end, ship what is journalled, and end the thread."""
        self._run(self._gateway.stop(), timeout_s=STOP_TIMEOUT_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(STOP_TIMEOUT_S)
        self.loop.close()

    async def _start(self) -> Gateway:
        gateway = build_gateway()
        await gateway.start()
        return gateway

    def _run(self, work: Coroutine[Any, Any, Any], *, timeout_s: float) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)


_running: BackgroundDoor | None = None
_starting = threading.Lock()


def background_door() -> BackgroundDoor:
    """Return this process's, started now if it is the first call."""
    global _running  # noqa: PLW0603 - one for each process.
    with _starting:
        if _running is None:
            _running = BackgroundDoor()
            # Executors take no more work once atexit's turn has come, and stopping needs them.
            threading._register_atexit(stop_background_door)  # type: ignore[attr-defined]  # noqa: SLF001
        return _running


def stop_background_door() -> None:
    """Stop it, if it runs; the next call starts another."""
    global _running
    with _starting:
        found, _running = _running, None
    if found is not None:
        found.stop()


def _forget_parents() -> None:
    """A forked process has no threads but its own."""
    global _running, _starting
    _running, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_parents)
