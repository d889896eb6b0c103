"""One demonstration upstream for these tests, started as it is in earnest: as a process."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from openai import OpenAI

KEY = "key-of-the-demonstration-upstream"


class Upstream(NamedTuple):
    """Where a running demonstration upstream listens."""

    port: int
    process: subprocess.Popen[str]

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def exchange(self, request: bytes, *, timeout_s: float = 5.0) -> bytes:
        """Send raw bytes and read until the upstream ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
            connection.sendall(request)
            received = b""
            while data := connection.recv(65_536):
                received += data
            return received


def write_request(method: str, path: str, body: bytes = b"", *, key: str = KEY) -> bytes:
    """A request in one piece, whose connection ends with the answer."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: demonstration\r\nAuthorization: Bearer {key}\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def write_chat(question: str, **members: object) -> bytes:
    """A chat request's body."""
    messages = [{"role": "user", "content": question}]
    return json.dumps({"model": "demo-chat", "messages": messages} | members).encode()


@contextmanager
def run_upstream() -> Iterator[Upstream]:
    """Start an upstream on a free port and end it."""
    command = [sys.executable, "-m", "demo.upstream", "--port", "0"]
    environment = os.environ | {"DEMO_UPSTREAM_KEY": KEY}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield Upstream(json.loads(process.stdout.readline())["port"], process)
        finally:
            process.terminate()
            process.wait(timeout=10)


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The upstream that these tests share; what they count is told apart by markers."""
    with run_upstream() as running:
        yield running


@pytest.fixture
def client(upstream: Upstream) -> Iterator[OpenAI]:
    """The unmodified OpenAI client, pointed at the upstream."""
    with OpenAI(base_url=upstream.base_url, api_key=KEY, max_retries=0, timeout=10) as opened:
        yield opened
