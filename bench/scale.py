"""A Latchkey with a million keys and twenty million calls beside one with a hundred keys and none, in turns."""

import os
import statistics
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.administrator import Administrator, lead_calls_to, start_administrator
from bench.fixed_upstream import start_fixed_upstream
from bench.load import Sample, Target, measure, require_program, warm_up
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway, start_stack

NAME = "scale"
PROMISE = "At 1,000,000 keys and 20,000,000 calls, a call costs as at 100 keys, and usage is shown at once."
FEW_KEYS = 100
PROMISED_KEYS, PROMISED_ROWS = 1_000_000, 20_000_000
KEYS = int(os.environ.get("BENCH_KEYS", str(PROMISED_KEYS)))
ROWS = int(os.environ.get("BENCH_ROWS", str(PROMISED_ROWS)))
BATCH_ROWS = 500_000
DURATION_S = float(os.environ.get("BENCH_DURATION_S", "10"))
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


def run() -> Verdict:
    """Fill one of two, measure both in turns, then ask the full one for its usage."""
    require_program("wrk", "wrk")
    with tempfile.TemporaryDirectory(prefix="latchkey-scale-") as name, ExitStack() as running:
        upstream = running.enter_context(start_fixed_upstream(Path(name), core=LOAD_CORE))
        small = _start(Path(name) / "small", running, upstream.port, keys=FEW_KEYS)
        large = _start(Path(name) / "large", running, upstream.port, keys=KEYS)
        _fill(large.administrator)
        pairs = [(_measure(small), _measure(large)) for _ in range(ROUNDS)]
        page_ms = _ask_usage(large)
    few, many = (
        statistics.median(one.cpu_ms_per_call for one in side) for side in zip(*pairs, strict=True)
    )
    apart = many / few - 1
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


def _start(folder: Path, running: ExitStack, upstream: int, *, keys: int) -> House:
    folder.mkdir()
    folder.parent.chmod(0o755)
    stack = running.enter_context(start_stack(folder, core=LOAD_CORE))
    administrator = running.enter_context(start_administrator(stack.environment, str(stack.folder)))
    made = administrator.ask("make_pages", keys=keys)
    lead_calls_to(administrator, upstream, key=stack.api_key)
    gateway = start_gateway(stack, "scale", core=GATEWAY_CORE)
    process, port = running.enter_context(gateway)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    target = Target(
        f"{keys:,} keys", url, f"Bearer {stack.api_key}", stack.chat_model, process, GATEWAY_CORE
    )
    warm_up(target)
    print(f"{keys:,} keys are there", flush=True)
    return House(stack, administrator, made["cookies"]["owner"], target)


def _fill(administrator: Administrator) -> None:
    for first in range(0, ROWS, BATCH_ROWS):
        last = min(first + BATCH_ROWS, ROWS) - 1
        administrator.ask("make_calls", first=first, last=last, count=ROWS)
        if (last + 1) % (4 * BATCH_ROWS) == 0:
            print(f"{last + 1:,} calls are there", flush=True)
    print(f"{administrator.ask('count_usage'):,} rows of usage by day are there", flush=True)


def _measure(house: House) -> Sample:
    sample = measure(house.target, duration_s=DURATION_S, core=LOAD_CORE)
    print(
        f"{house.target.name}: {sample.cpu_ms_per_call:.3f} ms a call, {sample.calls_per_s:.0f} calls/s,"
        f" others {sample.foreign_share:.0%}",
        flush=True,
    )
    return sample


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
