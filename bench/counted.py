"""What an upstream of our own counted, beside what the ledger holds of it."""

import json
import os
import sys
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.administrator import Administrator
from bench.processes import find_free_port, start, wait_until_answering
from bench.proof import NotProven
from bench.stack import TREE

SETTLE_TIMEOUT_S = 60.0


class Comparison(NamedTuple):
    """The upstream's count beside the ledger's."""

    counted: int
    missing: int
    repeated: int

    @property
    def is_equal(self) -> bool:
        """Whether each call that was counted stands in the ledger once."""
        return not self.missing and not self.repeated

    def __str__(self) -> str:
        return f"{self.counted} calls counted, {self.missing} missing, {self.repeated} twice"


def start_upstream(folder: Path, running: ExitStack) -> int:
    """Start an upstream without a key, so that its counts hold this proof's calls alone; return its port."""
    port = find_free_port()
    environment = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    command = [sys.executable, "-m", "demo.upstream", "--port", str(port)]
    process = running.enter_context(
        start(command, log=folder / "upstream.log", environment=environment, folder=TREE)
    )
    wait_until_answering(process, f"http://127.0.0.1:{port}/v1/models", timeout_s=10)
    return port


def read_counted(upstream: int) -> Counter[str]:
    """How often each request id was counted."""
    url = f"http://127.0.0.1:{upstream}/demo/counts"
    with urllib.request.urlopen(url, timeout=30) as reply:
        counts = json.load(reply)
    if counts["forgotten"]:
        raise NotProven("the upstream served more calls than it remembers.")
    return Counter(call["request_id"] for call in counts["calls"])


def wait_for_ledger(administrator: Administrator, counted: Counter[str]) -> Comparison:
    """Compare, once nothing is missing or the time is over."""
    if "" in counted:
        raise NotProven("the gateway sent a call upstream without X-Request-Id.")
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        rows: dict[str, int] = administrator.ask("count_ledger")
        outcome = Comparison(
            counted=counted.total(),
            missing=sum(times for name, times in counted.items() if name not in rows),
            repeated=sum(rows.get(name, 0) > 1 for name in counted)
            + sum(times > 1 for times in counted.values()),
        )
        if not outcome.missing or time.monotonic() > deadline:
            return outcome
        time.sleep(1)
