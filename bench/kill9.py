"""kill -9 of every part in full traffic: calls are neither lost, repeated nor swapped, and nobody has to do anything."""

import asyncio
import contextlib
import json
import os
import re
import signal
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from bench.administrator import Administrator, lead_calls_to, start_administrator
from bench.client import Answer, exchange, write_chat
from bench.counted import read_counted, start_upstream, wait_for_ledger
from bench.processes import list_tree
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_stack

NAME = "kill9"
PROMISE = (
    "Ten kill -9 each of gateway, Valkey, PostgreSQL and worker in traffic lose and swap nothing."
)
PROMISED = 10
KILLS = int(os.environ.get("BENCH_KILLS", str(PROMISED)))
# By what stands in the command line of the process that is killed.
PARTS = {
    "gateway": b"portal.server",
    "Valkey": b"valkey-server",
    "PostgreSQL": b"postgres\0-D",
    "worker": b"celery\0",
}
# So wide that it refuses nothing but what is refused while the store's loss is made good, and kept in double entry all the time.
BUDGET_MICRO_USD = 10**12
CALLERS = 16
PAUSE_S = 0.02
TRAFFIC_S = 1.5
RETURN_TIMEOUT_S = 60.0
COUNT_TIMEOUT_S = 150.0
# Each call says a word that no other call says, and the demonstration repeats it.
_WORD = re.compile(r"w\d+x\d+w")
# The frames of a chunked body, which the proofs' small client leaves in.
_CHUNK = re.compile(rb"(?:\A|\r\n)[0-9a-fA-F]+\r\n")


class Traffic:
    """Callers that call for as long as the proof runs, and look at whose answer they get."""

    def __init__(self, stack: Stack, port: int) -> None:
        self.answers = Counter[int]()
        self.swapped = 0
        self._stack = stack
        self._port = port
        self._is_over = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Traffic"]:
        """Call until the block is left."""
        callers = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        try:
            yield self
        finally:
            self._is_over = True
            await asyncio.gather(*callers)

    async def _call(self, caller: int) -> None:
        number = 0
        while not self._is_over:
            number += 1
            word, stream = f"w{caller}x{number}w", number % 2 == 0
            request = write_chat(
                f"{word} [[demo chunk_delay_s=0.005]]",
                key=self._stack.api_key,
                model=self._stack.chat_model,
                stream=stream,
            )
            try:
                answer = await exchange(self._port, request, timeout_s=40)
            except (OSError, TimeoutError):
                answer = Answer(0, b"", b"")
            self.answers[answer.status] += 1
            said = set(_WORD.findall(_said(answer.body, stream=stream)))
            self.swapped += bool(said - {word}) or (_is_whole(answer, stream=stream) and not said)
            await asyncio.sleep(PAUSE_S)


def _is_whole(answer: Answer, *, stream: bool) -> bool:
    if answer.status != 200:
        return False
    return b"data: [DONE]" in answer.body if stream else answer.body.endswith(b"}")


def _said(body: bytes, *, stream: bool) -> str:
    """The words of an answer, as far as it came."""
    if not stream:
        return body.decode(errors="replace")
    words = []
    for line in _CHUNK.sub(b"", body).splitlines():
        # The last line may be cut, and the last event has no choice.
        with contextlib.suppress(ValueError, IndexError):
            if line.startswith(b"data: {"):
                event = json.loads(line.removeprefix(b"data: "))
                words += [
                    choice["delta"].get("content") or "" for choice in event.get("choices", ())
                ]
    return "".join(words)


def run() -> Verdict:
    """Kill each part time and again while calls are made, then hold upstream and ledger together."""
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-kill9-") as name,
        start_stack(Path(name), keeper="bench.keeper") as stack,
        ExitStack() as running,
    ):
        upstream = start_upstream(Path(name), running)
        with start_administrator(stack.environment, str(stack.folder)) as administrator:
            lead_calls_to(administrator, upstream, key=stack.api_key)
            administrator.ask("set_budget", key=stack.api_key, micro_usd=BUDGET_MICRO_USD)
        traffic, slowest = asyncio.run(_kill_all(stack))
        # The first one's connection may have died with PostgreSQL.
        with start_administrator(stack.environment, str(stack.folder)) as administrator:
            outcome = wait_for_ledger(administrator, read_counted(upstream))
            said = _verify(administrator)
    print(f"answers by status: {dict(sorted(traffic.answers.items()))}; back after {slowest:.1f} s")
    print(said.strip())
    figure = (
        f"{outcome}, {traffic.swapped} answers of others, verify_ledger: {said.splitlines()[-1]}"
    )
    if traffic.answers[200] < 100 * KILLS:
        raise NotProven(f"{figure}; too few calls were answered for a proof.")
    if KILLS < PROMISED:
        raise NotProven(f"{figure}; {KILLS} kills of each part instead of {PROMISED}.")
    held = outcome.is_equal and not traffic.swapped and said.startswith("Nothing is wrong")
    return Verdict(figure, "0 missing, 0 twice, 0 of others, nothing wrong", held)


async def _kill_all(stack: Stack) -> tuple[Traffic, float]:
    """Return the traffic, and the longest that calls took to be answered again."""
    slowest = 0.0
    port = urlsplit(str(stack.facts["base_url"])).port
    assert port is not None
    async with Traffic(stack, port).running() as traffic:
        for part, mark in PARTS.items():
            for number in range(KILLS):
                await asyncio.sleep(TRAFFIC_S)
                answered = traffic.answers[200]
                pid = _find(stack, part, mark)
                os.kill(pid, signal.SIGKILL)
                took_s = await _wait_until_back(stack, traffic, part, pid, mark)
                slowest = max(slowest, took_s)
                print(
                    f"kill {number + 1} of {part}: {answered} answered, back in {took_s:.1f} s",
                    flush=True,
                )
    return traffic, slowest


async def _wait_until_back(
    stack: Stack, traffic: Traffic, part: str, killed: int, mark: bytes
) -> float:
    """Return how long it took until the part ran again, the portal was ready, and calls were answered as before."""
    began = time.monotonic()
    while time.monotonic() - began < RETURN_TIMEOUT_S:
        await asyncio.sleep(0.1)
        if any(pid != killed for pid in _all(stack, mark)) and await asyncio.to_thread(
            _is_ready, stack
        ):
            answered = traffic.answers[200]
            while time.monotonic() - began < RETURN_TIMEOUT_S:
                # More than were on their way: the next kill has to meet full traffic.
                if traffic.answers[200] >= answered + 2 * CALLERS:
                    return time.monotonic() - began
                await asyncio.sleep(0.05)
    raise NotProven(f"{part} was not back {RETURN_TIMEOUT_S:.0f} s after its kill.")


def _find(stack: Stack, part: str, mark: bytes) -> int:
    found = next(_all(stack, mark), None)
    if found is None:
        raise NotProven(f"no process of the stack is its {part}.")
    return found


def _all(stack: Stack, mark: bytes) -> Iterator[int]:
    for pid in list_tree(stack.supervisor.pid):
        with contextlib.suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if mark in command and b"launch.py" not in command:
                yield pid


def _is_ready(stack: Stack) -> bool:
    try:
        with urllib.request.urlopen(f"{stack.facts['base_url']}/health/ready", timeout=3) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _verify(administrator: Administrator) -> str:
    """What the ledger's own check says, once the worker has counted the usage of every hour."""
    deadline = time.monotonic() + COUNT_TIMEOUT_S
    while administrator.ask("count_waiting_hours"):
        if time.monotonic() > deadline:
            return "The usage was not counted."
        time.sleep(1)
    return str(administrator.ask("verify_ledger"))
