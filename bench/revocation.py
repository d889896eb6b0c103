"""How long a revoked key still works, in every one of four gateway processes.

Three kinds of round are mixed: `warm`, where every process knows the key; `race`, where calls load
it while it is being revoked; and `stalled`, where every process knows the key and its listening
connection has been stopped by stopping the PostgreSQL process behind it; there the key has to be
refused by name while it lasts, and as every other revoked key once it is over. A lag runs from before the
revocation is asked for to the beginning of the last call that succeeded.
"""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import NamedTuple

from bench.administrator import Administrator
from bench.beginning import begin
from bench.client import exchange, write_chat, write_request
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "revocation"
PROMISE = "A revoked key is refused by each of four processes within 1 s; open streams end in 5 s."
GATEWAYS = 4
PROMISED = 200
ROUNDS = int(os.environ.get("BENCH_REVOCATIONS", str(PROMISED)))
STALLED_ROUNDS = 10
STREAM_ROUNDS = 5
MOST_S = 1.0
MOST_STREAM_S = 5.0
WATCHED_S = 2.0
PAUSE_S = 0.005
RECOVERY_S = 2.0
LEAST_RACED = 0.1
CODE = re.compile(rb'"code": ?"(\w+)"')
REFUSALS = {"401 invalid_credential"}
# A process that cannot hear of revocations may say that it knows no more of keys.
WHILE_STALLED = {"503 identity_unavailable"}


def run() -> Verdict:
    """Revoke keys one after another and time the last success in every process."""
    with (
        begin(NAME) as (_, stack, administrator),
        ExitStack() as running,
    ):
        ports = [
            running.enter_context(start_gateway(stack, f"r{number}"))[1]
            for number in range(GATEWAYS)
        ]
        proof = _Rounds(stack, administrator, ports)
        return asyncio.run(proof.judge())


class Watched(NamedTuple):
    """What one process did with one revoked key; `accepted` says that the round put it to a test."""

    lag_s: float
    accepted: bool


class End(NamedTuple):
    """How one process's watch ended: when the last success was begun, and what was answered last."""

    last_s: float
    code: str


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    """Hold these processes still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


class _Rounds:
    def __init__(self, stack: Stack, administrator: Administrator, ports: list[int]) -> None:
        self._stack = stack
        self._administrator = administrator
        self._ports = ports

    async def judge(self) -> Verdict:
        warm, race, stalled = [], [], []
        for number in range(ROUNDS):
            if number % 2:
                race += await self._revoke_once(warm=False)
            else:
                warm += await self._revoke_once(warm=True)
        for _ in range(STALLED_ROUNDS):
            stalled += await self._revoke_once(warm=True, stall=True)
        streams = [await self._cut_stream() for _ in range(STREAM_ROUNDS)]
        raced = sum(watched.accepted for watched in race)
        if raced < len(race) * LEAST_RACED:
            raise NotProven(f"only {raced} of {len(race)} racing calls found the key still valid.")
        lags = sorted(watched.lag_s for watched in (*warm, *race))
        p99, worst_stream = lags[int(len(lags) * 0.99)], max(streams)
        worst_stalled = max(watched.lag_s for watched in stalled)
        print(f"{len(lags)} refusals, {raced} of them raced, p50 {lags[len(lags) // 2]:.3f} s")
        print(f"{len(stalled)} with a stalled connection, worst {worst_stalled:.3f} s")
        worst = max(lags[-1], worst_stalled)
        figure = f"p99 {p99:.3f} s, worst {worst:.3f} s; streams cut within {worst_stream:.2f} s"
        if ROUNDS < PROMISED:
            raise NotProven(f"{figure}; fewer than {PROMISED} revocations prove nothing.")
        held = worst <= MOST_S and worst_stream <= MOST_STREAM_S
        return Verdict(figure, "worst at most 1 s, streams 5 s", held)

    async def _revoke_once(self, *, warm: bool, stall: bool = False) -> list[Watched]:
        key = await self._issue_key()
        if warm:
            for port in self._ports:
                await _require_success(port, key["text"])
        with await self._stall_listeners() if stall else nullcontext():
            watching = [asyncio.create_task(_watch(port, key["text"])) for port in self._ports]
            # The watchers call from the start, so that in a race the key is loaded as it is revoked.
            await asyncio.sleep(PAUSE_S)
            revoked = await self._revoke_key(key["key_id"])
            await asyncio.sleep(WATCHED_S)
            for task in watching:
                task.cancel()
            ends = await asyncio.gather(*watching)
        refusals = {end.code for end in ends}
        if not refusals <= (REFUSALS | WHILE_STALLED if stall else REFUSALS):
            raise NotProven(f"a revoked key was last answered {refusals}.")
        if stall:
            await asyncio.sleep(RECOVERY_S)
            await self._require_refusal(key["text"])
        return [Watched(max(0.0, end.last_s - revoked), end.last_s > 0) for end in ends]

    async def _require_refusal(self, key: str) -> None:
        for port in self._ports:
            code = (await _ask(port, key))[1]
            if code not in REFUSALS:
                raise NotProven(f"after a stall a revoked key was answered {code!r}.")

    async def _issue_key(self) -> dict[str, str]:
        like = self._stack.api_key
        issued: dict[str, str] = await asyncio.to_thread(
            self._administrator.ask, "issue_key", like=like
        )
        return issued

    async def _revoke_key(self, key_id: str) -> float:
        """Revoke, and return the time before it was asked for, so that no lag is understated."""
        asked = time.monotonic()
        await asyncio.to_thread(self._administrator.ask, "revoke_key", key_id=key_id)
        return asked

    async def _stall_listeners(self) -> AbstractContextManager[None]:
        listeners = await asyncio.to_thread(self._administrator.ask, "list_listeners")
        if not listeners:
            raise NotProven("no connection of a gateway listens for changes.")
        return _stopped(listeners)

    async def _cut_stream(self) -> float:
        key = await self._issue_key()
        words = "[[demo chunks=100 chunk_delay_s=0.2]]"
        request = write_chat(words, key=key["text"], model=self._stack.chat_model, stream=True)
        stream = asyncio.create_task(exchange(self._ports[0], request, timeout_s=60))
        await asyncio.sleep(1)
        revoked = await self._revoke_key(key["key_id"])
        answer = await stream
        if answer.status != 200:
            raise NotProven(f"the stream was not open: {answer.status} {answer.body[-300:]!r}")
        return time.monotonic() - revoked


async def _require_success(port: int, key: str) -> None:
    status, code = await _ask(port, key)
    if status != 200:
        raise NotProven(f"a new key was answered {code}.")


async def _watch(port: int, key: str) -> End:
    """Call until cancelled."""
    last_s, code = 0.0, ""
    try:
        while True:
            begun_s = time.monotonic()
            status, code = await _ask(port, key)
            if status == 200:
                last_s = begun_s
            await asyncio.sleep(PAUSE_S)
    except asyncio.CancelledError:
        return End(last_s, code)


async def _ask(port: int, key: str) -> tuple[int, str]:
    """The status, and the status with the error's code."""
    answer = await exchange(port, write_request("GET", "/v1/models", key=key), timeout_s=5)
    found = CODE.search(answer.body)
    return answer.status, f"{answer.status} {found[1].decode()}" if found else str(answer.status)
