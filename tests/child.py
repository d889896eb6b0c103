"""Programs of the project run as processes, with an environment of the test's making."""

import os
import subprocess
import sys
from collections.abc import Mapping

from tests.services import ROOT


def run_python(
    *arguments: str,
    changes: Mapping[str, str | None] | None = None,
    stdin: str = "",
    timeout_s: float = 40.0,
) -> subprocess.CompletedProcess[str]:
    """Run this Python with our environment changed; None takes a variable out."""
    environment = {
        name: value
        for name, value in {**os.environ, **(changes or {})}.items()
        if value is not None
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
