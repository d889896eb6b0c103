"""Four real processes on one key: no window of its length ever holds more than the limit."""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.leases.admissions import most_in_any_window
from tests.proxy.leases.server import StoreServer

pytestmark = pytest.mark.time_limit_s(90)
PROCESSES = 4


def run_hammers(
    server: StoreServer, root: Path, *, limit: int, length_s: int, amount: int, seconds: float
) -> list[subprocess.Popen[str]]:
    """Start four processes that call for so many seconds."""
    key = f"test:{secrets.token_hex(8)}"
    numbers = [str(limit), str(length_s), str(amount), str(seconds)]
    command = [sys.executable, "-m", "tests.proxy.leases.hammer", server.url, key, *numbers]
    return [
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]


def collect(processes: list[subprocess.Popen[str]]) -> list[tuple[float, int]]:
    """All admissions of all processes."""
    admitted = []
    for process in processes:
        output, _ = process.communicate(timeout=50)
        for line in output.splitlines():
            at, amount = line.split()
            admitted.append((float(at), int(amount)))
    return admitted


@pytest.mark.parametrize(
    ("limit", "length_s", "amount", "seconds"),
    [(2000, 10, 1, 13), (100, 1, 1, 4), (20_000, 10, 100, 13)],
    ids=["ten-seconds", "one-second", "tokens"],
)
def test_admitted_never_exceeds_the_limit_in_any_window(
    shared_server: StoreServer,
    repository: Path,
    limit: int,
    length_s: int,
    amount: int,
    seconds: float,
) -> None:
    admitted = collect(
        run_hammers(
            shared_server,
            repository,
            limit=limit,
            length_s=length_s,
            amount=amount,
            seconds=seconds,
        )
    )
    most = most_in_any_window(admitted, length_s)
    assert 0.9 * limit <= most <= limit
    assert sum(n for _, n in admitted) > 1.5 * limit, "The second window must be used as well."


def test_a_process_that_is_killed_takes_its_slice_with_it_and_no_more(
    shared_server: StoreServer, repository: Path
) -> None:
    processes = run_hammers(shared_server, repository, limit=2000, length_s=10, amount=1, seconds=5)
    os.kill(processes[0].pid, signal.SIGKILL)
    admitted = collect(processes)
    assert most_in_any_window(admitted, 10) <= 2000
    assert sum(n for _, n in admitted) >= 1000
