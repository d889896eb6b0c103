"""The limits store: one connection, one function, one time-out."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from proxy.leases.refusals import StoreAway
from proxy.leases.request import Answer, decode_answer

log = logging.getLogger("latchkey.leases")

# One library for the store, in three files for people: each uses what the ones before it say.
_PARTS = ("store.lua", "holdings.lua", "lending.lua")
_SOURCE = "\n".join(Path(__file__).with_name(part).read_text(encoding="utf-8") for part in _PARTS)
_VERSION = hashlib.sha256(_SOURCE.encode()).hexdigest()[:12]
LIBRARY = _SOURCE.replace("@VERSION@", _VERSION)
_FUNCTION = f"latchkey_lease_{_VERSION}"
REBUILD_FUNCTION = f"latchkey_rebuild_{_VERSION}"
MAY_ASK_FUNCTION = f"latchkey_may_ask_{_VERSION}"
_WAIT_TIMEOUT_S = 2.0


def connect(url: str, *, timeout_s: float) -> Redis:
    """A client that never tries twice by itself: a lend sent again would be lent twice."""
    return Redis.from_url(
        url,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


def connect_waiting(url: str) -> BlockingRedis:
    """A client for pages and tasks, which wait for its answers."""
    return BlockingRedis.from_url(
        url,
        protocol=2,
        socket_timeout=_WAIT_TIMEOUT_S,
        socket_connect_timeout=_WAIT_TIMEOUT_S,
    )


def lacks_library(error: ResponseError) -> bool:
    """Whether the store refused because it has not been given the functions yet."""
    return "function not found" in str(error).lower()


class Store:
    """Calls the lease function, puts it in place where it is missing, and knows when it is away."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._client = connect(url, timeout_s=timeout_s)
        self._execute = cast("Callable[..., Awaitable[object]]", self._client.execute_command)
        # Connecting and reading are timed apart by redis-py, which does not bound them together and
        # swallows a cancellation that meets it while connecting: so ours must come after its own.
        self._backstop_s = 2 * timeout_s
        self.is_away = True

    async def call(self, process: str, keys: list[str], request: bytes) -> Answer:
        """Run the function once; StoreAway when nobody can say whether it ran."""
        try:
            answer = await self._call(process, keys, request)
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            self._note_away(error)
            raise StoreAway from error
        if self.is_away:
            log.info("the limits store answers")
        self.is_away = False
        return answer

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _call(self, process: str, keys: list[str], request: bytes) -> Answer:
        try:
            return await self._run(process, keys, request)
        except ResponseError as error:
            if not lacks_library(error):
                raise
        await self._load()
        return await self._run(process, keys, request)

    async def _run(self, process: str, keys: list[str], request: bytes) -> Answer:
        async with asyncio.timeout(self._backstop_s):
            reply = await self._execute("FCALL", _FUNCTION, len(keys), *keys, process, request)
        return decode_answer(reply)

    async def _load(self) -> None:
        try:
            async with asyncio.timeout(self._backstop_s):
                await self._execute("FUNCTION", "LOAD", LIBRARY)
        except ResponseError as error:
            # Another process was faster.
            if "already exists" not in str(error).lower():
                raise

    def _note_away(self, error: Exception) -> None:
        if not self.is_away:
            log.warning("the limits store does not answer: %s", type(error).__name__)
        self.is_away = True
