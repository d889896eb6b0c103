"""Latchkey without what governs, which the measurements stand beside the governed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.environment import NOWHERE, fixed_environment

ROOT = Path(__file__).parents[2]


def test_ungoverned_application_is_made_where_nothing_was_set_up_before(tmp_path: Path) -> None:
    environment = os.environ | NOWHERE | fixed_environment(journal_dir=str(tmp_path))
    made = subprocess.run(
        [sys.executable, "-c", "from bench.ungoverned import application; print(application)"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert made.returncode == 0, made.stderr
    assert "Ungoverned" in made.stdout
