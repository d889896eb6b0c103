"""What nobody foresaw goes wrong in a round trip: callers hear at once, and the next round trip is made."""

import asyncio
import time

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import StoreAway
from proxy.leases.window import MAX_AMOUNT
from tests.proxy.leases.conftest import PRODUCTION_S, MakeWindow, OpenBook
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.test_store_away import wait_until_back

# As the lease function, but it answers with no outcome for whoever asked.
NONSENSE = """#!lua name=nonsense
redis.register_function('%s', function() return {'1-a', 0, {}, {}} end)
"""


class FaultyClock:
    """Tells the time, but fails at the readings it was told to."""

    def __init__(self) -> None:
        self.readings_until_fault: list[int] = []

    def __call__(self) -> float:
        if self.readings_until_fault:
            self.readings_until_fault[0] -= 1
            if self.readings_until_fault[0] < 0:
                self.readings_until_fault.pop(0)
                raise RuntimeError("the clock fails")
        return time.monotonic()


async def reserve_soon(book: LeaseBook, limit: list[object], amount: int = 1) -> object:
    """Reserve, or return what was raised, within a bound."""
    async with asyncio.timeout(5):
        try:
            return await book.reserve([(limit[0], amount)])  # type: ignore[list-item]
        except Exception as error:  # noqa: BLE001 - it is what the test looks at.
            return error


async def test_an_answer_that_fits_no_request_refuses_and_harms_nothing_later(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(server, call_timeout_s=PRODUCTION_S), window(10, 60)
    with server.client() as client:
        listed = client.execute_command("FUNCTION", "LIST")
        name = str(listed).split("latchkey_lease_")[1].split("'")[0]
        client.execute_command("FUNCTION", "FLUSH")
        client.execute_command("FUNCTION", "LOAD", NONSENSE % f"latchkey_lease_{name}")
        for _ in range(3):
            with pytest.raises(StoreAway):
                async with asyncio.timeout(5):
                    await book.reserve([(limited, 1)])
        client.execute_command("FUNCTION", "FLUSH")
    await wait_until_back(book)
    assert await book.reserve([(limited, 1)])


@pytest.mark.parametrize("readings", range(8))
async def test_a_fault_at_any_moment_leaves_no_caller_waiting(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow, readings: int
) -> None:
    clock = FaultyClock()
    book = await open_book(shared_server, clock=clock, call_timeout_s=PRODUCTION_S)
    limited = window(1000, 60)
    clock.readings_until_fault = [readings]
    began = time.monotonic()
    await reserve_soon(book, [limited])
    assert time.monotonic() - began < 4
    for _ in range(10):
        await reserve_soon(book, [limited], amount=50)
    clock.readings_until_fault = []
    await asyncio.sleep(0.3)
    assert await book.reserve([(limited, 1)])


async def test_debts_beyond_all_measure_are_sent_and_others_go_on(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, odd, other = await open_book(shared_server), window(1000, 60), window(10, 60)
    for held in [await book.reserve([(odd, 1)]) for _ in range(100)]:
        book.settle(held, [2**70])
    await asyncio.sleep(0.5)
    with shared_server.client() as client:
        stored = client.hgetall(odd.store_name)
    used = sum(int(amount) for name, amount in stored.items() if name.isdigit())
    assert MAX_AMOUNT <= used < 2**63
    assert await book.reserve([(other, 1)])


async def test_a_book_in_trouble_stops_in_time(
    shared_server: StoreServer, window: MakeWindow
) -> None:
    clock = FaultyClock()
    book = LeaseBook(shared_server.url, process_id="faulty", clock=clock)
    await book.start()
    await book.reserve([(window(1000, 60), 5)])
    clock.readings_until_fault = [0] * 1000
    async with asyncio.timeout(5):
        await book.stop()
