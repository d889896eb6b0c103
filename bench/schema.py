"""schemathesis over the OpenAPI document as a stranger and as each role: no 5xx, no answer it does not describe.

What the document cannot say (that an end lies ahead, that a name is one that exists) is no drift, so data in its form may
be refused; data that is not must be. Each role has a team of its own, since nothing keeps a role from ending its own
rights.
"""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import NamedTuple

from bench.administrator import Administrator
from bench.beginning import begin
from bench.proof import NotProven, Verdict
from bench.rivals.environments import prepare_locked
from bench.stack import Stack, start_gateway

NAME = "schema"
PROMISE = (
    "schemathesis as a stranger and as each of five roles over the whole API: no 5xx, no drift."
)
REQUIREMENTS = Path(__file__).parent.parent / "requirements" / "schema.txt"
PROMISED_S = 600
DURATION_S = int(os.environ.get("BENCH_SCHEMA_S", str(PROMISED_S)))
ROLES = ("stranger", "auditor", "member", "manager", "owner", "administrator")
# Of data in the document's form some is refused for what the document cannot say; bench/README.md names all of it.
NOT_ASKED = ("positive_data_acceptance",)
# A stranger is refused before the method is looked at, and holds no credential that could be ignored.
NOT_ASKED_OF_STRANGERS = (
    *NOT_ASKED,
    "unsupported_method",
    "ignored_auth",
    "allow_header_conformance",
)
CRASH = "A request failed."


class Run(NamedTuple):
    """What came of one role's run."""

    role: str
    requests: int
    failures: int
    output: str


def run() -> Verdict:
    """Run schemathesis once for each role against one gateway process."""
    with begin(NAME) as (_, stack, administrator):
        # A caller's own limit would answer nearly everything with 429.
        environment = stack.environment | {"LATCHKEY_API_REQUESTS_PER_MINUTE": "1000000"}
        wide = stack._replace(environment=environment)
        with start_gateway(wide, "schema") as (gateway, port):
            runs = _run_all(stack, administrator, port)
            crashes = gateway.log.read_text(errors="replace").count(CRASH)
    return _judge(runs, crashes)


def _run_all(stack: Stack, administrator: Administrator, port: int) -> list[Run]:
    program = prepare_locked("schemathesis", REQUIREMENTS) / "bin" / "schemathesis"
    base = f"http://127.0.0.1:{port}"
    document = stack.folder.parent / "openapi.json"
    document.write_bytes(
        _fetch(f"{base}/api/v1/openapi.json", administrator.ask("act_as", role="member"))
    )
    runs = []
    for role in ROLES:
        key = None if role == "stranger" else str(administrator.ask("act_as", role=role))
        done = _run_as(role, key, program, document, base)
        print(f"  {role:<14}{done.requests:>6} requests, {done.failures} failures", flush=True)
        if done.failures:
            print(done.output, flush=True)
        runs.append(done)
    return runs


def _fetch(url: str, key: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        content: bytes = reply.read()
        return content


def _run_as(role: str, key: str | None, program: Path, document: Path, base: str) -> Run:
    report = document.parent / f"{role}.ndjson"
    left_out = NOT_ASKED_OF_STRANGERS if key is None else NOT_ASKED
    command = [str(program), "run", str(document), "--url", base, "--checks", "all"]
    command += ["--exclude-checks", ",".join(left_out), "--max-time", str(DURATION_S // len(ROLES))]
    command += ["--continue-on-failure", "--suppress-health-check", "all", "--no-shrink"]
    command += ["--report", "ndjson", "--report-ndjson-path", str(report), "--warnings", "off"]
    if key is not None:
        command += ["--header", f"Authorization: Bearer {key}"]
    done = subprocess.run(
        command,
        cwd=document.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=DURATION_S + 600,
    )
    if done.returncode not in (0, 1):
        raise NotProven(
            f"schemathesis failed as {role}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return Run(role, _count_requests(report), _count_failures(done.stdout), done.stdout[-20_000:])


def _count_requests(report: Path) -> int:
    text = report.read_text(errors="replace") if report.exists() else ""
    return len(re.findall(r'"status_code":', text))


def _count_failures(output: str) -> int:
    found = re.search(r"(\d+) unique failures?", output)
    return int(found[1]) if found else int("FAILURES" in output)


def _judge(runs: list[Run], crashes: int) -> Verdict:
    requests, failures = sum(one.requests for one in runs), sum(one.failures for one in runs)
    figure = json.dumps({one.role: one.requests for one in runs})
    if DURATION_S < PROMISED_S:
        raise NotProven(
            f"made smaller to {DURATION_S} s: {requests} requests {figure}, {failures} failures, {crashes} crashes."
        )
    return Verdict(
        f"{requests} requests {figure}, {failures} failures, {crashes} crashes in {DURATION_S} s",
        "no failure and no crash",
        held=not failures and not crashes and all(one.requests for one in runs),
    )
