"""Two starts at once make one environment, and neither removes what the other is making."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services import ROOT

# Notes what it was asked for, takes its time, and fails where somebody removes what it makes.
UV = """#!{python}
import pathlib, sys, time
notes = pathlib.Path({notes!r})
with notes.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
venv = pathlib.Path({venv!r})
if sys.argv[1] == "venv":
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to({python!r})
time.sleep({pause_s})
if sys.argv[1] == "pip":
    sys.exit({exit_code})
assert (venv / "bin" / "python").exists()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the program, two locks and a uv of the test's own."""
    folder = tmp_path / "project"
    (folder / "requirements").mkdir(parents=True)
    (folder / "programs").mkdir()
    for group in ("base", "test"):
        (folder / "requirements" / f"{group}.txt").write_text(group)
    shutil.copy(ROOT / "bootstrap.py", folder)
    put_uv(folder, pause_s=0.5)
    return folder


def put_uv(project: Path, *, pause_s: float, exit_code: int = 0) -> None:
    uv = project / "programs" / "uv"
    uv.write_text(
        UV.format(
            python=sys.executable,
            notes=str(project / "notes"),
            venv=str(project / ".venv"),
            pause_s=pause_s,
            exit_code=exit_code,
        )
    )
    uv.chmod(0o755)


def start(project: Path, *groups: str, python: str = sys.executable) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "bootstrap.py", *groups],
        cwd=project,
        env={"PATH": f"{project / 'programs'}:/usr/bin:/bin", "PYTHON": python},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def end_well(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate(timeout=20)
    assert process.returncode == 0, told
    return told


def asked(project: Path) -> list[list[str]]:
    """Everything that uv was asked for, word by word."""
    return [line.split() for line in (project / "notes").read_text().splitlines()]


def notes(project: Path) -> list[str]:
    return [words[0] for words in asked(project)]


def test_every_file_is_installed_by_its_hash_or_not_at_all(project: Path) -> None:
    put_uv(project, pause_s=0)
    end_well(start(project, "base", "test"))
    _, (*_, flag, first, base, second, test) = asked(project)
    assert flag == "--require-hashes"
    assert (first, second) == ("-r", "-r")
    assert [Path(file).name for file in (base, test)] == ["base.txt", "test.txt"]


def test_what_uv_does_not_know_of_this_machine_is_told_when_it_fails(project: Path) -> None:
    put_uv(project, pause_s=0, exit_code=2)
    failed = start(project, "base")
    told, _ = failed.communicate(timeout=20)
    assert failed.returncode == 1
    assert "SSL_CERT_FILE" in told
    assert "UV_DEFAULT_INDEX" in told
    assert not (project / ".venv" / "latchkey-stamp.json").exists()


@pytest.mark.parametrize("is_left_over", [False, True])
def test_two_starts_at_once_make_one_environment(project: Path, is_left_over: bool) -> None:
    if is_left_over:
        (project / ".venv" / "bin").mkdir(parents=True)
    both = [start(project, "base") for _ in range(2)]
    told = [end_well(one) for one in both]
    assert notes(project) == ["venv", "pip"]
    assert sum("Waiting for another run" in one for one in told) == 1
    assert end_well(start(project, "base")) == ""


def test_later_start_adds_its_group_to_what_the_first_has_made(project: Path) -> None:
    first = start(project, "base")
    while not (project / "notes").exists():
        time.sleep(0.01)
    end_well(start(project, "base", "test"))
    end_well(first)
    assert notes(project) == ["venv", "pip", "pip"]
    assert set(json.loads((project / ".venv" / "latchkey-stamp.json").read_text())) == {
        "base",
        "test",
    }


def test_killed_start_holds_up_nobody(project: Path) -> None:
    put_uv(project, pause_s=20)
    killed = start(project, "base")
    while not (project / ".venv" / "bin" / "python").exists():
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=5)
    put_uv(project, pause_s=0)
    end_well(start(project, "base"))
    assert notes(project) == ["venv", "venv", "pip"]


def test_another_build_of_the_same_version_makes_the_environment_anew(project: Path) -> None:
    put_uv(project, pause_s=0)
    end_well(start(project, "base"))
    other = project / "programs" / "other build"
    other.write_text(
        f"#!/bin/sh\necho cpython {sys.version_info[0]} {sys.version_info[1]} /else where\n"
    )
    other.chmod(0o755)
    assert "other build" in end_well(start(project, "base", python=str(other)))
    assert notes(project) == ["venv", "pip", "venv", "pip"]
