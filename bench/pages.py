"""Every page of the portal, at 10,000 keys: clean, usable by everybody, by keyboard alone, and fast."""

import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Error

from bench.administrator import Administrator, start_administrator
from bench.browser import (
    NOT_OUR_OWN,
    THEMES,
    NoBrowser,
    NoPackages,
    Watched,
    install_packages,
    open_tab,
    read_axe,
    start_browser,
)
from bench.keyboard import WAYS, Lost
from bench.proof import NotProven, Verdict
from bench.stack import Stack, start_stack

NAME = "pages"
PROMISE = "Every page clean, WCAG 2.2 AA, by keyboard alone, and fast with 10,000 keys."
KEYS = 10_000
QUERIES_MAX = 12
P95_MAX_MS = 100.0
ASKED = 40
WARM_UP = 5
ROUNDS_MAX = 3
PHONE_PX = 360


class Page(NamedTuple):
    """A page as somebody in a role opens it."""

    role: str
    name: str
    path: str


def run() -> Verdict:
    """Fill a Latchkey of our own, then look at each page as everybody who can open it."""
    keys = int(os.environ.get("BENCH_KEYS", KEYS))
    with tempfile.TemporaryDirectory(prefix="latchkey-pages-") as name, _started(name) as parts:
        stack, administrator, browser, axe = parts
        made = administrator.ask("make_pages", keys=keys)
        pages = [Page(*row) for row in made["pages"]]
        faults = list(_look(browser, stack, pages, made["cookies"], axe))
        faults += _walk(browser, stack, made)
        faults += list(_count_queries(administrator, pages))
        slowest, slow_faults = _measure(stack, pages, made["cookies"])
        faults += slow_faults
    for fault in faults:
        print(f"  {fault}")
    figure = f"{len(pages)} pages, {len(faults)} faults, slowest p95 {slowest:.0f} ms"
    if keys != KEYS:
        raise NotProven(f"{figure}, with {keys} keys instead of {KEYS}.")
    return Verdict(figure, f"0 faults, ≤ {P95_MAX_MS:.0f} ms", held=not faults)


@contextmanager
def _started(name: str) -> Iterator[tuple[Stack, Administrator, Browser, str]]:
    folder = Path(name)
    try:
        axe = read_axe(install_packages(folder / "npm", "axe-core"))
        with (
            start_browser() as browser,
            start_stack(folder) as stack,
            start_administrator(stack.environment, str(stack.folder)) as administrator,
        ):
            yield stack, administrator, browser, axe
    except (NoBrowser, NoPackages) as missing:
        raise NotProven(str(missing)) from None


def _look(
    browser: Browser, stack: Stack, pages: list[Page], cookies: dict[str, str], axe: str
) -> Iterator[str]:
    """Open each page, and tell what is wrong with it."""
    for role, cookie in cookies.items():
        with open_tab(browser, str(stack.facts["base_url"])) as tab:
            tab.bring_session(cookie)
            for page in pages:
                if page.role == role:
                    yield from (f"{role} {page.name}: {fault}" for fault in _faults(tab, page, axe))


def _faults(tab: Watched, page: Page, axe: str) -> list[str]:
    tab.page.set_viewport_size({"width": 1280, "height": 900})
    status = tab.go(page.path)
    faults = tab.faults()
    if status != 200:
        return [*faults, f"answers {status}"]
    if page.name not in NOT_OUR_OWN:
        faults += [found for theme in THEMES for found in tab.violations(axe, theme)]
        tab.page.set_viewport_size({"width": PHONE_PX, "height": 740})
        if overflow := tab.overflow_px():
            faults.append(f"is {overflow} px wider than a phone")
    return faults


def _walk(browser: Browser, stack: Stack, made: dict[str, dict[str, str]]) -> list[str]:
    """Go each of the core ways without a mouse."""
    faults = []
    for way in WAYS:
        with open_tab(browser, str(stack.facts["base_url"])) as tab:
            try:
                way(tab, made)
            except (Lost, Error) as lost:
                faults.append(f"keyboard, {way.__name__}: {str(lost).splitlines()[0]}")
            faults += [f"keyboard, {way.__name__}: {fault}" for fault in tab.faults()]
    return faults


def _count_queries(administrator: Administrator, pages: list[Page]) -> Iterator[str]:
    for page in pages:
        queries = administrator.ask("count_queries", role=page.role, path=page.path)
        if queries > QUERIES_MAX:
            yield f"{page.role} {page.name}: {queries} queries"


def _measure(stack: Stack, pages: list[Page], cookies: dict[str, str]) -> tuple[float, list[str]]:
    """The slowest page's 95th percentile in milliseconds, and a fault for each that is too slow.

    One that is too slow is measured again, up to three times in all: other work on the machine is not the page's.
    """
    found: dict[str, float] = {}
    for page in pages:
        url = f"{stack.facts['base_url']}{page.path}"
        request = urllib.request.Request(url, headers={"Cookie": f"sessionid={cookies[page.role]}"})
        rounds = [_p95_ms(request)]
        while rounds[-1] > P95_MAX_MS and len(rounds) < ROUNDS_MAX:
            rounds.append(_p95_ms(request))
        found[f"{page.role} {page.name}"] = min(rounds)
    slowest = sorted(found.items(), key=lambda one: -one[1])
    print("  slowest: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in slowest[:8]))
    slow = [f"{name}: p95 {ms:.0f} ms" for name, ms in found.items() if ms > P95_MAX_MS]
    return slowest[0][1], slow


def _p95_ms(request: urllib.request.Request) -> float:
    times = sorted([_time_ms(request) for _ in range(WARM_UP + ASKED)][WARM_UP:])
    return times[int(len(times) * 0.95) - 1]


def _time_ms(request: urllib.request.Request) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=20) as reply:
        reply.read()
    return (time.perf_counter() - began) * 1000
