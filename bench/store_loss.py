"""The limits store is lost under traffic that a budget ends: nothing is spent beyond it.

In turns it comes back empty, and a replica that misses the last second's writes takes its place. Each time the store
is away budgets refuse; when it is back they open by themselves with what the ledger says. At last it is lost
once more, when the budget is used up.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.administrator import Administrator, start_administrator
from bench.client import exchange
from bench.failing_store import FailingStore
from bench.overshoot import Gateways, measure_cost, wait_until_settled, write_call
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_stack

NAME = "store-loss"
PROMISE = "A limits store lost with its data, or failed over to a replica that misses writes, lets no call pass a budget."
PROMISED = 6
LOSSES = int(os.environ.get("BENCH_STORE_LOSSES", str(PROMISED)))
CALLERS = 16
# More than is called until the last loss but one: each finds calls running and slices lent.
WORTH = 5000
AWAY_S = 1.0
MISSED_S = 1.0
TRAFFIC_S = 2.0
USED_UP_WITHIN_S = 180.0
OPEN_WITHIN_S = 30.0
PAUSE_S = 0.02


def run() -> Verdict:
    """Lose the store under traffic, then spend what is left."""
    store = FailingStore()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="latchkey-store-loss-") as name,
            start_stack(Path(name)) as started,
        ):
            # The quickstart ends with any of its servers, so the store that is lost is one of our own.
            environment = started.environment | {"LATCHKEY_LIMITS_URL": store.url}
            stack = started._replace(environment=environment)
            with (
                start_administrator(stack.environment, str(stack.folder)) as administrator,
                Gateways(stack) as gateways,
            ):
                return _Losses(stack, administrator, gateways, store).judge()
    finally:
        store.remove()


class _Losses:
    def __init__(
        self, stack: Stack, administrator: Administrator, gateways: Gateways, store: FailingStore
    ) -> None:
        self._stack = stack
        self._administrator = administrator
        self._gateways = gateways
        self._store = store
        self._statuses = Counter[int]()
        self._is_over = False

    def judge(self) -> Verdict:
        """Go through all losses and compare what was spent with the budget."""
        self._administrator.ask("open_limits", key=self._stack.api_key)
        budget = WORTH * measure_cost(self._stack, self._administrator, self._gateways)
        limit_id = self._administrator.ask("set_budget", key=self._stack.api_key, micro_usd=budget)
        time.sleep(1.5)
        slowest_s = asyncio.run(self._lose_and_spend())
        standing = wait_until_settled(self._administrator, limit_id)
        print(f"{dict(self._statuses)}, {standing} of {budget}", flush=True)
        figure = (
            f"{standing['spent']} of {budget} micro-USD spent over {LOSSES + 1} losses, {standing['held']} held, "
            f"open again after {slowest_s:.1f} s at most"
        )
        if LOSSES < PROMISED:
            raise NotProven(f"{figure}; only {LOSSES} of {PROMISED} losses.")
        held = standing["spent"] <= budget and not standing["held"]
        return Verdict(figure, "spent within the budget, 0 held", held)

    async def _lose_and_spend(self) -> float:
        callers = [asyncio.create_task(self._call_always(number)) for number in range(CALLERS)]
        slowest_s = 0.0
        for number in range(LOSSES):
            await asyncio.sleep(TRAFFIC_S)
            slowest_s = max(slowest_s, await self._lose(number, fails_over=number % 2 == 1))
        if self._statuses[429]:
            raise NotProven("the budget was used up before the store was lost for the last time.")
        await self._wait_until_used_up()
        slowest_s = max(slowest_s, await self._lose(LOSSES, fails_over=False))
        self._is_over = True
        await asyncio.gather(*callers)
        return slowest_s

    async def _lose(self, number: int, *, fails_over: bool) -> float:
        """Return the seconds until calls were decided again. Servers start in this thread, with which they would end."""
        if fails_over:
            self._store.follow()
            self._store.cut_off_replica()
            await asyncio.sleep(MISSED_S)
        self._store.kill()
        await asyncio.sleep(AWAY_S)
        self._store.come_back()
        took_s = await self._wait_until_decided()
        how = "failed over" if fails_over else "emptied"
        print(
            f"loss {number + 1} ({how}): {self._statuses[200]} answered, decided again after {took_s:.1f} s",
            flush=True,
        )
        return took_s

    async def _call_always(self, number: int) -> None:
        while not self._is_over:
            port = self._gateways.ports[number % len(self._gateways.ports)]
            call = write_call(self._stack, "plain", number)
            answer = await exchange(port, call, timeout_s=60)
            self._statuses[answer.status] += 1
            await asyncio.sleep(PAUSE_S if answer.status == 200 else 10 * PAUSE_S)

    async def _wait_until_decided(self) -> float:
        """Seconds until calls are admitted, or refused for the budget alone."""
        began, before = time.monotonic(), self._statuses[200] + self._statuses[429]
        while self._statuses[200] + self._statuses[429] == before:
            if time.monotonic() - began > OPEN_WITHIN_S:
                raise NotProven(f"the budget did not open within {OPEN_WITHIN_S:.0f} s.")
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def _wait_until_used_up(self) -> None:
        began, before = time.monotonic(), self._statuses[429]
        while self._statuses[429] < before + 5 * CALLERS:
            if time.monotonic() - began > USED_UP_WITHIN_S:
                raise NotProven("the budget was not used up, so it was not put to a test.")
            await asyncio.sleep(0.1)
