"""A limits store of the test's own, to be killed, stopped, emptied and started again."""

import os
import secrets
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import redis

from portal.embedded.child import Child
from portal.embedded.programs import find_programs


class StoreServer:
    """One server behind a Unix socket, without a disk and without a password.

    port: for a replica, which cannot come through a socket; 0 for none.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._port = port
        self.folder = Path(tempfile.mkdtemp(prefix="latchkey-leases-"))
        self.url = f"unix://{self.folder}/s"
        self._child: Child | None = None

    def start(self) -> None:
        """Start it empty and wait until it answers."""
        command = [_program(self.folder), "--save", "", "--dir", str(self.folder)]
        command += ["--bind", "127.0.0.1", "--port", str(self._port)]
        self._child = Child(
            "limits store",
            [*command, "--unixsocket", f"{self.folder}/s"],
            env={"PATH": "/usr/bin:/bin", "LANG": "C"},
            log_path=self.folder / "log",
        )
        with self.client() as client:
            for _ in range(500):
                with suppress(redis.ConnectionError):
                    client.ping()
                    return
                time.sleep(0.01)
        raise AssertionError("The limits store of the test did not start within 5 s.")

    def kill(self) -> None:
        """End it as a loss of power would."""
        self._send(signal.SIGKILL)
        if self._child is not None:
            self._child.stop()

    def freeze(self) -> None:
        """Let it hang with its socket open."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it hung."""
        self._send(signal.SIGCONT)

    def way_in(self) -> "WayIn":
        """A way to the store for one process, which can be cut."""
        return WayIn(self)

    def remove(self) -> None:
        """End it and leave nothing behind."""
        self.thaw()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        """A plain client for looking at what is stored."""
        return redis.Redis.from_url(self.url, decode_responses=True, protocol=2)

    def _send(self, number: signal.Signals) -> None:
        if self._child is not None and not self._child.has_ended():
            os.kill(self._child.pid, number)


class WayIn:
    """One process's way to the store: when it is cut, that process alone cannot reach it."""

    def __init__(self, server: StoreServer) -> None:
        name = f"way-{secrets.token_hex(4)}"
        self._name, self._server = name, server
        self._link = server.folder / name
        self.url = f"unix://{self._link}?client_name={name}"
        self.mend()

    def cut(self) -> None:
        """Break the connections there are, and let no other be made."""
        self._link.unlink()
        with self._server.client() as client:
            for one in client.client_list():
                if one["name"] == self._name:
                    client.client_kill_filter(_id=one["id"])

    def mend(self) -> None:
        """Let the process through again."""
        self._link.symlink_to(self._server.folder / "s")


def _program(folder: Path) -> str:
    """The system's server where the run uses the system's servers, otherwise the wheel's."""
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if os.environ.get("LATCHKEY_TEST_VALKEY_URL") and found:
        return found
    return str(find_programs(home=folder, account=None).valkey_server)
