"""The gate suite: the tests that docs/gate.md lists, and sqlmap against what a stranger can put into a head (T2)."""

import subprocess
import tempfile
from pathlib import Path

from bench.proof import NotProven, Verdict
from bench.rivals.environments import prepare_locked
from bench.running_tests import Tests, run_tests
from bench.stack import start_gateway, start_stack

NAME = "gate"
PROMISE = "Every test of the gate suite holds, and sqlmap finds no header that is read as SQL."
ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements" / "sqlmap.txt"
# On two idle cores the tests take about five minutes and sqlmap one; in all it is thirteen at most.
TESTS_S = 420
SQLMAP_S = 40
# How much of what it knows sqlmap tries: some hundred requests for each header.
THOROUGHNESS = ("--level", "3", "--risk", "2")
# Each door with a request that a stranger can send; the star is where sqlmap puts what it tries.
DOORS = {
    "calls": ("/v1/chat/completions", '{"model": "house-chat", "messages": []}'),
    "management": ("/api/v1/me", ""),
}
HEADERS = ("Authorization: Bearer *", "X-API-Key: *", "Cookie: sessionid=*", "User-Agent: *")


def run() -> Verdict:
    """Run the tests, then let sqlmap try each header at each door of a running gateway."""
    tests = _run_tests()
    print(f"  {tests.passed} tests held, {tests.failed} failed", flush=True)
    tried, found = _run_sqlmap()
    return Verdict(
        f"{tests.passed} tests held, {tests.failed} failed, {tests.skipped} were left out; "
        f"sqlmap tried {tried} headers and found {len(found)} that are read as SQL",
        "no test fails or is left out, and no header is read as SQL",
        held=not found and not tests.failed and not tests.skipped and tests.passed > 0,
    )


def _run_tests() -> Tests:
    return run_tests(
        ["-m", "gate", "-n", "auto", "--dist", "loadscope"],
        environment={"LATCHKEY_WHOLE_WALKS": "1"},
        timeout_s=TESTS_S,
    )


def _run_sqlmap() -> tuple[int, list[str]]:
    """How many headers were tried, and what sqlmap said of those in which it found something."""
    program = prepare_locked("sqlmap", REQUIREMENTS) / "bin" / "sqlmap"
    found, tried = [], 0
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-gate-") as name,
        start_stack(Path(name)) as stack,
        start_gateway(stack, "gate") as (_, port),
    ):
        for door, (path, body) in DOORS.items():
            for header in HEADERS:
                said = _try_header(program, f"http://127.0.0.1:{port}{path}", header, body)
                tried += 1
                is_clean = "do not appear to be injectable" in said
                print(f"  {door:<11}{header:<26}{'held' if is_clean else 'LOOK'}", flush=True)
                if not is_clean:
                    found.append(f"{door} {header}:\n{said[-3000:]}")
    for one in found:
        print(one, flush=True)
    return tried, found


def _try_header(program: Path, url: str, header: str, body: str) -> str:
    """Let sqlmap try one header. Its output says at its end whether anything appeared to be injectable."""
    with tempfile.TemporaryDirectory(prefix="latchkey-sqlmap-") as folder:
        command = [str(program), "-u", url, "--headers", header, "--batch", "--flush-session"]
        # Every refusal is a 401, and asking too often a 429: neither says that anything was found.
        command += ["--ignore-code", "*", "--output-dir", folder, "--disable-coloring"]
        command += ["--dbms", "PostgreSQL", "--technique", "BEU", "--skip-waf", *THOROUGHNESS]
        if body:
            command += ["--data", body, "--skip", "model,messages"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=SQLMAP_S
            )
        except subprocess.TimeoutExpired as late:
            raise NotProven(f"sqlmap did not end with {header} in {SQLMAP_S} s.") from late
    return done.stdout + done.stderr
