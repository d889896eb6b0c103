"""`make run` as a person meets it: it answers, it ends whole, it comes back after kill -9."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portal.embedded import processes
from portal.quickstart.ports import is_free

pytestmark = pytest.mark.time_limit_s(140)


class Run:
    """One run of the supervisor on a data folder of its own."""

    def __init__(self, data_dir: Path, root: Path) -> None:
        self.data_dir = data_dir
        self.port = next(
            port for port in range(21_000 + os.getpid() % 9_000, 65_000) if is_free(port)
        )
        # A shell's own settings, and this test run's, must not be needed.
        env = {name: value for name, value in os.environ.items() if "LATCHKEY" not in name}
        command = [sys.executable, "-m", "portal.quickstart", "--port", str(self.port)]
        self.started_at = time.time()
        self.output = data_dir.parent / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, "--data-dir", str(data_dir)],
                cwd=root,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> dict[str, Any]:
        facts = self.data_dir / "quickstart.json"
        # A killed run leaves its facts behind until the next one starts.
        while not facts.exists() or facts.stat().st_mtime < self.started_at:
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.1)
        answer: dict[str, Any] = json.loads(facts.read_text())
        return answer

    def printed_call(self) -> str:
        """The call that it tells a person to make."""
        lines: list[str] = []
        deadline = time.monotonic() + 10
        while not lines:
            assert time.monotonic() < deadline, self.output.read_text()
            found = self.output.read_text().splitlines(keepends=True)
            lines = [line for line in found if line.startswith("curl ") and line.endswith("\n")]
            time.sleep(0.05)
        return lines[0]

    def pids(self) -> list[int]:
        noted = json.loads((self.data_dir / "processes.json").read_text())
        return [row["pid"] for row in noted["processes"]]

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    """One data folder for the module, on one worker: a first start is dear, and every test leaves it usable."""
    folder = Path(tempfile.mkdtemp(prefix="latchkey-run-"))
    folder.chmod(0o711)
    yield folder / ".latchkey"
    shutil.rmtree(folder)


@pytest.fixture
def start(data_dir: Path, repository: Path) -> Iterator[Callable[[], Run]]:
    """Start runs on the module's data; whatever a failed test leaves running is ended."""
    runs: list[Run] = []

    def start_one() -> Run:
        runs.append(Run(data_dir, repository))
        return runs[-1]

    yield start_one
    for run in runs:
        if run.process.poll() is None:
            run.end()


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(processes.identify(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} still run"
        time.sleep(0.05)


def answer_in_shell(call: str) -> dict[str, Any]:
    """What a person gets who types the call as it was printed."""
    done = subprocess.run(["sh", "-c", call], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def use(run: Run) -> dict[str, Any]:
    """Make the call that a ready run tells a person to make; return what they sign in and call with."""
    facts = run.wait_until_ready()
    assert stat.S_IMODE((run.data_dir / "quickstart.json").stat().st_mode) == 0o600
    assert answer_in_shell(run.printed_call())["choices"][0]["message"]["content"]
    return {name: facts[name] for name in ("admin", "member", "api_key")}


def end_whole(run: Run) -> None:
    """End a run as a person does, and leave nothing of it."""
    pids = run.pids()
    assert len(pids) == 5
    assert run.end() == 0
    wait_until_gone(pids)
    assert not (run.data_dir / "quickstart.json").exists()


def test_run_ends_whole_and_starts_again_with_the_same_facts_even_after_kill(
    start: Callable[[], Run],
) -> None:
    run = start()
    first = use(run)
    end_whole(run)
    run = start()
    second = use(run)
    for pid in (run.process.pid, *run.pids()):
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    run = start()
    third = use(run)
    assert first == second == third
    pids = run.pids()
    run.end(signal.SIGKILL)
    # Elsewhere the next start ends what is left.
    if sys.platform == "linux":
        wait_until_gone(pids)


def test_stop_during_the_start_leaves_no_process(data_dir: Path, start: Callable[[], Run]) -> None:
    run = start()
    noted = data_dir / "processes.json"
    while not noted.exists() or noted.stat().st_mtime < run.started_at:
        time.sleep(0.02)
    pids = run.pids()
    assert run.end(signal.SIGINT) == 0
    wait_until_gone(pids)
    assert not noted.exists()


def test_part_that_dies_is_named_and_everything_stops(
    data_dir: Path, start: Callable[[], Run]
) -> None:
    run = start()
    run.wait_until_ready()
    pids = run.pids()
    os.kill(pids[-1], signal.SIGKILL)
    assert run.process.wait(60) == 1
    assert "The worker ended by itself" in run.output.read_text()
    wait_until_gone(pids)
