"""Load from wrk, and what it costs the process that answers."""

import json
import resource
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from bench.processes import CORES, Measured, read_busy_s
from bench.proof import NotProven

CONNECTIONS = 64
BODY_BYTES = 600
WARM_UP_CALLS = 20
WARM_UP_TIMEOUT_S = 60.0
SCRIPT = Path(__file__).parent / "load.lua"


class Target(NamedTuple):
    """A gateway ready to be called.

    core: what it is pinned to; None where the system chooses.
    headers: what a call needs besides its key.
    beside: what else the measurement itself keeps busy, which is no stranger to it.
    """

    name: str
    url: str
    authorization: str
    model: str
    process: Measured
    core: int | None
    checks_key: bool = True
    headers: tuple[tuple[str, str], ...] = ()
    beside: tuple[Measured, ...] = ()

    @property
    def cores(self) -> tuple[int, ...]:
        """The cores that it may use."""
        return CORES if self.core is None else (self.core,)


class Load(NamedTuple):
    """How a target is called: from how many connections, with bodies of which size.

    calls_per_s: about that rate; None is as fast as it answers.
    keys: a file of keys to call with in turns, one a line.
    """

    connections: int = CONNECTIONS
    body_bytes: int = BODY_BYTES
    stream: bool = False
    calls_per_s: float | None = None
    keys: Path | None = None


class Sample(NamedTuple):
    """One run against one target.

    own_share, foreign_share: how much of the gateway's cores the gateway used, and others did. With
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


def warm_up(target: Target, *, stream: bool = False) -> None:
    """Make a few calls one after another, and say what was answered where it is no success."""
    message = {"role": "user", "content": "Hello"}
    asked = {"model": target.model, "messages": [message], "max_tokens": 64}
    body = json.dumps(asked | ({"stream": True} if stream else {})).encode()
    for _ in range(WARM_UP_CALLS):
        try:
            _call(target, body, target.authorization)
        except urllib.error.HTTPError as error:
            answer = error.read(500).decode(errors="replace")
            raise NotProven(f"{target.name} answered {error.code}: {answer}") from None
    if target.checks_key:
        _require_refusal(target, body)


def _require_refusal(target: Target, body: bytes) -> None:
    """A gateway that lets any key in does less than it is compared for."""
    try:
        _call(target, body, "Bearer sk-wrong")
    except urllib.error.HTTPError as error:
        # LiteLLM without a database answers 400 to a key that is not its master key.
        if error.code in (400, 401, 403):
            return
        raise NotProven(f"{target.name} answered a wrong key with {error.code}.") from None
    raise NotProven(f"{target.name} let a wrong key in.")


def _call(target: Target, body: bytes, authorization: str) -> None:
    headers = dict(target.headers) | {
        "Authorization": authorization,
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(target.url, body, headers)
    with urllib.request.urlopen(request, timeout=WARM_UP_TIMEOUT_S) as reply:
        reply.read()


def measure(
    target: Target, *, duration_s: float, core: int | None, load: Load | None = None
) -> Sample:
    """Call a target from `core` for a while, and account its CPU."""
    command = _write_command(target, load or Load(), duration_s=duration_s, core=core)
    before, started = _Spent.of(target), time.monotonic()
    finished = subprocess.run(
        command, capture_output=True, text=True, timeout=duration_s + 60, check=False
    )
    lasted_s = time.monotonic() - started
    spent = _Spent.of(target).since(before)
    return _read_sample(target, finished, spent, lasted_s)


def _write_command(target: Target, load: Load, *, duration_s: float, core: int | None) -> list[str]:
    headers = {"Authorization": target.authorization} | dict(target.headers)
    asked = [f"header:{name}={value}" for name, value in headers.items()]
    asked += [f"model={target.model}", f"bytes={load.body_bytes}"]
    if load.stream:
        asked.append("stream=1")
    if load.calls_per_s is not None:
        asked.append(f"pause_ms={round(1000 * load.connections / load.calls_per_s)}")
    if load.keys is not None:
        asked.append(f"keys={load.keys}")
    return [
        *([] if core is None else ["taskset", "-c", str(core)]),
        *(require_program("wrk", "wrk"), "--timeout", "30s", "-t", "1", "-s", str(SCRIPT)),
        *("-c", str(load.connections), "-d", f"{max(round(duration_s), 1)}s"),
        *(target.url, "--", *asked),
    ]


class _Spent(NamedTuple):
    """CPU seconds so far: the gateway's, those of the measurement beside it on its cores, and all."""

    gateway_s: float
    beside_s: float
    all_s: float

    @classmethod
    def of(cls, target: Target) -> "_Spent":
        beside_s = 0.0
        if target.core is None:
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            beside_s = children.ru_utime + children.ru_stime
            beside_s += sum(one.read_cpu_s() for one in target.beside)
        return cls(target.process.read_cpu_s(), beside_s, sum(map(read_busy_s, target.cores)))

    def since(self, before: "_Spent") -> "_Spent":
        return _Spent(*(now - then for now, then in zip(self, before, strict=True)))


def _read_sample(
    target: Target, finished: "subprocess.CompletedProcess[str]", spent: _Spent, lasted_s: float
) -> Sample:
    if finished.returncode or not finished.stdout.rstrip().endswith("}"):
        raise NotProven(f"wrk failed against {target.name}: {finished.stderr or finished.stdout}")
    outcome = json.loads(finished.stdout.rstrip().rpartition("\n")[2])
    if outcome["failed"] or outcome["timed_out"] or not outcome["calls"]:
        raise NotProven(f"{target.name} did not answer every call: {outcome}")
    available_s = lasted_s * len(target.cores)
    foreign_s = spent.all_s - spent.gateway_s - spent.beside_s
    return Sample(
        calls=outcome["calls"],
        own_share=spent.gateway_s / available_s,
        foreign_share=max(0.0, foreign_s / available_s),
        calls_per_s=outcome["calls"] / outcome["duration_us"] * 1e6,
        cpu_ms_per_call=1000 * spent.gateway_s / outcome["calls"],
        p50_ms=outcome["p50_us"] / 1000,
        p99_ms=outcome["p99_us"] / 1000,
    )
