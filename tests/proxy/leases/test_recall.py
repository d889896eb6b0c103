"""What others hold and do not use is called back before anyone is refused."""

import asyncio
import time

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached
from proxy.leases.window import Window
from tests.proxy.leases.conftest import MakeWindow, OpenBook
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.test_book import count_admitted


async def borrow_a_slice(book: LeaseBook, window: Window) -> int:
    """Spend a few, which lets the book borrow more than it spends."""
    spent = 0
    while book.try_reserve([(window, 0)]) is None or spent < 8:
        await book.reserve([(window, 1)])
        spent += 1
    return spent


async def test_one_busy_process_beside_three_idle_ones_gets_everything(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    books, limited = [await open_book(shared_server) for _ in range(4)], window(2000, 3600)
    spent = sum([await borrow_a_slice(book, limited) for book in books[1:]])
    for book in books[1:]:
        assert book.try_reserve([(limited, 1)]) is not None, "the others must hold something idle"
        spent += 1
    assert await count_admitted(books[0], [(limited, 1)], tries=2100) == 2000 - spent


async def test_a_refusal_waits_briefly_for_a_process_that_does_not_answer(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    limited, dead = window(200, 3600), await open_book(shared_server)
    spent = await borrow_a_slice(dead, limited)
    await dead._listener.stop()
    busy = await open_book(shared_server)
    began = time.monotonic()
    admitted = await count_admitted(busy, [(limited, 200 - spent)], tries=1)
    assert admitted == 0
    assert 0.05 <= time.monotonic() - began < 0.2


async def test_near_the_end_nobody_borrows_more_than_a_call(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    books, limited = [await open_book(shared_server) for _ in range(4)], window(400, 3600)
    admitted = 0
    for turn in range(1600):
        try:
            await books[turn % 4].reserve([(limited, 1)])
        except LimitReached:
            await asyncio.sleep(0)
            continue
        admitted += 1
    assert admitted == 400


async def test_a_refusal_is_repeated_without_asking_the_store_again(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(10, 60)
    assert await count_admitted(book, [(limited, 1)], tries=11) == 10
    with shared_server.client() as client:
        before = client.info("commandstats")["cmdstat_fcall"]["calls"]
        assert await count_admitted(book, [(limited, 1)], tries=1000) == 0
        after = client.info("commandstats")["cmdstat_fcall"]["calls"]
    assert after - before <= 5
