"""Calls per second and CPU per call on one pinned core, beside nginx, Envoy and LiteLLM.

All gateways run at once on one core and are called in turn, round after round, so that whatever the
machine does in between falls on all of them; the load and the upstream have the other core. What
counts is CPU per call. The verdict stands on auth_request as it is used, asking a server over HTTP;
the ratio to the form that nginx answers itself, which asks nobody, is printed beside it.

A run counts as disturbed where others had over a tenth of the gateway's core: that raises CPU per
call through the shared caches, and not equally for all. With too many of those there is no verdict.
Calls per second are a core's capacity only where the gateway had nearly all of it; others are
marked ">", because the true figure is higher.
"""

import os
from contextlib import ExitStack
from statistics import median

from bench.administrator import lead_calls_to
from bench.beginning import begin
from bench.field import FLOOR, Field, list_starters, start_field
from bench.fixed_upstream import start_fixed_upstream
from bench.interpreter import describe_interpreter
from bench.load import Load, Sample, Target, measure
from bench.ourselves import GOVERNED, UNGOVERNED
from bench.proof import NotProven, Verdict
from bench.rivals import mlflow, portkey
from bench.rivals.gateway import Place
from bench.rivals.nginx import Check
from bench.table import draw_table, take_medians

NAME = "speed"
PROMISE = "A governed call costs at most 3 times the CPU of nginx with auth_request."
MOST_RATIO = 3.0
ROUNDS = 3
DURATION_S = float(os.environ.get("BENCH_DURATION_S", "6"))
PART_LOAD = 0.3
GATEWAY_CORE, LOAD_CORE = 0, 1
Runs = dict[str, list[Sample]]
MOST_FOREIGN = 0.10
LEAST_SATURATED = 0.90
FEWEST_CALLS = 200
# Those that check no key are for the whole comparison.
LEFT_OUT = {mlflow.NAME, portkey.NAME}
HEADS = (
    *("gateway", "calls/s", "CPU ms", "min to max", "of floor", "p50 ms", "p99 ms"),
    *("CPU ms at 30 %", "disturbed"),
)


def run() -> Verdict:
    """Measure everything that starts, print the table, and compare Latchkey with the floor."""
    if (os.cpu_count() or 1) < 2:
        raise NotProven("two cores are needed, one for the gateway and one for the load.")
    with ExitStack() as running:
        field = _start_targets(running)
        full, part = _measure_interleaved(field.targets)
    print(draw_table(HEADS, [_write_row(name, full, part) for name in full]))
    print(f"Latchkey ran on {describe_interpreter()}")
    if GOVERNED in full and UNGOVERNED in full:
        share = _median_ratio(full, GOVERNED, UNGOVERNED, figure="calls_per_s")
        print(f"{GOVERNED}: {share:.0%} of the calls/s of {UNGOVERNED}")
    for name, reason in field.missing.items():
        print(f"not measured: {name}: {reason}")
    return _judge(full)


def _judge(full: Runs) -> Verdict:
    if FLOOR not in full or GOVERNED not in full:
        raise NotProven(f"{FLOOR} and {GOVERNED} were not both measured.")
    disturbed = [
        sample for name in (FLOOR, GOVERNED) for sample in full[name] if _disturbed(sample)
    ]
    if len(disturbed) > ROUNDS // 3:
        count = f"{len(disturbed)} of {2 * ROUNDS} runs that decide"
        raise NotProven(
            f"{count} were disturbed; run it again on a machine that is otherwise idle."
        )
    ratio = _median_ratio(full, GOVERNED, FLOOR)
    figure = f"{ratio:.2f} times the CPU per call of {FLOOR}"
    if Check.INSIDE.value in full:
        figure += (
            f" ({_median_ratio(full, GOVERNED, Check.INSIDE.value):.2f} where nginx answers itself)"
        )
    return Verdict(figure, f"at most {MOST_RATIO}", ratio <= MOST_RATIO)


def _disturbed(sample: Sample) -> bool:
    return sample.foreign_share > MOST_FOREIGN


def _median_ratio(full: Runs, name: str, floor: str, *, figure: str = "cpu_ms_per_call") -> float:
    # Round by round, because what disturbs a round disturbs both of its runs most alike.
    pairs = zip(full[name], full[floor], strict=True)
    return float(median(getattr(one, figure) / getattr(other, figure) for one, other in pairs))


def _start_targets(running: ExitStack) -> Field:
    folder, stack, administrator = running.enter_context(begin(NAME, core=LOAD_CORE))
    upstream = running.enter_context(start_fixed_upstream(folder, core=LOAD_CORE))
    lead_calls_to(administrator, upstream.port, key=stack.api_key)
    place = Place(folder, upstream.port, core=GATEWAY_CORE, load_core=LOAD_CORE)
    starters = list_starters(stack)
    return start_field(
        {name: starters[name] for name in starters if name not in LEFT_OUT}, place, running
    )


def _measure_interleaved(targets: list[Target]) -> tuple[Runs, Runs]:
    full: Runs = {target.name: [] for target in targets}
    part: Runs = {target.name: [] for target in targets}
    for number in range(ROUNDS):
        for target in targets:
            sample = measure(target, duration_s=DURATION_S, core=LOAD_CORE)
            rate = PART_LOAD * sample.calls_per_s
            quiet = measure(
                target, duration_s=DURATION_S, core=LOAD_CORE, load=Load(calls_per_s=rate)
            )
            full[target.name].append(sample)
            part[target.name].append(quiet)
            print(
                f"round {number + 1}: {target.name}: {sample.calls_per_s:,.0f} calls/s, "
                f"{sample.cpu_ms_per_call:.3f} ms, core {sample.own_share:.0%} own and "
                f"{sample.foreign_share:.0%} foreign",
                flush=True,
            )
    return full, part


def _write_row(name: str, full: Runs, part: Runs) -> list[str]:
    sample, quiet = take_medians(full[name]), take_medians(part[name])
    costs = [run.cpu_ms_per_call for run in full[name]]
    saturated = sample.own_share >= LEAST_SATURATED
    ratio = f"{_median_ratio(full, name, FLOOR):.2f}" if FLOOR in full else "?"
    # CPU is counted in ticks of 10 ms and includes idle work: few calls say nothing.
    enough = quiet.calls >= FEWEST_CALLS
    return [
        name,
        ("" if saturated else "> ") + f"{sample.calls_per_s:,.0f}",
        f"{sample.cpu_ms_per_call:.3f}",
        f"{min(costs):.3f} to {max(costs):.3f}",
        ratio,
        f"{sample.p50_ms:.1f}",
        f"{sample.p99_ms:.1f}",
        f"{quiet.cpu_ms_per_call:.3f}" if enough else f"{quiet.calls:.0f} calls",
        f"{sum(map(_disturbed, full[name]))} of {len(full[name])}",
    ]
