"""Naming a process so that it cannot be mistaken for a later one with the same number."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ProcessIdentity:
    """A process number together with the moment the process began."""

    pid: int
    started: str


def identify(pid: int) -> ProcessIdentity | None:
    """Name the process that runs under this number now; None for none and for a zombie."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_ps(pid)
    return ProcessIdentity(pid, started) if started else None


def is_running(identity: ProcessIdentity) -> bool:
    """Say whether this very process still runs; a zombie does not."""
    return identify(identity.pid) == identity


def is_zombie(pid: int) -> bool:
    """Say whether the number is taken by a process that has ended and was not reaped."""
    return identify(pid) is None and exists(pid)


def exists(pid: int) -> bool:
    """Say whether any process, running or zombie, holds the number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def end(identity: ProcessIdentity, *, stop_signal: int, timeout_s: float) -> None:
    """End this very process and its group, politely first; no other process is ever signalled."""
    for number, wait_s in ((stop_signal, timeout_s), (signal.SIGKILL, KILL_TIMEOUT_S)):
        if not is_running(identity):
            return
        with suppress(ProcessLookupError):
            _signal_process_or_group(identity.pid, number)
        deadline = time.monotonic() + wait_s
        while is_running(identity) and time.monotonic() < deadline:
            time.sleep(0.02)


def end_group_remains(group: int, *, marker: bytes) -> None:
    """Kill members of a group whose leader is gone, if their environment holds the marker, and see them end (Linux).

    A group's number may be in use again, so the number alone proves nothing.
    """
    killed = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            environ = stat.with_name("environ").read_bytes()
            if int(fields[2]) == group and marker in environ.split(b"\0"):
                member = identify(int(stat.parent.name))
                os.kill(int(stat.parent.name), signal.SIGKILL)
                killed.append(member)
    # What they held, a port or a lock, is free only when they have ended.
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while time.monotonic() < deadline and any(one and is_running(one) for one in killed):
        time.sleep(0.02)


def _signal_process_or_group(pid: int, number: int) -> None:
    """Signal politely to the process alone; kill its whole group where it leads one."""
    if number == signal.SIGKILL and os.getpgid(pid) == pid:
        os.killpg(pid, number)
    else:
        os.kill(pid, number)


def _started_linux(pid: int) -> str | None:
    """Read the start in clock ticks since boot, with the boot's id (proc(5), stat field 22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    # The command's name may hold spaces and brackets; the last bracket closes it.
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def _started_ps(pid: int) -> str | None:
    """Read the start to the second where there is no /proc (macOS)."""
    answer = subprocess.run(
        ["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return started.strip() if started and not state.startswith("Z") else None


def command_line(pid: int) -> bytes:
    """Return the process's argument list, or nothing where it cannot be read."""
    if sys.platform == "linux":
        with suppress(OSError):
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        return b""
    answer = subprocess.run(
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False
    )
    return answer.stdout
