"""An environment of its own for each thing that is fetched, under bench/.env, at the versions that are pinned.

What is pinned stands beside this file: `pinned/NAME.txt` for pip, `pinned/NAME.json` and its lock for npm. None of them
names a registry, so that whichever the machine is set up with is asked.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.load import require_program
from bench.proof import NotProven

ENVIRONMENTS = Path(__file__).parent.parent / ".env"
PINNED = Path(__file__).parent / "pinned"
INSTALL_TIMEOUT_S = 1200


def prepare_python(name: str, *requirements: str) -> Path:
    """A virtual environment with some requirements at the versions pinned for it."""
    pinned = PINNED / f"{name}.txt"
    wanted = "\n".join((*requirements, pinned.read_text()))
    return _prepare(name, wanted, ["-c", str(pinned), *requirements])


def prepare_locked(name: str, lock: Path) -> Path:
    """A virtual environment with what a lock with hashes names."""
    return _prepare(name, lock.read_text(), ["--require-hashes", "-r", str(lock)])


def prepare_node(name: str) -> Path:
    """A folder with the packages that a lock for npm names; none of their scripts is run."""
    npm, folder = require_program("npm", "npm"), ENVIRONMENTS / name
    wanted = (PINNED / f"{name}-lock.json").read_text()
    if _must_be_made(folder, wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copyfile(PINNED / f"{name}.json", folder / "package.json")
        (folder / "package-lock.json").write_text(wanted)
        _install(name, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder=folder)
        (folder / "ready").write_text(wanted)
    return folder


def read_version(environment: Path, package: str) -> str:
    """The version of a package in one of the virtual environments."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    command = [str(environment / "bin" / "python"), "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def _prepare(name: str, wanted: str, asked: list[str]) -> Path:
    folder = ENVIRONMENTS / name
    if _must_be_made(folder, wanted):
        _install(name, [sys.executable, "-m", "venv", "--clear", str(folder)])
        _install(name, [str(folder / "bin" / "pip"), "install", "--quiet", *asked])
        (folder / "ready").write_text(wanted)
    return folder


def _must_be_made(folder: Path, wanted: str) -> bool:
    ready = folder / "ready"
    if ready.exists() and ready.read_text() == wanted:
        return False
    print(f"making bench/.env/{folder.name}, once", flush=True)
    return True


def _install(name: str, command: list[str], *, folder: Path | None = None) -> None:
    ended = subprocess.run(command, check=False, cwd=folder, timeout=INSTALL_TIMEOUT_S)
    if ended.returncode:
        raise NotProven(f"{name} could not be installed; is a registry reached?")
