"""Concurrent calls: never more than the limit at once, over any number of processes, living or dead."""

import asyncio
import secrets
import time

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.ending import end_task
from proxy.leases.held import Held
from proxy.leases.rebuild import may_ask_ledger
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.request import PROCESSES_KEY, STATE_KEY
from proxy.leases.standings import read_standings
from proxy.leases.window import Measure, Window
from tests.proxy.leases.conftest import PRODUCTION_S, OpenBook
from tests.proxy.leases.endings import age_epoch, be_missed, die, wait_for_reports
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.test_store_away import wait_until_away, wait_until_back


async def open_books(open_book: OpenBook, server: StoreServer, count: int) -> list[LeaseBook]:
    """Processes on a store that has been up for a while."""
    books = [await open_book(server, call_timeout_s=PRODUCTION_S) for _ in range(count)]
    with server.client() as client:
        age_epoch(client)
    return books


def concurrent(limit: int) -> Window:
    """A limit of calls at once that nobody else shares."""
    return Window(f"test:{secrets.token_hex(8)}", limit, 0, Measure.CONCURRENT)


async def hold_all(book: LeaseBook, window: Window, *, tries: int) -> list[Held]:
    """Begin calls until so many were tried."""
    held = []
    for _ in range(tries):
        try:
            held.append(await book.reserve([(window, 1)]))
        except LimitReached:
            continue
    return held


async def test_no_more_than_the_limit_run_at_once_and_each_end_makes_room(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    books, window = await open_books(open_book, shared_server, 4), concurrent(10)
    running = most = done = 0

    async def call(book: LeaseBook) -> None:
        nonlocal running, most, done
        for _ in range(20):
            try:
                held = await book.reserve([(window, 1)])
            except LimitReached:
                await asyncio.sleep(0.01)
                continue
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.005)
            running -= 1
            done += 1
            book.settle(held, [0])

    await asyncio.gather(*(call(book) for book in books for _ in range(8)))
    assert most <= 10
    assert done > 100
    for book in books:
        await book.stop()
    assert read_standings(shared_server.url, [window])[0].held == 0


async def test_idle_places_are_called_back_before_anyone_is_refused(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    idle, busy = await open_books(open_book, shared_server, 2)
    window = concurrent(100)
    for _ in range(2):
        for held in await hold_all(idle, window, tries=30):
            idle.settle(held, [0])
    assert idle.try_reserve([(window, 0)]) is not None, "it must hold places that are idle"
    assert len(await hold_all(busy, window, tries=110)) == 100


async def test_what_a_dead_process_held_comes_back(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    dying, other = await open_books(open_book, shared_server, 2)
    window = concurrent(5)
    assert len(await hold_all(dying, window, tries=6)) == 5
    assert await hold_all(other, window, tries=2) == []
    await die(dying, shared_server)
    # A refusal is repeated for a moment without asking again.
    await asyncio.sleep(0.1)
    assert len(await hold_all(other, window, tries=6)) == 5


async def test_calls_that_outlive_the_store_still_count(
    server: StoreServer, open_book: OpenBook
) -> None:
    first, second = await open_books(open_book, server, 2)
    window = concurrent(5)
    held = await hold_all(first, window, tries=3)
    server.kill()
    for book in (first, second):
        await wait_until_away(book)
    server.start()
    for book in (first, second):
        await wait_until_back(book)
    with pytest.raises(StoreAway):
        await second.reserve([(window, 1)])
    await wait_for_reports(first)
    with server.client() as client:
        age_epoch(client)
    assert len(await hold_all(second, window, tries=6)) == 2
    for one in held:
        first.settle(one, [0])
    await wait_for_reports(first)
    assert len(await hold_all(second, window, tries=6)) == 3


@pytest.mark.parametrize("is_suspended", [False, True])
async def test_calls_of_a_process_that_was_cut_off_count_again_before_it_or_another_begins_more(
    server: StoreServer, open_book: OpenBook, is_suspended: bool
) -> None:
    way, late_s = server.way_in(), 0.0
    cut = await open_book(
        server, url=way.url, clock=lambda: time.monotonic() + late_s, call_timeout_s=PRODUCTION_S
    )
    (other,) = await open_books(open_book, server, 1)
    window = concurrent(3)
    running = await hold_all(cut, window, tries=3)
    if not is_suspended:
        way.cut()
        await wait_until_away(cut)
    be_missed(cut, server)
    theirs = await hold_all(other, window, tries=4)
    assert len(theirs) == 3, "The places of whoever is gone are free."
    late_s = 12.0
    if not is_suspended:
        with pytest.raises(StoreAway):
            await cut.reserve([(window, 1)])
        way.mend()
        await wait_until_back(cut)
    # Its three run beside the other's: whoever asks first, there is no place until these have ended.
    for _ in range(3):
        other.settle(theirs.pop(), [0])
    await wait_for_reports(other)
    assert await hold_all(cut, window, tries=2) == []
    assert await hold_all(other, window, tries=2) == []
    for one in running:
        cut.settle(one, [0])
    await wait_for_reports(cut)
    await asyncio.sleep(0.1)
    assert len(await hold_all(other, window, tries=5)) == 3


async def test_a_store_that_slept_takes_nobody_for_dead(
    server: StoreServer, open_book: OpenBook
) -> None:
    holder, other = await open_books(open_book, server, 2)
    window = concurrent(5)
    assert len(await hold_all(holder, window, tries=5)) == 5
    server.freeze()
    await asyncio.sleep(2.5)
    with server.client() as client:
        server.thaw()
        # As though it had slept for longer than anybody may be silent.
        for name in client.hkeys("latchkey:lease:1:processes"):
            client.hincrby("latchkey:lease:1:processes", name, -20_000_000)
    await wait_until_back(other)
    assert await hold_all(other, window, tries=2) == []


async def test_a_store_whose_clock_is_set_back_lends_on_and_still_misses_the_dead(
    server: StoreServer, open_book: OpenBook
) -> None:
    dying, other = await open_books(open_book, server, 2)
    window = concurrent(5)
    held = await hold_all(other, window, tries=2)
    assert len(await hold_all(dying, window, tries=3)) == 3
    for task in dying._borrower._tasks:
        await end_task(task)
    hour_us = 3_600_000_000
    with server.client() as client:
        for name in ("raw_us", "opened_us", "woke_us", "since_us"):
            client.hincrby(STATE_KEY, name, hour_us)
        for name in client.hkeys(PROCESSES_KEY):
            client.hincrby(PROCESSES_KEY, name, hour_us)
        # It hears that it is an hour earlier: nobody is gone for that, and nothing has to wait for an hour.
        assert await hold_all(other, window, tries=1) == []
        assert may_ask_ledger(server.url)
        await asyncio.sleep(0.6)
        client.hincrby(STATE_KEY, "woke_us", -20_000_000)
    assert read_standings(server.url, [window])[0].held == 2
    assert len(await hold_all(other, window, tries=5)) == 3
    other.settle(held[0], [0])


async def test_calls_one_after_another_ask_the_store_once_in_a_while(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    (book,) = await open_books(open_book, shared_server, 1)
    window, asked = concurrent(10), 0
    for _ in range(200):
        held = book.try_reserve([(window, 1)])
        if held is None:
            asked += 1
            held = await book.reserve([(window, 1)])
        book.settle(held, [0])
    assert asked <= 5
