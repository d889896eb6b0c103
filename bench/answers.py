"""How long one answer of an upstream can keep a gateway's event loop from its other calls."""

import json
import os
import subprocess
import sys

from bench.proof import NotProven, Verdict
from bench.table import draw_table

NAME = "answers"
PROMISE = (
    "No answer of 32 MiB, whatever its shape, holds up other calls for more than 50 ms at once."
)
MOST_S = 0.05
TIMEOUT_S = 300
HEADS = ("answer", "at once, ms", "in all, ms", "slices", "outcome")


def run() -> Verdict:
    """Have each shape read slice by slice in a process with settings of its own."""
    command = [sys.executable, "-m", "tests.environment", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "bench.answer_slices"],
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "portal.settings"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise NotProven(f"the reading ended with {done.returncode}: {done.stderr[-2000:]}")
    rows = sorted(json.loads(done.stdout), reverse=True)
    lines = [
        (name, f"{at_once * 1e3:.1f}", f"{in_all * 1e3:.1f}", str(slices), outcome)
        for at_once, name, in_all, slices, outcome in rows
    ]
    print(draw_table(HEADS, lines))
    longest = rows[0][0]
    return Verdict(f"{longest * 1e3:.1f} ms at once", "50 ms", longest <= MOST_S)
