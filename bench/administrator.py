"""The administrator's side of a proof: one process in the stack that issues, revokes and counts.

It runs as `python -m bench.administrator` under the stack's environment and answers one JSON line
for each JSON line it reads, because starting Django for each of 200 revocations would take minutes.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django

from bench.proof import NotProven


class Administrator:
    """The other end of a running administrator process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, what: str, **arguments: object) -> Any:
        """Have one thing done, and return its result."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what} | arguments) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NotProven(f"the administrator failed at {what}; its error stands above.")
        return json.loads(line)


@contextmanager
def start_administrator(
    environment: dict[str, str], folder: str, *, duties: str = "bench.duties"
) -> Iterator[Administrator]:
    """Run an administrator in a stack; duties: the module that says what it can be asked for."""
    command = [sys.executable, "-m", "bench.administrator", duties]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Administrator(process)
        finally:
            process.terminate()


def lead_calls_to(administrator: Administrator, upstream: int, *, key: str) -> None:
    """Let the key call as much as it likes, and every model be answered by the upstream at this port."""
    administrator.ask("open_limits", key=key)
    administrator.ask("point_providers", base_url=f"http://127.0.0.1:{upstream}/v1")


def main() -> None:
    """Answer until standard input ends."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    django.setup()
    # What it does needs models, which cannot be imported before Django is set up.
    duties = importlib.import_module(sys.argv[1]).DUTIES
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(duties[asked.pop("what")](**asked)), flush=True)


if __name__ == "__main__":
    main()
