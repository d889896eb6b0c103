"""The whole comparison with other gateways, from which docs/benchmarks.md is written."""

import os

from bench.comparison.figures import FIGURES, judge
from bench.comparison.page import write_page
from bench.comparison.plan import Plan, read_plan
from bench.comparison.record import Part, Record, write_whole
from bench.comparison.stages import measure_everything
from bench.field import FLOOR
from bench.load import require_program
from bench.ourselves import GOVERNED, UNGOVERNED
from bench.proof import NotProven, Verdict
from bench.stack import TREE

NAME = "compare"
PROMISE = "Beside nginx, Envoy, LiteLLM, Portkey and MLflow; writes docs/benchmarks.md."
RESULTS = TREE / "bench" / "results"
PAGE = TREE / "docs" / "benchmarks.md"
DECIDING = {FLOOR, GOVERNED, UNGOVERNED}
DISTURBED_MOST = 1 / 3


def run() -> Verdict:
    """Measure, keep the record, write the page, and hold the figures against their targets."""
    for program, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        require_program(program, package)
    if (os.cpu_count() or 1) < 2:
        raise NotProven("two cores are needed, one for the gateways and one for the load.")
    plan = read_plan()
    path = RESULTS / ("trial.json" if plan.is_trial else "benchmarks.json")
    record = measure_everything(plan, keep=lambda so_far: so_far.save(path))
    if GOVERNED not in record.names(Part.CONNECTIONS):
        raise NotProven(f"Latchkey was not measured: {record.missing}")
    # A trial shows the page as it would be, and leaves the one that counts alone.
    page = RESULTS / "trial.md" if plan.is_trial else PAGE
    write_whole(page, write_page(record))
    print(f"{page.relative_to(TREE)} was written from {path.relative_to(TREE)}", flush=True)
    return _judge(record, plan)


def _judge(record: Record, plan: Plan) -> Verdict:
    figures = judge(record)
    figure = "; ".join(f"{one.what}: {one.text}" for one in figures)
    if plan.is_trial:
        raise NotProven(f"{figure}; a trial proves nothing.")
    if len(figures) < len(FIGURES):
        raise NotProven(f"{figure}; the others could not be told: {record.missing}")
    deciding = [one for one in record.select(Part.CONNECTIONS) if one.name in DECIDING]
    disturbed = sum(one.is_disturbed for one in deciding)
    if disturbed > DISTURBED_MOST * len(deciding):
        raise NotProven(
            f"{figure}; {disturbed} of {len(deciding)} runs that decide were disturbed; "
            "run it again on a machine that is otherwise idle."
        )
    return Verdict(
        figure, ", ".join(one.target for one in figures), all(one.held for one in figures)
    )
