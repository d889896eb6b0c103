"""Hears when the store wants idle slices back."""

import asyncio
import logging
from collections.abc import Callable

from redis.exceptions import RedisError

from proxy.leases.ending import end_task, is_ending
from proxy.leases.request import RECALL_CHANNEL
from proxy.leases.store import connect

_log = logging.getLogger("latchkey.leases")
_TRY_AGAIN_S = 0.5
_LISTEN_S = 5.0
_CONNECT_S = 1.0


class RecallListener:
    """Calls `on_recall` with the store's name of a window; deaf while the store is away.

    A recall that is missed costs little: slices end by themselves within two seconds.
    """

    def __init__(self, url: str, *, process: str, on_recall: Callable[[str], None]) -> None:
        self._url = url
        self._channel = RECALL_CHANNEL + process
        self._on_recall = on_recall
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen from now on."""
        self._task = asyncio.create_task(self._listen_always(), name="lease recalls")

    async def stop(self) -> None:
        """Listen no more."""
        if self._task is not None:
            await end_task(self._task)

    async def _listen_always(self) -> None:
        while not is_ending():
            try:
                await self._listen()
            except (RedisError, OSError, TimeoutError):
                pass
            except Exception:  # noqa: BLE001 - nobody else would ever listen again.
                _log.exception("Recalls could not be heard.")
            await asyncio.sleep(_TRY_AGAIN_S)

    async def _listen(self) -> None:
        client = connect(self._url, timeout_s=_CONNECT_S)
        channel = client.pubsub(ignore_subscribe_messages=True)
        try:
            await channel.subscribe(self._channel)
            while not is_ending():
                message = await channel.get_message(timeout=_LISTEN_S)
                if message is None:
                    await channel.ping()
                elif message["type"] == "message":
                    self._on_recall(message["data"].decode("ascii", "replace"))
        finally:
            await channel.aclose()  # type: ignore[no-untyped-call]
            await client.aclose()
