"""One process of ours: started in its own session, watched without being reaped, always ended."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from portal.embedded import launch
from portal.embedded.account import Account
from portal.embedded.errors import EmbeddedServerError
from portal.embedded.processes import ProcessIdentity, identify

TAIL_LINES = 12
TAIL_BYTES = 8192


class Child:
    """A running child; it dies with us even after kill -9 (Linux), and with it its whole group."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log_path: Path,
        account: Account | None = None,
        stop_signal: int = signal.SIGTERM,
        stop_timeout_s: float = 15.0,
        cwd: Path | None = None,
        pipe_stdout: bool = False,
    ) -> None:
        """Start the command; its output goes to log_path (0600), the last start's is kept.

        Call it from the thread that lives longest: Linux counts that thread as the parent.
        """
        self.name = name
        self.log_path = log_path
        self.stop_signal = stop_signal
        self.stop_timeout_s = stop_timeout_s
        uid, gid = (account.uid, account.gid) if account else (-1, -1)
        head = [sys.executable, "-I", "-S", launch.__file__]
        numbers = [os.getpid(), uid, gid, int(stop_signal)]
        with _open_log(log_path) as log:
            self._process = subprocess.Popen(
                [*head, *map(str, numbers), *map(str, command)],
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe_stdout else log,
                stderr=log,
                cwd=cwd or "/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The child's process number, also its session's and its group's."""
        return self._process.pid

    @property
    def stdout(self) -> IO[bytes] | None:
        """The child's output if it was asked for as a pipe."""
        return self._process.stdout

    @property
    def identity(self) -> ProcessIdentity | None:
        """The child's number and start, to find it again after we were killed."""
        return identify(self.pid)

    @property
    def exit_code(self) -> int | None:
        """The exit status (negative: the signal) after `stop` or `wait`, None before."""
        return self._process.returncode

    def has_ended(self) -> bool:
        """Say whether the child has ended; it is left unreaped so that its number stays taken."""
        if self._process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):  # CPython before 3.13 on macOS
            return self._process.poll() is not None
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def wait(self, *, timeout_s: float) -> int:
        """Wait for a child that ends by itself, and return its exit status."""
        if not self._wait_until_ended(timeout_s):
            self.stop()
            raise EmbeddedServerError(f"{self.name} did not finish within {timeout_s:.0f} s.")
        self.stop()
        return self._process.returncode

    def stop(self) -> None:
        """End the child and what is left of its group, and reap it; harmless when repeated."""
        if self._process.returncode is not None:
            return
        if not self.has_ended():
            self._process.send_signal(self.stop_signal)
            self._wait_until_ended(self.stop_timeout_s)
        # While the leader is unreaped its number, and so the group's, cannot be anyone else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def log_tail(self) -> str:
        """Return the last lines of the child's log, for a person to read."""
        with suppress(FileNotFoundError), self.log_path.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
            return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
        return ""

    def _wait_until_ended(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not self.has_ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True


def _open_log(path: Path) -> IO[bytes]:
    """Open a fresh log of mode 0600, keeping the one before beside it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.replace(path.with_suffix(".previous.log"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
