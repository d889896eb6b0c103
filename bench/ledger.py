"""Calls survive kill -9: what the upstream counted stands in the ledger, each exactly once."""

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.administrator import Administrator, start_administrator
from bench.client import exchange, write_chat
from bench.processes import Measured, find_free_port, list_tree, start, wait_until_answering
from bench.proof import NotProven, Verdict
from bench.stack import TREE, Stack, start_gateway, start_stack

NAME = "ledger"
PROMISE = "After ten kill -9 under traffic, every call the upstream counted is in the ledger once."
KILLS = 10
CALLERS = 16
TRAFFIC_S = 2.0
SETTLE_TIMEOUT_S = 60.0


class Comparison(NamedTuple):
    """The upstream's count beside the ledger's."""

    counted: int
    missing: int
    repeated: int


def run() -> Verdict:
    """Kill a gateway ten times while it serves; a successor ships what the dead one left."""
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-ledger-") as name,
        start_stack(Path(name)) as stack,
        start_administrator(stack.environment, str(stack.folder)) as administrator,
        ExitStack() as running,
    ):
        upstream = _start_upstream(Path(name), running)
        administrator.ask("open_limits", key=stack.api_key)
        administrator.ask("point_providers", base_url=f"http://127.0.0.1:{upstream}/v1")
        for number in range(KILLS):
            # One journal folder for all: the next gateway is the successor of the one killed.
            with start_gateway(stack, "ledger") as (process, port):
                answered = asyncio.run(_kill_under_traffic(stack, process, port))
            print(f"kill {number + 1}: {answered} calls answered before it", flush=True)
        running.enter_context(start_gateway(stack, "ledger"))
        outcome = _wait_for_ledger(administrator, _read_counted(upstream))
    if outcome.counted < KILLS:
        raise NotProven(f"only {outcome.counted} calls reached the upstream.")
    figure = f"{outcome.counted} calls counted, {outcome.missing} missing, {outcome.repeated} twice"
    return Verdict(figure, "0 missing, 0 twice", not outcome.missing and not outcome.repeated)


def _start_upstream(folder: Path, running: ExitStack) -> int:
    # An upstream of our own, without a key, so that its counts hold this proof's calls alone.
    port = find_free_port()
    environment = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    command = [sys.executable, "-m", "demo.upstream", "--port", str(port)]
    process = running.enter_context(
        start(command, log=folder / "upstream.log", environment=environment, folder=TREE)
    )
    wait_until_answering(process, f"http://127.0.0.1:{port}/v1/models", timeout_s=10)
    return port


async def _kill_under_traffic(stack: Stack, process: Measured, port: int) -> int:
    answered = Counter[int]()
    callers = [
        asyncio.create_task(_call_until_dead(stack, port, answered, stream=number % 2 == 0))
        for number in range(CALLERS)
    ]
    await asyncio.sleep(TRAFFIC_S)
    for pid in list_tree(process.pid):
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*callers)
    if set(answered) - {200}:
        raise NotProven(f"not every call was answered with 200: {dict(answered)}")
    return answered[200]


async def _call_until_dead(
    stack: Stack, port: int, answered: Counter[int], *, stream: bool
) -> None:
    words = "Hello [[demo chunks=5 chunk_delay_s=0.01]]"
    request = write_chat(words, key=stack.api_key, model=stack.chat_model, stream=stream)
    while True:
        try:
            answer = await exchange(port, request, timeout_s=10)
        except OSError:
            return
        if not answer.status:
            return
        answered[answer.status] += 1


def _read_counted(upstream: int) -> Counter[str]:
    url = f"http://127.0.0.1:{upstream}/demo/counts"
    with urllib.request.urlopen(url, timeout=10) as reply:
        counts = json.load(reply)
    if counts["forgotten"]:
        raise NotProven("the upstream served more calls than it remembers.")
    return Counter(call["request_id"] for call in counts["calls"])


def _wait_for_ledger(administrator: Administrator, counted: Counter[str]) -> Comparison:
    if "" in counted:
        raise NotProven("the gateway sent a call upstream without X-Request-Id.")
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        rows: dict[str, int] = administrator.ask("count_ledger")
        outcome = Comparison(
            counted=counted.total(),
            missing=sum(times for name, times in counted.items() if name not in rows),
            repeated=sum(rows.get(name, 0) > 1 for name in counted)
            + sum(times > 1 for times in counted.values()),
        )
        if not outcome.missing or time.monotonic() > deadline:
            return outcome
        time.sleep(1)
