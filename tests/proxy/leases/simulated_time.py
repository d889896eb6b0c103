"""Time that a test moves on by hand, here and in the store at once."""

import time

from proxy.leases.request import STATE_KEY
from tests.proxy.leases.server import StoreServer


class SimulatedTime:
    """Real time plus what the test skipped."""

    def __init__(self, server: StoreServer) -> None:
        self._client = server.client()
        self._skipped_s = 0.0

    def clock(self) -> float:
        """Monotonic seconds, for a lease book."""
        return time.monotonic() + self._skipped_s

    def skip(self, seconds: float) -> None:
        """Move on: leases end here before the store's bucket does, as in real life."""
        self._skipped_s += seconds
        self._client.hincrby(STATE_KEY, "shift_us", int(seconds * 1_000_000))

    def restore(self) -> None:
        """Tell a store that lost everything how late it is."""
        self._client.hset(STATE_KEY, "shift_us", int(self._skipped_s * 1_000_000))

    def close(self) -> None:
        """Let go of the store."""
        self._client.close()
