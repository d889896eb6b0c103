"""A steady load through rotations: whichever secret a client uses in the overlap, and however it came by the new one.

Calls are begun by the clock, whether earlier ones were answered or not, in turns at two gateway processes. A client of the habit
`at once` uses the new secret from the moment it has it; one of the habit `at the end` calls with the old one until just
before that ends. Once it has ended it has to be refused, so that a rotation that rotated nothing proves nothing.
"""

import asyncio
import json
import os
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from bench.administrator import Administrator, start_administrator
from bench.beginning import begin
from bench.client import exchange, write_chat, write_request
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "rotation"
PROMISE = (
    "200 calls a second through a rotation fail 0 times, with either habit, also where age rotates."
)
GATEWAYS = 2
CALLS_PER_S = 200
PROMISED_S = 8.0
# Before the rotation, in the overlap, and after it.
PART_S = float(os.environ.get("BENCH_ROTATION_S", str(PROMISED_S)))
# A call that was begun before the end may be looked at after it.
MARGIN_S = 0.25
LEAST_SHARE = 0.95
HABITS = ("at once", "at the end")


def run() -> Verdict:
    """Rotate under load by each habit, by hand and by age."""
    with (
        begin(NAME) as (_, stack, _administrator),
        start_administrator(
            stack.environment, str(stack.folder), duties="bench.rotation_duties"
        ) as administrator,
        ExitStack() as running,
    ):
        ports = [
            running.enter_context(start_gateway(stack, f"rotation{number}"))[1]
            for number in range(GATEWAYS)
        ]
        proof = _Rotations(stack, administrator, ports)
        return asyncio.run(proof.judge())


class _Client:
    """Calls by the clock with whichever key it holds."""

    def __init__(self, ports: list[int], model: str, key: str) -> None:
        self.key = key
        self.answers = Counter[int]()
        self.by_key = Counter[str]()
        self._ports = ports
        self._model = model
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self, duration_s: float) -> None:
        """Begin calls for so long, and wait for their answers."""
        began = time.monotonic()
        for number in range(int(duration_s * CALLS_PER_S)):
            await asyncio.sleep(max(0.0, began + number / CALLS_PER_S - time.monotonic()))
            call = asyncio.create_task(self._call(self._ports[number % len(self._ports)]))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
        await asyncio.gather(*self._calls)

    async def _call(self, port: int) -> None:
        self.by_key[self.key] += 1
        request = write_chat("Hello", key=self.key, model=self._model)
        try:
            status = (await exchange(port, request, timeout_s=30)).status
        except (OSError, TimeoutError):
            status = 0
        self.answers[status] += 1


class _Rotations:
    def __init__(self, stack: Stack, administrator: Administrator, ports: list[int]) -> None:
        self._stack = stack
        self._administrator = administrator
        self._ports = ports
        self._portal = urlsplit(str(stack.facts["base_url"])).port or 80

    async def judge(self) -> Verdict:
        failed, calls, slowest = 0, 0, float("inf")
        for is_by_age in (False, True):
            for habit in HABITS:
                client, rate = await self._rotate_under_load(habit, is_by_age=is_by_age)
                how = "by age" if is_by_age else "by hand"
                told = dict(sorted(client.answers.items()))
                print(f"{how}, new secret {habit}: {rate:.0f} calls/s, answers by status {told}")
                calls += client.answers.total()
                failed += client.answers.total() - client.answers[200]
                slowest = min(slowest, rate)
        figure = f"{failed} of {calls:,} calls failed, at {slowest:.0f} calls/s or more"
        if PART_S < PROMISED_S:
            raise NotProven(f"{figure}; each part lasted less than {PROMISED_S:g} s.")
        if slowest < CALLS_PER_S * LEAST_SHARE:
            raise NotProven(f"{figure}: the machine was too busy to begin {CALLS_PER_S}.")
        return Verdict(figure, f"0 failed at {CALLS_PER_S} calls/s", failed == 0)

    async def _rotate_under_load(self, habit: str, *, is_by_age: bool) -> tuple[_Client, float]:
        key = await self._ask("issue_key", like=self._stack.api_key)
        await self._ask("open_limits", key=key["text"])
        client = _Client(self._ports, self._stack.chat_model, key["text"])
        began = time.monotonic()
        load = asyncio.create_task(client.run(3 * PART_S))
        await asyncio.sleep(PART_S)
        new = await self._rotate(key, is_by_age=is_by_age)
        if habit == HABITS[1]:
            left_s = await self._ask("old_secret_left_s", key_id=key["key_id"])
            await asyncio.sleep(max(0.0, left_s - MARGIN_S))
        client.key = new
        await load
        rate = client.answers.total() / (time.monotonic() - began)
        await self._require_end(key, client, new)
        return client, rate

    async def _rotate(self, key: dict[str, str], *, is_by_age: bool) -> str:
        """Return the new secret, as a client comes by it."""
        named = {"key_id": key["key_id"], "overlap_s": PART_S}
        if not is_by_age:
            return str(await self._ask("rotate", **named))
        if not await self._ask("rotate_by_age", **named):
            raise NotProven("the key was not rotated by its age.")
        request = write_request("POST", "/api/v1/keys/hand-over", key=key["text"])
        answer = await exchange(self._portal, request, timeout_s=30)
        if answer.status != 200:
            raise NotProven(f"the new secret was not handed over: {answer.status}.")
        return str(json.loads(answer.body)["text"])

    async def _require_end(self, key: dict[str, str], client: _Client, new: str) -> None:
        """The old secret is refused now, and both were called with."""
        for port in self._ports:
            request = write_chat("Hello", key=key["text"], model=self._stack.chat_model)
            status = (await exchange(port, request, timeout_s=30)).status
            if status != 401:
                raise NotProven(f"the old secret was answered {status} after its end.")
        if not (client.by_key[key["text"]] and client.by_key[new]):
            raise NotProven("one of the two secrets was never called with.")

    async def _ask(self, what: str, **arguments: object) -> Any:
        return await asyncio.to_thread(self._administrator.ask, what, **arguments)
