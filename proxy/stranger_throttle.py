"""Bounds how many unknown keys one peer may have looked up: each costs a query, and none of them costs the peer anything."""

import asyncio
import ipaddress
import time
from collections import OrderedDict

from proxy.errors import Code, Refusal

BURST = 20.0
PER_SECOND = 2.0
PEERS_MAX = 50_000


class LookUps:
    """One peer's bucket of look-ups, refilled with time."""

    __slots__ = ("_ended", "_left", "_left_at", "_under_way")

    def __init__(self) -> None:
        self._left = BURST
        self._left_at = time.monotonic()
        self._under_way = 0
        self._ended: asyncio.Future[None] | None = None

    async def take(self) -> None:
        """Take one look-up. While others are under way it is waited for: a key that proves valid gives its own back.

        Raises: Refusal too_many_unknown_credentials.
        """
        while self._refilled() < 1:
            if not self._under_way:
                raise Refusal(
                    Code.TOO_MANY_UNKNOWN_CREDENTIALS, retry_after_s=(1 - self._left) / PER_SECOND
                )
            if self._ended is None:
                self._ended = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._ended)
        self._left -= 1
        self._under_way += 1

    def end(self, *, was_stranger: bool) -> None:
        """A look-up that was taken is over; only strangers pay for theirs."""
        self._under_way -= 1
        if not was_stranger:
            self._left = min(BURST, self._refilled() + 1)
        if self._ended is not None:
            self._ended.set_result(None)
            self._ended = None

    def _refilled(self) -> float:
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._left_at) * PER_SECOND)
        self._left_at = now
        return self._left


class StrangerThrottle:
    """The buckets of all peers, the most recently seen ones; an IPv6 subscriber has a /64 and so one bucket for it."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, LookUps] = OrderedDict()

    def of(self, peer: str) -> LookUps:
        """Return the peer's bucket."""
        name = _subscriber(peer)
        found = self._peers.get(name)
        if found is None:
            found = self._peers[name] = LookUps()
            if len(self._peers) > PEERS_MAX:
                self._peers.popitem(last=False)
        self._peers.move_to_end(name)
        return found


def _subscriber(peer: str) -> str:
    if ":" not in peer:
        return peer
    try:
        return str(ipaddress.IPv6Network((peer.partition("%")[0], 64), strict=False))
    except ValueError:
        return peer
