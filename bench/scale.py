"""A Latchkey with a million keys and twenty million calls beside one with a hundred keys and none, in turns."""

import os
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

from bench.administrator import Administrator, lead_calls_to, start_administrator
from bench.beginning import begin
from bench.calling_keys import CALLING_KEYS, make_calling_keys
from bench.fixed_upstream import start_fixed_upstream
from bench.load import Load, Sample, Target, measure, require_program, warm_up
from bench.processes import Measured
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "scale"
PROMISE = "At 1,000,000 keys and 20,000,000 calls, a call costs as at 100 keys, and usage is shown at once."
FEW_KEYS = 100
PROMISED_KEYS, PROMISED_ROWS = 1_000_000, 20_000_000
KEYS = int(os.environ.get("BENCH_KEYS", str(PROMISED_KEYS)))
ROWS = int(os.environ.get("BENCH_ROWS", str(PROMISED_ROWS)))
BATCH_ROWS = 250_000
DURATION_S = float(os.environ.get("BENCH_DURATION_S", "10"))
# Each key's first call looks it up; these are not counted.
FIRST_CALLS_S = 4.0
ROUNDS = 5
APART_MAX = 0.10
PAGE_MAX_MS = 300.0
ASKED = 20
FOREIGN_MAX = 0.10
GATEWAY_CORE, LOAD_CORE = 0, 1


class House(NamedTuple):
    """One Latchkey of the two, with what signs its owner in."""

    stack: Stack
    administrator: Administrator
    cookie: str
    target: Target
    load: Load

    @property
    def supervisor(self) -> Measured:
        """All of it but the gateway that is measured."""
        return self.stack.supervisor


def run() -> Verdict:
    """Fill one of two, measure both in turns, then ask the full one for its usage."""
    require_program("wrk", "wrk")
    with ExitStack() as running:
        small = _start("scale-small", running, keys=FEW_KEYS)
        large = _start("scale-large", running, keys=KEYS)
        _fill(large, running)
        small.supervisor.pin(LOAD_CORE)
        large.supervisor.pin(LOAD_CORE)
        for house in (small, large):
            _measure(house, duration_s=FIRST_CALLS_S)
        pairs = [_measure_both(small, large, number) for number in range(ROUNDS)]
        page_ms = _ask_usage(large)
    few, many = (
        statistics.median(one.cpu_ms_per_call for one in side) for side in zip(*pairs, strict=True)
    )
    # Round by round, because what disturbs a round disturbs both of its runs most alike.
    apart = statistics.median(
        there.cpu_ms_per_call / here.cpu_ms_per_call - 1 for here, there in pairs
    )
    figure = (
        f"{few:.3f} ms of CPU a call at {FEW_KEYS} keys, {many:.3f} ms at {KEYS:,} keys and {ROWS:,} calls: "
        f"{apart:+.1%}; usage page p95 {page_ms:.0f} ms"
    )
    if KEYS < PROMISED_KEYS or ROWS < PROMISED_ROWS or DURATION_S < 10:
        raise NotProven(f"{figure}; a smaller run proves nothing.")
    disturbed = sum(one.foreign_share > FOREIGN_MAX for pair in pairs for one in pair)
    if disturbed > 1:
        raise NotProven(f"{figure}; other processes disturbed {disturbed} of {2 * ROUNDS} runs.")
    held = abs(apart) <= APART_MAX and page_ms < PAGE_MAX_MS
    return Verdict(figure, f"± {APART_MAX:.0%}, page < {PAGE_MAX_MS:.0f} ms", held)


def _start(name: str, running: ExitStack, *, keys: int) -> House:
    began = time.monotonic()
    # Rows are made on both cores; what makes them is pinned to the load's before anything is measured.
    folder, stack, administrator = running.enter_context(begin(name))
    upstream = running.enter_context(start_fixed_upstream(folder, core=LOAD_CORE))
    lead_calls_to(administrator, upstream.port, key=stack.api_key)
    made = administrator.ask("make_pages", keys=max(0, keys - CALLING_KEYS))
    calling = make_calling_keys(folder, stack, administrator)
    gateway = start_gateway(stack, "scale", core=GATEWAY_CORE)
    process, port = running.enter_context(gateway)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    target = Target(
        f"{keys:,} keys", url, f"Bearer {stack.api_key}", stack.chat_model, process, GATEWAY_CORE
    )
    warm_up(target)
    print(f"{keys:,} keys are there after {time.monotonic() - began:.0f} s", flush=True)
    return House(stack, administrator, made["cookies"]["owner"], target, Load(keys=calling))


def _fill(house: House, running: ExitStack) -> None:
    """Make the calls and count their usage, from two connections at once."""
    began = time.monotonic()
    second = start_administrator(house.stack.environment, str(house.stack.folder))
    administrators = (house.administrator, running.enter_context(second))
    batches = iter(range(0, ROWS, BATCH_ROWS))

    def make_calls(administrator: Administrator) -> None:
        for first in batches:
            last = min(first + BATCH_ROWS, ROWS) - 1
            administrator.ask("make_calls", first=first, last=last, count=ROWS)
            if (last + 1) % (4 * BATCH_ROWS) == 0:
                spent_s = time.monotonic() - began
                print(f"{last + 1:,} calls are there after {spent_s:.0f} s", flush=True)

    def count_usage(part: int) -> None:
        administrators[part].ask("count_usage", part=part, parts=len(administrators))

    with ThreadPoolExecutor(len(administrators)) as pool:
        list(pool.map(make_calls, administrators))
        list(pool.map(count_usage, range(len(administrators))))
    days = house.administrator.ask("finish_rows")
    spent_s = time.monotonic() - began
    print(f"{days:,} rows of usage by day are there after {spent_s:.0f} s", flush=True)


def _measure(house: House, *, duration_s: float = DURATION_S) -> Sample:
    sample = measure(house.target, duration_s=duration_s, core=LOAD_CORE, load=house.load)
    print(
        f"{house.target.name}: {sample.cpu_ms_per_call:.3f} ms a call, {sample.calls_per_s:.0f} calls/s,"
        f" others {sample.foreign_share:.0%}",
        flush=True,
    )
    return sample


def _measure_both(small: House, large: House, number: int) -> tuple[Sample, Sample]:
    """Measure one after the other, each first in every second round."""
    if number % 2:
        many = _measure(large)
        return _measure(small), many
    return _measure(small), _measure(large)


def _ask_usage(house: House) -> float:
    """The 95th percentile of the usage page's time, in milliseconds, once it was asked for."""
    headers = {"Cookie": f"sessionid={house.cookie}"}
    request = urllib.request.Request(f"{house.stack.facts['base_url']}/usage/", headers=headers)
    times = []
    for _ in range(ASKED + 2):
        began = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as reply:
            page = reply.read()
        times.append((time.perf_counter() - began) * 1000)
    if b"$" not in page:
        raise NotProven("the usage page shows no costs.")
    return sorted(times[2:])[int(ASKED * 0.95) - 1]
