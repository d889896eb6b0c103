"""The real server and the real demonstration upstream, each a process of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services import ROOT

READY_WITHIN_S = 60.0
UPSTREAM_KEY = "sk-demonstration-Zx81Qm4vT7pL2wRc9Kd"


@dataclass(frozen=True)
class RunningGateway:
    """A server that answers calls, and what it has logged so far."""

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def base_url(self) -> str:
        """Where OpenAI's clients are pointed."""
        return f"http://127.0.0.1:{self.port}/v1"

    def log(self) -> str:
        """Everything on its standard output and error."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class RunningUpstream:
    """A demonstration upstream that listens."""

    port: int
    process: subprocess.Popen[str]

    @property
    def base_url(self) -> str:
        """Where a provider is pointed."""
        return f"http://127.0.0.1:{self.port}/v1"

    def calls(self, marker: str) -> list[dict[str, Any]]:
        """What arrived with this marker."""
        return [call for call in self._counts()["calls"] if call["marker"] == marker]

    def redirects_followed(self) -> int:
        """How often somebody went where a redirect pointed."""
        return sum(call["path"] == "/demo/redirected" for call in self._counts()["calls"])

    def _counts(self) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/demo/counts",
            headers={"Authorization": f"Bearer {UPSTREAM_KEY}"},
        )
        with urllib.request.urlopen(request, timeout=5) as reply:
            return json.load(reply)


@contextmanager
def run_gateway(folder: Path, **settings: str) -> Iterator[RunningGateway]:
    """Start a server with this worker's environment and these settings; end it afterwards."""
    with run_gateway_at(free_port(), folder, settings) as running:
        yield running


@contextmanager
def run_gateway_at(port: int, folder: Path, settings: dict[str, str]) -> Iterator[RunningGateway]:
    """The same on a port that others have to know before."""
    command = [sys.executable, "-m", "portal.server", "--port", str(port)]
    environment = os.environ | {"LATCHKEY_JOURNAL_DIR": str(folder / "journal")} | settings
    log_file = folder / "gateway.log"
    with (
        log_file.open("wb") as log,
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _wait_until_ready(port, process, log_file)
            yield RunningGateway(port, process, log_file)
        finally:
            _end(process)


@contextmanager
def run_upstream() -> Iterator[RunningUpstream]:
    """Start a demonstration upstream on a free port; end it afterwards."""
    command = [sys.executable, "-m", "demo.upstream", "--port", "0"]
    environment = os.environ | {"DEMO_UPSTREAM_KEY": UPSTREAM_KEY}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield RunningUpstream(json.loads(process.stdout.readline())["port"], process)
        finally:
            _end(process)


def worker_pids(process: subprocess.Popen[bytes]) -> set[int]:
    """The server's worker processes; one that was lost and replaced has another number."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return {int(number) for number in re.findall(r"\d+", children)}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = f"http://127.0.0.1:{port}/health/ready"
            with urllib.request.urlopen(url, timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"The gateway is not ready:\n{log_file.read_text()[-4000:]}")


def _end(process: subprocess.Popen[Any]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
