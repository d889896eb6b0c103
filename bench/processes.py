"""Processes under measurement: started on a core, accounted with all their children, and ended."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.proof import NotProven

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
CORES = tuple(sorted(os.sched_getaffinity(0)))
STOP_TIMEOUT_S = 10.0
LAST_LINES = 12
# An idle gateway still looks after its timers; a tick of the kernel's clock is 5 % of this while.
IDLE_S, IDLE_MAX_SHARE = 0.2, 0.1


class Measured:
    """A running process and everything it has started."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def read_cpu_s(self) -> float:
        """CPU seconds, user and system, of the whole tree so far."""
        return sum(map(_cpu_s, list_tree(self.pid)))

    def read_memory_bytes(self) -> int:
        """Resident memory of the tree's largest process."""
        return max(map(_resident_bytes, list_tree(self.pid)), default=0)

    def read_memory_of_all_bytes(self) -> int:
        """Resident memory of the whole tree; what its processes share counts for each."""
        return sum(map(_resident_bytes, list_tree(self.pid)))

    def pin(self, core: int) -> None:
        """Keep the tree, and all that it starts from now on, on one core."""
        for pid in list_tree(self.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                # Whatever ends meanwhile needs no core.
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), {core})

    def wait_until_idle(self, *, timeout_s: float) -> None:
        """Return when the tree has used next to no CPU for a while, or when the time is over."""
        deadline, used_s = time.monotonic() + timeout_s, self.read_cpu_s()
        while time.monotonic() < deadline:
            time.sleep(IDLE_S)
            before_s, used_s = used_s, self.read_cpu_s()
            if used_s - before_s <= IDLE_MAX_SHARE * IDLE_S:
                return

    def describe_end(self) -> str:
        """The last lines that it wrote."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES:])

    def stop(self) -> None:
        """End the whole group: politely, then by force."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, number)
                self.process.wait(STOP_TIMEOUT_S)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


def _stat_fields(pid: int) -> list[str]:
    # The name in parentheses may hold spaces; what follows the last one is regular (proc(5)).
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_s(pid: int) -> float:
    try:
        user, system, child_user, child_system = map(int, _stat_fields(pid)[11:15])
    except OSError:
        return 0.0
    return (user + system + child_user + child_system) / TICKS_PER_S


def _resident_bytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def list_tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat_fields(int(entry.name))[1]), []).append(
                    int(entry.name)
                )
            except OSError:
                continue
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def read_busy_s(core: int) -> float:
    """Seconds that a core has been busy or withheld by the host, interrupts left out.

    Interrupts are left out because most of them are the measured traffic's own.
    """
    lines = Path("/proc/stat").read_text().splitlines()
    line = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, steal = (int(line[column]) for column in (1, 2, 3, 8))
    return (user + nice + system + steal) / TICKS_PER_S


@contextmanager
def start(
    command: Sequence[str],
    *,
    log: Path,
    core: int | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Measured]:
    """Run a command in a group of its own, pinned to a core where one is named, then end it."""
    # taskset pins before the program starts its threads; pinning afterwards would miss them.
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    with log.open("ab") as output:
        process = subprocess.Popen(
            pinned,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    measured = Measured(process, log)
    try:
        yield measured
    finally:
        measured.stop()


def find_free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answering(measured: Measured, url: str, *, timeout_s: float) -> None:
    """Wait for any HTTP answer below 500; say what the process wrote where none comes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and measured.process.poll() is None:
        try:
            status = urllib.request.urlopen(url, timeout=2).status
        except urllib.error.HTTPError as error:
            status = error.code
        except OSError:
            status = 599
        if status < 500:
            return
        time.sleep(0.1)
    message = f"{url} did not answer within {timeout_s:.0f} s:\n{measured.describe_end()}"
    raise NotProven(message)
