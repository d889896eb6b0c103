"""Programs of the project run as processes, with an environment of the test's making."""

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.services import ROOT


def environment_with(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return our environment changed; None takes a variable out."""
    changed = {**os.environ, **changes}
    return {name: value for name, value in changed.items() if value is not None}


def run_python(
    *arguments: str,
    changes: Mapping[str, str | None] | None = None,
    stdin: str = "",
    timeout_s: float = 40.0,
) -> subprocess.CompletedProcess[str]:
    """Run this Python with our environment changed; None takes a variable out."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment_with(changes or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
