"""A full disk under the journal: no call is made that could not be accounted for, and nobody has to do anything."""

import asyncio
import contextlib
import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.administrator import lead_calls_to
from bench.beginning import begin
from bench.client import exchange, write_chat
from bench.counted import read_counted, start_upstream, wait_for_ledger
from bench.processes import Measured
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_gateway

NAME = "disk-full"
PROMISE = (
    "With the journal's disk full, calls get 503 before any upstream, and return by themselves."
)
ROUNDS = 3
CALLERS = 16
SEGMENT_BYTES = 64 * 1024
DISK_BYTES = 8 << 20
FULL_S = 3.0
# Longer than a gateway takes to ship a segment and remove it.
QUIET_S = 1.5
TURN_TIMEOUT_S = 60.0
REFUSED, ANSWERED = 503, 200


class Disk(NamedTuple):
    """Where the journal lies, and how its disk is filled up and emptied again."""

    folder: Path
    fill: Callable[[Measured], None]
    empty: Callable[[Measured], None]
    kind: str


def run() -> Verdict:
    """Fill the disk time and again while calls are made, then hold upstream and ledger together."""
    with (
        begin(NAME) as (folder, stack, administrator),
        ExitStack() as running,
    ):
        upstream = start_upstream(folder, running)
        lead_calls_to(administrator, upstream, key=stack.api_key)
        disk = running.enter_context(_small_disk(folder / "disk"))
        extra = {
            "LATCHKEY_JOURNAL_DIR": str(disk.folder),
            "LATCHKEY_JOURNAL_SEGMENT_BYTES": str(SEGMENT_BYTES),
        }
        gateway = running.enter_context(start_gateway(stack, "disk", extra=extra))
        leaked, refused, slowest = asyncio.run(_fill_and_empty(stack, gateway, disk, upstream))
        if gateway[0].process.poll() is not None:
            raise NotProven(f"the gateway ended:\n{gateway[0].describe_end()}")
        outcome = wait_for_ledger(administrator, read_counted(upstream))
    figure = (
        f"{ROUNDS} times full ({disk.kind}): {refused} calls refused, {leaked} reached the upstream, "
        f"back after {slowest:.1f} s at most; {outcome}"
    )
    held = outcome.is_equal and not leaked and outcome.counted > 0 and refused > 0
    return Verdict(figure, "0 reached it, 0 missing, 0 twice", held)


async def _fill_and_empty(
    stack: Stack, gateway: tuple[Measured, int], disk: Disk, upstream: int
) -> tuple[int, int, float]:
    """Return the calls that reached the upstream while the disk was full, those refused, and the longest return."""
    process, port = gateway
    leaked, refused, slowest = 0, 0, 0.0
    for number in range(ROUNDS):
        await _call_until_answered(stack, port)
        try:
            await _fill_up(stack, gateway, disk)
            before = read_counted(upstream).total()
            statuses = await _call_for(stack, port, FULL_S)
            now = read_counted(upstream).total() - before
        finally:
            disk.empty(process)
        began = time.monotonic()
        await _call_until_answered(stack, port)
        slowest = max(slowest, time.monotonic() - began)
        if set(statuses) != {REFUSED}:
            leaked += sum(times for status, times in statuses.items() if status != REFUSED)
        leaked, refused = leaked + now, refused + statuses[REFUSED]
        print(
            f"round {number + 1}: {dict(statuses)} while full, {now} reached the upstream",
            flush=True,
        )
    return leaked, refused, slowest


async def _fill_up(stack: Stack, gateway: tuple[Measured, int], disk: Disk) -> None:
    """Fill the disk until it stays full: the segment at hand has room of its own, and each that is shipped makes room again."""
    process, port = gateway
    deadline = time.monotonic() + TURN_TIMEOUT_S
    while time.monotonic() < deadline:
        disk.fill(process)
        if set(await _call_for(stack, port, QUIET_S)) == {REFUSED}:
            return
    raise NotProven(f"the disk did not stay full within {TURN_TIMEOUT_S:.0f} s.")


async def _call_until_answered(stack: Stack, port: int) -> None:
    """Call until every caller is answered in a row."""
    deadline = time.monotonic() + TURN_TIMEOUT_S
    while time.monotonic() < deadline:
        if set(await _call_for(stack, port, 0.2)) == {ANSWERED}:
            return
    raise NotProven(f"not every call was answered within {TURN_TIMEOUT_S:.0f} s.")


async def _call_for(stack: Stack, port: int, seconds: float) -> Counter[int]:
    """Call from all callers for a while; return how often each status came."""
    statuses = Counter[int]()
    request = write_chat("Hello", key=stack.api_key, model=stack.chat_model)
    end = time.monotonic() + seconds

    async def call() -> None:
        while time.monotonic() < end:
            answer = await exchange(port, request, timeout_s=30)
            statuses[answer.status] += 1

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return statuses


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Disk]:
    """A small file system of its own where that may be mounted, else a bound on the process's files."""
    folder.mkdir(mode=0o700)
    options = f"size={DISK_BYTES},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "latchkey-bench", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield Disk(folder, _bound_files, _free_files, "a bound on files")
        return
    filler = folder / "filler"
    try:
        yield Disk(
            folder,
            lambda _: _fill(filler),
            lambda _: filler.unlink(),
            f"a file system of {DISK_BYTES >> 20} MiB",
        )
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=False)


def _fill(filler: Path) -> None:
    """Write on until nothing fits."""
    with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def _bound_files(process: Measured) -> None:
    """Let the process make no file longer than this: the next segment cannot be had."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1024, hard))


def _free_files(process: Measured) -> None:
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
