"""Calls survive kill -9: what the upstream counted stands in the ledger, each exactly once."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import ExitStack

from bench.administrator import lead_calls_to
from bench.beginning import begin
from bench.client import exchange, write_chat
from bench.counted import read_counted, start_upstream, wait_for_ledger
from bench.processes import Measured, list_tree
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "ledger"
PROMISE = "After ten kill -9 under traffic, every call the upstream counted is in the ledger once."
KILLS = 10
CALLERS = 16
TRAFFIC_S = 2.0


def run() -> Verdict:
    """Kill a gateway ten times while it serves; a successor ships what the dead one left."""
    with (
        begin(NAME) as (folder, stack, administrator),
        ExitStack() as running,
    ):
        upstream = start_upstream(folder, running)
        lead_calls_to(administrator, upstream, key=stack.api_key)
        for number in range(KILLS):
            # One journal folder for all: the next gateway is the successor of the one killed.
            with start_gateway(stack, "ledger") as (process, port):
                answered = asyncio.run(_kill_under_traffic(stack, process, port))
            print(f"kill {number + 1}: {answered} calls answered before it", flush=True)
        running.enter_context(start_gateway(stack, "ledger"))
        outcome = wait_for_ledger(administrator, read_counted(upstream))
    if outcome.counted < KILLS:
        raise NotProven(f"only {outcome.counted} calls reached the upstream.")
    return Verdict(str(outcome), "0 missing, 0 twice", outcome.is_equal)


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
