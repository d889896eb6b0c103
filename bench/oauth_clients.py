"""Clients that are none of ours go through every flow they know, against a running Latchkey.

authlib from Python, and the newest `openid-client` and `oauth4webapi` from npm. People allow them on the pages, over HTTP.
The other way round, people sign in here through a provider that is none of ours, by the browser's tests.
"""

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bench.administrator import start_administrator
from bench.beginning import begin
from bench.browser import NoPackages, install_packages
from bench.proof import NotProven, Verdict
from bench.running_tests import run_tests

NAME = "oauth-clients"
PROMISE = (
    "authlib, openid-client and oauth4webapi, unmodified, pass every flow of the authorization server; "
    "people sign in through oidc-provider."
)
CLIENTS = ("authlib", "openid-client", "oauth4webapi")
PROGRAM = Path(__file__).parent / "oauth_clients.mjs"
WALKS_TIMEOUT_S = 180.0
# No client has fewer flows than this.
LEAST_WALKS = 6
PROVIDER_TESTS = "tests/browser/test_oidc_provider.py"
PROVIDER_S = 240.0


class Walk(NamedTuple):
    """One client's way through one flow; error is empty where it came through."""

    client: str
    name: str
    error: str


def run() -> Verdict:
    """Walk all clients through all flows."""
    with begin(NAME) as (folder, stack, _):
        program = _install(folder)
        # They would refuse to speak without TLS; the stack runs on loopback.
        environment = stack.environment | {"AUTHLIB_INSECURE_TRANSPORT": "1"}
        base = environment["LATCHKEY_BASE_URL"]
        with start_administrator(
            environment, str(stack.folder), duties="bench.oauth_duties"
        ) as janitor:
            walks = [Walk(*seen) for seen in janitor.ask("walk_authlib", base=base)]
            walks += _walk_npm(program, janitor.ask("prepare_clients") | {"base": base})
    for walk in walks:
        print(f"{walk.client}: {walk.name}: {walk.error or 'passed'}")
    passed = Counter(walk.client for walk in walks if not walk.error)
    counted = Counter(walk.client for walk in walks)
    if any(counted[client] < LEAST_WALKS for client in CLIENTS):
        raise NotProven(f"not every client walked: {dict(counted)}.")
    figure = ", ".join(f"{client} {passed[client]} of {counted[client]}" for client in CLIENTS)
    is_signed_in = sign_in_through_provider()
    figure += f" flows passed; oidc-provider {'signed in' if is_signed_in else 'FAILED'}"
    return Verdict(figure, "all", passed == counted and is_signed_in)


def sign_in_through_provider() -> bool:
    """Run the browser's tests at the foreign provider; whether they passed. Raises: NotProven where one did not run."""
    tests = run_tests(
        [PROVIDER_TESTS], environment={"LATCHKEY_REQUIRE_BROWSER": "1"}, timeout_s=PROVIDER_S
    )
    if tests.skipped or not tests.passed + tests.failed:
        raise NotProven(f"{tests.skipped} tests at the provider were left out.")
    return not tests.failed


def _install(folder: Path) -> Path:
    """Install the npm clients by name; return the program that uses them. Raises: NotProven."""
    place = folder / "node"
    place.mkdir()
    try:
        install_packages(place, "openid-client", "oauth4webapi")
    except NoPackages as missing:
        raise NotProven(str(missing)) from None
    return Path(shutil.copy2(PROGRAM, place / PROGRAM.name))


def _walk_npm(program: Path, asked: dict[str, object]) -> list[Walk]:
    node = shutil.which("node")
    if node is None:
        raise NotProven("Node is not installed; on Debian: apt-get install nodejs")
    ended = subprocess.run(
        [node, str(program)],
        env=os.environ | {"ASKED": json.dumps(asked)},
        capture_output=True,
        text=True,
        timeout=WALKS_TIMEOUT_S,
        check=False,
    )
    if ended.returncode:
        raise NotProven(f"the npm clients failed: {ended.stderr[-1500:]}")
    seen = map(json.loads, ended.stdout.splitlines())
    return [Walk(one["client"], one["walk"], one["error"] or "") for one in seen]
