"""Load from wrk, and what it costs the process that answers."""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from bench.processes import Measured, read_core_busy_s
from bench.proof import NotProven

CONNECTIONS = 64
WARM_UP_CALLS = 20
WARM_UP_TIMEOUT_S = 60.0
SCRIPT = Path(__file__).parent / "load.lua"


class Target(NamedTuple):
    """A gateway ready to be called."""

    name: str
    url: str
    authorization: str
    model: str
    process: Measured
    core: int
    checks_key: bool = True


class Sample(NamedTuple):
    """One run against one target.

    own_share, foreign_share: how much of the gateway's core the gateway used, and others did. With
    little of either the load was the limit; with much of the latter the machine was not ours.
    """

    calls: int
    calls_per_s: float
    cpu_ms_per_call: float
    p50_ms: float
    p99_ms: float
    own_share: float
    foreign_share: float


def require_program(name: str, package: str) -> str:
    """The path of an installed program, or what to install."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        raise NotProven(f"{name} is not installed; on Debian: apt-get install {package}")
    return path


def warm_up(target: Target) -> None:
    """Make a few calls one after another, and say what was answered where it is no success."""
    message = {"role": "user", "content": "Hello"}
    body = json.dumps({"model": target.model, "messages": [message], "max_tokens": 64}).encode()
    headers = {"Authorization": target.authorization, "Content-Type": "application/json"}
    for _ in range(WARM_UP_CALLS):
        request = urllib.request.Request(target.url, body, headers)
        try:
            urllib.request.urlopen(request, timeout=WARM_UP_TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            answer = error.read(500).decode(errors="replace")
            raise NotProven(f"{target.name} answered {error.code}: {answer}") from None
    if target.checks_key:
        _require_refusal(target, body)


def _require_refusal(target: Target, body: bytes) -> None:
    """A gateway that lets any key in does less than it is compared for."""
    headers = {"Authorization": "Bearer sk-wrong", "Content-Type": "application/json"}
    try:
        urllib.request.urlopen(
            urllib.request.Request(target.url, body, headers), timeout=WARM_UP_TIMEOUT_S
        ).close()
    except urllib.error.HTTPError as error:
        # LiteLLM without a database answers 400 to a key that is not its master key.
        if error.code in (400, 401, 403):
            return
        raise NotProven(f"{target.name} answered a wrong key with {error.code}.") from None
    raise NotProven(f"{target.name} let a wrong key in.")


def measure(
    target: Target, *, duration_s: float, core: int, calls_per_s: float | None = None
) -> Sample:
    """Call a target from `core` at saturation, or at about a rate, and account its CPU."""
    pause_ms = 0 if calls_per_s is None else round(1000 * CONNECTIONS / calls_per_s)
    command = [
        *("taskset", "-c", str(core), require_program("wrk", "wrk"), "--timeout", "30s"),
        *("-t", "1", "-c", str(CONNECTIONS), "-d", f"{round(duration_s)}s", "-s", str(SCRIPT)),
        *(target.url, "--", target.authorization, target.model, str(pause_ms)),
    ]
    before_s, busy_before_s = target.process.read_cpu_s(), read_core_busy_s(target.core)
    started = time.monotonic()
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=duration_s + 60, check=False
    )
    lasted_s = time.monotonic() - started
    cpu_s = target.process.read_cpu_s() - before_s
    foreign_s = read_core_busy_s(target.core) - busy_before_s - cpu_s
    return _read_sample(target, finished, cpu_s, lasted_s, foreign_s)


def _read_sample(
    target: Target,
    finished: "subprocess.CompletedProcess[str]",
    cpu_s: float,
    lasted_s: float,
    foreign_s: float,
) -> Sample:
    if finished.returncode or not finished.stdout.rstrip().endswith("}"):
        raise NotProven(f"wrk failed against {target.name}: {finished.stderr or finished.stdout}")
    outcome = json.loads(finished.stdout.rstrip().rpartition("\n")[2])
    if outcome["failed"] or outcome["timed_out"] or not outcome["calls"]:
        raise NotProven(f"{target.name} did not answer every call: {outcome}")
    return Sample(
        calls=outcome["calls"],
        own_share=cpu_s / lasted_s,
        foreign_share=max(0.0, foreign_s / lasted_s),
        calls_per_s=outcome["calls"] / outcome["duration_us"] * 1e6,
        cpu_ms_per_call=1000 * cpu_s / outcome["calls"],
        p50_ms=outcome["p50_us"] / 1000,
        p99_ms=outcome["p99_us"] / 1000,
    )
