"""Bounds how many unknown keys one peer may have looked up: each costs a query, and none of them costs the peer anything."""

import time
from collections import OrderedDict

from proxy.errors import Code, Refusal

BURST = 20.0
PER_SECOND = 2.0
PEERS_MAX = 50_000


class StrangerThrottle:
    """A bucket of look-ups for each peer, refilled with time. Only keys that turned out unknown are counted."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def refuse_flood(self, peer: str) -> None:
        """Raises: Refusal too_many_unknown_credentials, to a key that is not yet known, whether it is valid or not."""
        left = self._left(peer, now=time.monotonic())
        if left < 1:
            raise Refusal(Code.TOO_MANY_UNKNOWN_CREDENTIALS, retry_after_s=(1 - left) / PER_SECOND)

    def count_stranger(self, peer: str) -> None:
        now = time.monotonic()
        self._peers[peer] = (self._left(peer, now=now) - 1, now)
        self._peers.move_to_end(peer)
        if len(self._peers) > PEERS_MAX:
            self._peers.popitem(last=False)

    def _left(self, peer: str, *, now: float) -> float:
        left, at = self._peers.get(peer, (BURST, now))
        return min(BURST, left + (now - at) * PER_SECOND)
