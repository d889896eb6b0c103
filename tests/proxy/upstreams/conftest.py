"""Every test of the client runs on both event loops, bounded in time, with the warnings of both."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from portal.lib.networks import NetworkPolicy
from proxy.upstreams.client import UpstreamClient

Run = Callable[[Coroutine[Any, Any, None]], None]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LIMIT_S = 20.0
LOOPBACK = NetworkPolicy.parse("127.0.0.0/8")


@pytest.fixture(params=sorted(LOOPS))
def run(request: pytest.FixtureRequest) -> Run:
    """Run a scenario to its end; what the loop would only have logged fails the test."""

    def run_scenario(scenario: Coroutine[Any, Any, None]) -> None:
        complaints: list[dict[str, Any]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(
                lambda _, context: complaints.append(context)
            )
            async with asyncio.timeout(LIMIT_S):
                await scenario

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(bounded())
            # What this test left behind is young; the whole heap would take longer than the test.
            gc.collect(1)
        assert complaints == []

    return run_scenario


@asynccontextmanager
async def client_of(**options: Any) -> AsyncIterator[UpstreamClient]:
    """A client that may reach the loopback, closed in the end."""
    client = UpstreamClient(**{"networks": LOOPBACK, **options})
    try:
        yield client
    finally:
        await client.aclose()
