"""A budget worth ten calls, a thousand callers, four processes: nothing is spent beyond it.

Rounds of four kinds take turns: `plain`; `hang-up`, where half of the callers leave before their answer is whole;
`error`, where half of the calls meet an upstream that fails; and `kill`, where one of the processes is killed in the
middle and another takes its place. Every process gets calls of each sort. Once nothing is held any more, some call again: they
may spend what came back, and nothing that whoever is gone may have used. What counts is the ledger: what the calls of the
round cost, against the budget, an interrupted one as much as an answered one; it has to know of hang-ups, failures and interrupted
calls too, or they were not tried.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple, Self

from bench.administrator import Administrator
from bench.beginning import begin
from bench.client import exchange, write_request
from bench.processes import Measured, list_tree
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "overshoot"
PROMISE = "1,000 calls at once from 4 processes spend nothing beyond a budget worth 10 calls."
PROMISED = 20
ROUNDS = int(os.environ.get("BENCH_OVERSHOOT_ROUNDS", str(PROMISED)))
KINDS = ("plain", "hang-up", "error", "kill")
GATEWAYS = 4
KILLED = 0
CALLS = 1000
AGAIN = 100
WORTH = 10
TOKENS = 100
ANSWERED, LIMIT_REACHED = 200, 429
HEARD_WITHIN_S = 1.5
# The process that is killed has a start in which it takes calls, which last for longer than until then.
START_S = 0.5
KILL_AFTER_S = 1.0
LEAVES_AFTER_S = 1.0
# What the ledger calls the calls that a kind of round is about.
SHOWN_BY = {"hang-up": "client_gone", "error": "upstream_error", "kill": "interrupted"}
# A process that is gone holds nothing any more once it was not heard for ten seconds.
SETTLED_WITHIN_S = 40.0


class Outcome(NamedTuple):
    """What a round did to its budget.

    shown: how many of its calls are such as its kind is about. is_stuck: what came back could not be spent.
    """

    kind: str
    shown: int
    statuses: Counter[int]
    spent: int
    used: int
    held: int
    is_stuck: bool


def run() -> Verdict:
    """Spend one budget after another."""
    with begin(NAME) as (_, stack, administrator):
        administrator.ask("open_limits", key=stack.api_key)
        with Gateways(stack) as gateways:
            budget = WORTH * measure_cost(stack, administrator, gateways)
            outcomes = [
                _spend(stack, administrator, gateways, number, budget) for number in range(ROUNDS)
            ]
        return _judge(outcomes, budget)


def _judge(outcomes: list[Outcome], budget: int) -> Verdict:
    if any(
        set(outcome.statuses) <= {0, LIMIT_REACHED} and not outcome.shown for outcome in outcomes
    ):
        raise NotProven("in some round no call reached an upstream.")
    if any(not outcome.statuses[LIMIT_REACHED] for outcome in outcomes):
        raise NotProven("in some round the budget was not put to a test.")
    for kind, status in SHOWN_BY.items():
        of_kind = [outcome.shown for outcome in outcomes if outcome.kind == kind]
        if of_kind and not any(of_kind):
            raise NotProven(f"no round of {kind} has a call in the ledger that is {status}.")
    over = sum(outcome.spent > budget or outcome.used > budget for outcome in outcomes)
    holding = sum(outcome.held != 0 for outcome in outcomes)
    stuck = sum(outcome.is_stuck for outcome in outcomes)
    most = max(outcome.spent for outcome in outcomes)
    figure = (
        f"{over} of {len(outcomes)} rounds over, at most {most} of {budget} micro-USD spent, "
        f"{holding} with something held in the end, {stuck} with something that came back and cannot be spent"
    )
    if len(outcomes) < PROMISED:
        raise NotProven(f"{figure}; only {len(outcomes)} of {PROMISED} rounds.")
    held = not (over or holding or stuck)
    return Verdict(figure, "0 over, 0 held, 0 not to be spent, 20 rounds", held)


class Gateways:
    """The processes, each of which can be killed and replaced."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._running = [ExitStack() for _ in range(GATEWAYS)]
        self._processes: list[Measured] = []
        self.ports: list[int] = []

    def __enter__(self) -> Self:
        for number, running in enumerate(self._running):
            process, port = running.enter_context(start_gateway(self._stack, f"o{number}"))
            self._processes.append(process)
            self.ports.append(port)
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running:
            running.close()

    def kill(self, number: int) -> None:
        """End one as kill -9 does."""
        for pid in list_tree(self._processes[number].pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def replace(self, number: int) -> None:
        """Start a successor, which ships what the dead one left."""
        running = self._running[number]
        running.close()
        process, port = running.enter_context(start_gateway(self._stack, f"o{number}"))
        self._processes[number], self.ports[number] = process, port


def measure_cost(stack: Stack, administrator: Administrator, gateways: Gateways) -> int:
    """What one call costs by the ledger, in micro-USD."""
    answer = asyncio.run(exchange(gateways.ports[0], write_call(stack, "plain", 1), timeout_s=20))
    if answer.status != 200:
        raise NotProven(f"a first call was answered with {answer.status}: {answer.body[:300]!r}")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        cost = administrator.ask("read_last_cost", key=stack.api_key)
        if cost:
            return int(cost)
        time.sleep(0.2)
    raise NotProven("the first call's cost did not reach the ledger.")


def write_call(stack: Stack, kind: str, number: int) -> bytes:
    """One of the calls of a round, of its kind by its number."""
    is_odd = number // GATEWAYS % 2
    directive = f"tokens={TOKENS} delay_s=0.05"
    if kind == "error" and is_odd:
        directive += " status=500"
    streams = kind == "kill" or (kind == "hang-up" and not is_odd)
    if streams:
        directive = f"tokens={TOKENS} chunk_delay_s=0.02"
    question = f"Hello [[demo {directive}]]"
    body = {
        "model": stack.chat_model,
        "max_tokens": TOKENS,
        "stream": streams,
        "messages": [{"role": "user", "content": question}],
    }
    return write_request(
        "POST", "/v1/chat/completions", key=stack.api_key, body=json.dumps(body).encode()
    )


def _spend(
    stack: Stack, administrator: Administrator, gateways: Gateways, number: int, budget: int
) -> Outcome:
    kind = KINDS[number % len(KINDS)]
    limit_id = administrator.ask("set_budget", key=stack.api_key, micro_usd=budget)
    time.sleep(HEARD_WITHIN_S)
    statuses = asyncio.run(_call_all(stack, gateways, kind, CALLS))
    if kind == "kill":
        gateways.replace(KILLED)
    left = budget - wait_until_settled(administrator, limit_id)["used"]
    again = asyncio.run(_call_all(stack, gateways, "plain", AGAIN))
    standing = wait_until_settled(administrator, limit_id)
    cost, known = budget // WORTH, standing["statuses"]
    print(
        f"round {number + 1} ({kind}): {dict(statuses)}, again {dict(again)}, {standing} of {budget}",
        flush=True,
    )
    return Outcome(
        kind=kind,
        shown=known.get(SHOWN_BY.get(kind, "answered"), 0),
        statuses=statuses,
        spent=standing["spent"] + cost * known.get("interrupted", 0),
        used=standing["used"],
        held=standing["held"],
        # A call's worst case is less than the cost of two.
        is_stuck=left >= 2 * cost and not again[ANSWERED],
    )


async def _call_all(stack: Stack, gateways: Gateways, kind: str, count: int) -> Counter[int]:
    statuses = Counter[int]()
    calls = [
        _call(
            gateways.ports[number % GATEWAYS],
            write_call(stack, kind, number),
            kind,
            number,
            statuses,
        )
        for number in range(count)
    ]
    if kind == "kill":
        asyncio.get_running_loop().call_later(KILL_AFTER_S, gateways.kill, KILLED)
    await asyncio.gather(*calls)
    return statuses


async def _call(port: int, request: bytes, kind: str, number: int, statuses: Counter[int]) -> None:
    leaves = kind == "hang-up" and number // GATEWAYS % 2 == 0
    if kind == "kill" and number % GATEWAYS != KILLED:
        await asyncio.sleep(START_S)
    try:
        answer = await exchange(port, request, timeout_s=LEAVES_AFTER_S if leaves else 60)
    except (OSError, TimeoutError):
        statuses[0] += 1
        return
    statuses[answer.status] += 1


def wait_until_settled(administrator: Administrator, limit_id: str) -> dict[str, Any]:
    """How the budget stands once nothing is held of it and the ledger has everything."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    known: dict[str, Any] = {}
    while time.monotonic() < deadline:
        before, known = known, administrator.ask("read_budget", limit_id=limit_id)
        # The ledger is read once more after nothing is held, for what was still to be shipped.
        if not known["held"] and known == before:
            break
        time.sleep(1.5)
    return known
