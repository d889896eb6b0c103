"""Sliding windows over several processes that call as fast as they can: never over, and hardly anything unused.

What counts is each admission's moment: in no stretch of the window's length may more have been admitted than the
limit. Then one process calls beside three that hold slices and do nothing: it has to get all that they do not need.
"""

import asyncio
import secrets
import subprocess
import sys
from typing import NamedTuple

from bench.proof import NotProven, Verdict
from bench.stack import TREE
from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached
from proxy.leases.window import Measure, Window
from tests.proxy.leases.admissions import most_in_any_window
from tests.proxy.leases.server import StoreServer

NAME = "windows"
PROMISE = "Four processes never pass a limit in any window of its length, and use at least 97 % of a minute."
PROCESSES = 4
LEAST_USED = 0.97
MINUTE_S = 60
SECONDS = 185


class Case(NamedTuple):
    """A limit per minute, and how much of it each call takes."""

    name: str
    limit: int
    amount: int


CASES = (Case("calls", 6000, 1), Case("few calls", 300, 1), Case("tokens", 600_000, 100))


def run() -> Verdict:
    """Hammer all cases at once, then let one process get everything."""
    server = StoreServer()
    server.start()
    try:
        outcomes = _hammer(server)
        got, all_there_is = asyncio.run(_one_beside_three(server))
    finally:
        server.remove()
    over = sum(most > case.limit for case, most, _ in outcomes)
    least = min(used for _, _, used in outcomes)
    figure = (
        f"{over} of {len(outcomes)} limits passed, {least:.1%} of a minute used at least, "
        f"{got} of {all_there_is} beside three idle processes"
    )
    held = not over and least >= LEAST_USED and got == all_there_is
    return Verdict(figure, "0 passed, 97 %, all", held)


def _hammer(server: StoreServer) -> list[tuple[Case, int, float]]:
    running = [(case, _start(server, case)) for case in CASES]
    outcomes = []
    for case, processes in running:
        admitted = [entry for process in processes for entry in _collect(process)]
        if not admitted:
            raise NotProven("nothing was admitted.")
        admitted.sort()
        minutes = (admitted[-1][0] - admitted[0][0]) / MINUTE_S
        # The first limit's worth is taken at once; from then on it comes back as it leaves the window.
        used = (sum(amount for _, amount in admitted) - case.limit) / (case.limit * minutes)
        most = most_in_any_window(admitted, MINUTE_S)
        print(
            f"{case.name}: at most {most} of {case.limit} in a minute, {used:.1%} used", flush=True
        )
        outcomes.append((case, most, used))
    return outcomes


def _start(server: StoreServer, case: Case) -> list["subprocess.Popen[str]"]:
    key = f"bench:{secrets.token_hex(8)}"
    numbers = [str(case.limit), str(MINUTE_S), str(case.amount), str(SECONDS)]
    command = [sys.executable, "-m", "tests.proxy.leases.hammer", server.url, key, *numbers]
    return [
        subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]


def _collect(process: "subprocess.Popen[str]") -> list[tuple[float, int]]:
    output, _ = process.communicate(timeout=SECONDS + 60)
    return [(float(at), int(amount)) for at, amount in map(str.split, output.splitlines())]


async def _one_beside_three(server: StoreServer) -> tuple[int, int]:
    """What one process gets of a limit of which three others hold slices that they do not use, and all there is."""
    window = Window(f"bench:{secrets.token_hex(8)}", 10_000, 3600, Measure.REQUESTS)
    books = [LeaseBook(server.url, process_id=f"p{number}") for number in range(PROCESSES)]
    for book in books:
        await book.start()
    try:
        spent = 0
        for book in books[1:]:
            for _ in range(50):
                await book.reserve([(window, 1)])
                spent += 1
        got = 0
        for _ in range(window.limit):
            try:
                await books[0].reserve([(window, 1)])
            except LimitReached:
                break
            got += 1
        return got, window.limit - spent
    finally:
        for book in books:
            await book.stop()
