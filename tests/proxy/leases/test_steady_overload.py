"""Minutes of steady overload in simulated time: the limit is never passed and hardly ever unused."""

import asyncio
import random

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached
from proxy.leases.window import Window
from tests.proxy.leases.admissions import most_in_any_window
from tests.proxy.leases.conftest import MakeWindow, OpenBook
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.simulated_time import SimulatedTime

MINUTE_S = 60
STEP_S = 0.2
STEPS = 1000


async def take_all_there_is(
    book: LeaseBook, window: Window, amount: int, admitted: list[tuple[float, int]]
) -> None:
    """Call until refused."""
    while True:
        try:
            held = await book.reserve([(window, amount)])
        except LimitReached:
            return
        admitted.append((held.admitted_at, amount))


@pytest.mark.parametrize(("limit", "amount"), [(600, 1), (60_000, 50), (120, 1)])
async def test_at_least_97_percent_of_a_minute_is_used_and_never_more_than_all(
    shared_server: StoreServer,
    open_book: OpenBook,
    window: MakeWindow,
    simulated_time: SimulatedTime,
    limit: int,
    amount: int,
) -> None:
    books = [await open_book(shared_server, clock=simulated_time.clock) for _ in range(4)]
    limited, admitted, chance = window(limit, MINUTE_S), list[tuple[float, int]](), random.Random(7)
    for _ in range(STEPS):
        callers = chance.sample(books, k=chance.randint(1, 4))
        await asyncio.gather(*(take_all_there_is(b, limited, amount, admitted) for b in callers))
        simulated_time.skip(STEP_S)
    assert most_in_any_window(admitted, MINUTE_S) <= limit
    # The first limit's worth is taken at once; from then on it comes back as it leaves the window.
    lasted_min = (admitted[-1][0] - admitted[0][0]) / MINUTE_S
    used = (sum(n for _, n in admitted) - limit) / (limit * lasted_min)
    print(f"used {used:.4f} of {lasted_min:.2f} minutes")
    assert lasted_min > 3
    assert used >= 0.97
