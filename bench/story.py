"""What a new user lives through, in a real browser: ask, approve, issue, call, look at the usage, revoke."""

import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error

from bench.browser import NoBrowser, Watched, open_tab, start_browser
from bench.call import GIVE_UP_S, install_clients, make_home, run_command
from bench.processes import find_free_port, start
from bench.proof import NotProven, Verdict
from bench.stack import TREE, wait_for_facts

NAME = "story"
PROMISE = "From a fresh clone: ask, approve, issue, call, see the usage, revoke; in a real browser."
MODEL = "demo-chat-large"
TESTS_TIMEOUT_S = 900.0
USAGE_WITHIN_S = 150.0
REFUSED_WITHIN_S = 2.0
CALLS = 4


class Broken(Exception):
    """A step that did not go as it should; the text says which and how."""


def run() -> Verdict:
    """Live the story, then run the suite of the same clone."""
    steps: list[str] = []
    try:
        with start_browser() as browser, _started_clone() as (clone, home, facts, clients):
            for step in _story(browser, facts, clients, home):
                steps.append(step)
                print(f"  {step}", flush=True)
            with_tests = os.environ.get("BENCH_STORY_TESTS") != "0"
            if with_tests:
                steps.append(_run_tests(clone, home))
                print(f"  {steps[-1]}", flush=True)
    except NoBrowser as missing:
        raise NotProven(str(missing)) from None
    except (Broken, Error) as broken:
        print(f"  broke after “{steps[-1] if steps else 'the start'}”: {broken}")
        return Verdict(f"{len(steps)} steps held, then it broke", "every step", held=False)
    if not with_tests:
        raise NotProven(f"{len(steps)} steps held, and `make test` was left out.")
    return Verdict(f"{len(steps)} steps held", "every step", held=True)


@contextmanager
def _started_clone() -> Iterator[tuple[Path, dict[str, str], dict[str, Any], dict[str, list[str]]]]:
    """A fresh clone under `make run`, with an empty home, and the newest clients beside it."""
    with tempfile.TemporaryDirectory(prefix="latchkey-story-") as name:
        folder = Path(name)
        # As root, the servers run under another account, which has to get through to its files.
        folder.chmod(0o755)
        home = make_home(folder)
        clients = install_clients(folder, home)
        clone = folder / "clone"
        run_command(["git", "clone", "--quiet", str(TREE), str(clone)], home)
        environment = home | {"PORT": str(find_free_port())}
        log = folder / "make-run.log"
        with start(["make", "run"], log=log, environment=environment, folder=clone) as portal:
            facts = wait_for_facts(clone, portal, timeout_s=GIVE_UP_S)
            yield clone, home, facts, clients


def _story(
    browser: Browser, facts: dict[str, Any], clients: dict[str, list[str]], home: dict[str, str]
) -> Iterator[str]:
    base_url = str(facts["base_url"])
    with open_tab(browser, base_url) as member, open_tab(browser, base_url) as administrator:
        sign_in(member, facts["member"])
        request = ask_for_access(member, MODEL)
        yield f"The member asks for {MODEL}."
        sign_in(administrator, facts["admin"])
        approve(administrator, MODEL)
        yield "The administrator approves it in the admin."
        member.go(request)
        _expect_text(member, "Granted until")
        text, key = issue_key(member)
        yield "The member reads of it and issues a key."
        environment = home | {"BASE_URL": base_url, "KEY": text, "MODEL": MODEL}
        for label, command in clients.items():
            run_command(command, environment)
            yield f"The newest {label} calls with it, streaming and not."
        seconds = wait_for_usage(member)
        yield f"Its {CALLS} calls stand on the usage page, after {seconds:.0f} s."
        revoke(member, key)
        yield f"Revoked, it is refused within {refused_after(base_url, text):.1f} s."
        _expect_text(member, "Revoked on")
        for tab in (member, administrator):
            if faults := tab.faults():
                raise Broken("; ".join(faults))
        yield "No page had an error, broke its policy or asked another host."


