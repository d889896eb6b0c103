"""The memory of one gateway process after a million calls, beside that after its first fifty thousand."""

import os
import time
from collections.abc import Iterator

from bench.administrator import lead_calls_to
from bench.beginning import begin
from bench.fixed_upstream import start_fixed_upstream
from bench.load import Target, measure, require_program, warm_up
from bench.proof import NotProven, Verdict
from bench.stack import start_gateway

NAME = "memory"
PROMISE = "After a million calls a process is within 10 % of its memory after 50,000."
FIRST_CALLS = 50_000
PROMISED = 1_000_000
CALLS = int(os.environ.get("BENCH_CALLS", str(PROMISED)))
GROWTH_MAX = 0.10
SLICE_S = 10.0
# The shipper and the worker of the collector come to rest.
REST_S = 5.0
GATEWAY_CORE, LOAD_CORE = 0, 1


def run() -> Verdict:
    """Call until there were enough calls, and look at the memory at both marks."""
    require_program("wrk", "wrk")
    with (
        begin(NAME, core=LOAD_CORE) as (folder, stack, administrator),
        start_fixed_upstream(folder, core=LOAD_CORE) as upstream,
    ):
        lead_calls_to(administrator, upstream.port, key=stack.api_key)
        with start_gateway(stack, "memory", core=GATEWAY_CORE) as (process, port):
            target = Target(
                "Latchkey",
                f"http://127.0.0.1:{port}/v1/chat/completions",
                f"Bearer {stack.api_key}",
                stack.chat_model,
                process,
                GATEWAY_CORE,
            )
            warm_up(target)
            (early, before), (calls, after) = _measure(target)
    growth = after / before - 1
    figure = (
        f"{before / 1e6:.0f} MB after {early:,} calls, {after / 1e6:.0f} MB after {calls:,}: "
        f"{growth:+.1%}"
    )
    if CALLS < PROMISED:
        raise NotProven(f"{figure}; a run of fewer than {PROMISED:,} calls proves nothing.")
    return Verdict(figure, f"≤ {GROWTH_MAX:+.0%}", growth <= GROWTH_MAX)


def _measure(target: Target) -> list[tuple[int, int]]:
    """The calls and the resident bytes at each mark."""
    found = []
    calls = _made_calls(target)
    for mark in (min(FIRST_CALLS, CALLS // 2), CALLS):
        made = next(made for made in calls if made >= mark)
        time.sleep(REST_S)
        found.append((made, target.process.read_memory_bytes()))
        print(f"{made:,} calls: {found[-1][1] / 1e6:.1f} MB", flush=True)
    return found


def _made_calls(target: Target) -> Iterator[int]:
    """Call, and yield how many calls were answered so far."""
    made = 0
    while True:
        made += measure(target, duration_s=SLICE_S, core=LOAD_CORE).calls
        yield made
