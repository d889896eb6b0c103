"""The project's own tests as a part of a proof: run as pytest runs them, and counted."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.processes import start
from bench.proof import NotProven

ROOT = Path(__file__).parent.parent


class Tests(NamedTuple):
    """What pytest said of them. A fixture that failed counts as a test that did."""

    passed: int
    failed: int
    skipped: int


def run_tests(
    arguments: Sequence[str], *, environment: Mapping[str, str], timeout_s: float
) -> Tests:
    """Run tests, and print what was said where one failed. Raises: NotProven where they did not end, or did not run."""
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-tests-") as name,
        start(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            log=Path(name) / "tests.log",
            folder=ROOT,
            environment={**os.environ, **environment},
        ) as running,
    ):
        try:
            running.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NotProven(
                f"the tests did not end in {timeout_s:g} s:\n{running.describe_end()}"
            ) from None
        said = running.log.read_text(errors="replace").strip()
    last = said.rpartition("\n")[2]
    counted = {
        name: int(number)
        for number, name in re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    }
    if not counted:
        raise NotProven(f"pytest did not run:\n{said[-3000:]}")
    failed = counted.get("failed", 0) + counted.get("error", 0)
    if failed:
        print(said[-20_000:], flush=True)
    return Tests(counted.get("passed", 0), failed, counted.get("skipped", 0))