def sign_in(tab: Watched, person: dict[str, str]) -> None:
    """Sign in through the form."""
    tab.go("/sign-in/")
    tab.page.get_by_label("E-mail address").fill(person["email"])
    tab.page.get_by_label("Password").fill(person["password"])
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.get_by_role("button", name="Sign out").first.wait_for()


def ask_for_access(tab: Watched, model: str) -> str:
    """Find the model in the catalogue and ask for it; return the request's path."""
    tab.go("/")
    tab.page.get_by_role("link", name="Models", exact=True).first.click()
    tab.page.get_by_role("link", name=model, exact=True).first.click()
    tab.page.get_by_role("link", name="Ask for access").first.click()
    tab.page.get_by_label("What for?").fill("We answer support mail with it.")
    tab.page.get_by_role("button", name="Ask for access").click()
    tab.page.wait_for_url("**/requests/**")
    return tab.page.url.removeprefix(tab.base_url)


def approve(tab: Watched, model: str) -> None:
    """Find the request in the admin's queue and approve it as it was asked."""
    tab.go("/admin/")
    tab.page.get_by_role("link", name="Requests").first.click()
    tab.page.get_by_role("link", name=model).first.click()
    tab.page.get_by_role("button", name="Approve", exact=True).click()
    _expect_text(tab, "The request is approved.")


def issue_key(tab: Watched) -> tuple[str, str]:
    """Issue a key from the approved request; return its text, shown once, and its page's path."""
    tab.page.get_by_role("link", name="Issue a key").click()
    tab.page.get_by_label("Name", exact=True).fill("Support mail")
    tab.page.get_by_role("button", name="Issue the key").click()
    text = tab.page.locator(".secret code").first.inner_text().strip()
    tab.page.get_by_role("link", name="I have kept it").click()
    tab.page.wait_for_url("**/keys/*-*/")
    if text in tab.page.content():
        raise Broken("the key's page shows the key a second time")
    return text, tab.page.url.removeprefix(tab.base_url)


def wait_for_usage(tab: Watched) -> float:
    """Reload the usage page until the calls stand there; return after how many seconds."""
    began = time.monotonic()
    while time.monotonic() - began < USAGE_WITHIN_S:
        tab.go("/usage/")
        if tab.page.get_by_role("row").filter(has_text=MODEL).count():
            return time.monotonic() - began
        tab.page.wait_for_timeout(2000)
    raise Broken(f"the usage page does not show {MODEL} after {USAGE_WITHIN_S:.0f} s")


def revoke(tab: Watched, key: str) -> None:
    """Revoke the key on its page."""
    tab.go(key)
    tab.page.locator("summary", has_text="Revoke").click()
    tab.page.get_by_label("Reason").fill("It is not needed any more.")
    tab.page.get_by_role("button", name="Revoke the key").click()
    _expect_text(tab, "Revoked on")


def refused_after(base_url: str, text: str) -> float:
    """Call with a revoked key until it is refused; return after how many seconds. Raises: Broken."""
    began = time.monotonic()
    request = urllib.request.Request(f"{base_url}/v1/models", headers={"x-api-key": text})
    while time.monotonic() - began < REFUSED_WITHIN_S:
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.HTTPError as error:
            if error.code == 401:
                return time.monotonic() - began
            raise Broken(f"the revoked key is answered {error.code}") from None
        time.sleep(0.05)
    raise Broken(f"the revoked key still works after {REFUSED_WITHIN_S:.0f} s")


def _expect_text(tab: Watched, text: str) -> None:
    tab.page.get_by_text(text).first.wait_for()


def _run_tests(clone: Path, home: dict[str, str]) -> str:
    began = time.monotonic()
    try:
        ended = subprocess.run(
            ["make", "test"],
            cwd=clone,
            env=home,
            capture_output=True,
            text=True,
            timeout=TESTS_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"`make test` takes more than {TESTS_TIMEOUT_S:.0f} s") from None
    if ended.returncode:
        raise Broken(f"`make test` fails:\n{ended.stdout[-3000:]}")
    seconds = time.monotonic() - began
    return f"`make test` passes in {seconds:.0f} s: {ended.stdout.strip().splitlines()[-1]}"
