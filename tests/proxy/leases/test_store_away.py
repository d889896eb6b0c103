"""The store dies, hangs, comes back empty or forgetful: what holds meanwhile, and after."""

import asyncio
import time

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Window
from tests.proxy.leases.conftest import PRODUCTION_S, MakeWindow, OpenBook
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.test_book import count_admitted

BACK_WITHIN_S = 5.0


async def wait_until_back(book: LeaseBook) -> float:
    """Seconds until the book talks to its store again."""
    began = time.monotonic()
    while book.store_is_away:
        assert time.monotonic() - began < BACK_WITHIN_S, "The store was not found again."
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def wait_until_away(book: LeaseBook) -> None:
    """Wait until the book has noticed."""
    for _ in range(200):
        if book.store_is_away:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("The store's absence was not noticed within 2 s.")


async def hold_slice(book: LeaseBook, limited: Window) -> None:
    """Spend until a slice of some size is held."""
    while book.standing(limited).remaining == limited.limit or not book.try_reserve(
        [(limited, 20)]
    ):
        await book.reserve([(limited, 1)])


async def test_a_book_starts_while_the_store_is_away_and_finds_it_later(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    server.kill()
    book, limited = await open_book(server), window(10, 60)
    assert book.store_is_away
    with pytest.raises(StoreAway) as refused:
        await book.reserve([(limited, 1)])
    assert refused.value.retry_after_s == 1
    server.start()
    await wait_until_back(book)
    await book.reserve([(limited, 1)])


async def test_a_borrowed_share_is_spent_while_the_store_is_away(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(server, call_timeout_s=PRODUCTION_S), window(10_000, 3600)
    await hold_slice(book, limited)
    server.kill()
    assert book.try_reserve([(limited, 1)]) is not None
    with pytest.raises(StoreAway):
        while True:
            await book.reserve([(limited, 1)])
    began = time.monotonic()
    with pytest.raises(StoreAway):
        await book.reserve([(limited, 1)])
    assert time.monotonic() - began < 0.05, "An absence that is known costs no waiting."


async def test_a_lost_store_is_recognised_and_counts_from_zero(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    books, limited = (
        [await open_book(server, call_timeout_s=PRODUCTION_S) for _ in range(2)],
        window(1000, 3600),
    )
    for book in books:
        await hold_slice(book, limited)
    held = await books[0].reserve([(limited, 5)])
    server.kill()
    await wait_until_away(books[0])
    server.start()
    for book in books:
        assert await wait_until_back(book) < BACK_WITHIN_S
        assert book.try_reserve([(limited, 1)]) is None, "An old slice must not be spent."
    books[0].settle(held, [0])
    admitted = [await count_admitted(book, [(limited, 1)], tries=1100) for book in books]
    assert sum(admitted) == 1000


@pytest.mark.parametrize("command", ["FLUSHALL", "FUNCTION FLUSH", "SCRIPT FLUSH"])
async def test_a_store_that_was_emptied_under_way_goes_on_at_once(
    server: StoreServer, open_book: OpenBook, window: MakeWindow, command: str
) -> None:
    book, limited = await open_book(server), window(10, 60)
    assert await count_admitted(book, [(limited, 1)], tries=5) == 5
    with server.client() as client:
        client.execute_command(*command.split())
    # By then the heartbeat has told; until then what was already borrowed may be spent.
    await asyncio.sleep(0.7)
    expected = 10 if command == "FLUSHALL" else 5
    assert await count_admitted(book, [(limited, 1)], tries=20) == expected


async def test_a_store_that_hangs_costs_a_quarter_second_once_and_lends_nothing_twice(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(server, call_timeout_s=PRODUCTION_S), window(30, 3600)
    assert await count_admitted(book, [(limited, 5)], tries=2) == 2
    server.freeze()
    began = time.monotonic()
    outcomes = await asyncio.gather(
        *(book.reserve([(limited, 1)]) for _ in range(40)), return_exceptions=True
    )
    assert time.monotonic() - began < 0.8
    served = sum(not isinstance(outcome, BaseException) for outcome in outcomes)
    assert all(isinstance(o, StoreAway) for o in outcomes if isinstance(o, BaseException))
    await asyncio.sleep(0.5)
    server.thaw()
    await wait_until_back(book)
    admitted = 10 + served + await count_admitted(book, [(limited, 1)], tries=40)
    assert admitted <= 30
    with server.client() as client:
        stored = client.hgetall(limited.store_name)
    assert sum(int(n) for name, n in stored.items() if name.isdigit()) == 30


async def test_returns_survive_an_absence_and_count_once(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, tokens = await open_book(server, call_timeout_s=PRODUCTION_S), window(1000, 3600)
    held = [await book.reserve([(tokens, 100)]) for _ in range(10)]
    server.freeze()
    for part in held:
        book.settle(part, [40])
    await wait_until_away(book)
    server.thaw()
    await wait_until_back(book)
    await asyncio.sleep(0.5)
    assert await count_admitted(book, [(tokens, 100)], tries=20) == 6


async def test_a_server_that_was_promoted_or_restored_opens_a_new_epoch(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(server), window(1000, 3600)
    await hold_slice(book, limited)
    with server.client() as client:
        client.hset("latchkey:lease:1:state", "run_id", "another-server")
    await asyncio.sleep(0.8)
    assert book.try_reserve([(limited, 1)]) is None
    spent = 1000 - await count_admitted(book, [(limited, 1)], tries=1100)
    assert spent > 0, "What the store still holds still counts."


async def test_the_application_user_needs_no_more_than_documented(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    rights = (
        "+fcall +function|load +time +info +hget +hset +hdel +hmget +hgetall +hexists +hincrby"
        " +del +sadd +pexpire +publish +subscribe +unsubscribe +ping"
    )
    with server.client() as client:
        client.execute_command(
            *f"ACL SETUSER leases on >secret ~latchkey:lease:* &latchkey:lease:* {rights}".split()
        )
    book = LeaseBook(
        server.url.replace("unix://", "unix://leases:secret@"), process_id="restricted"
    )
    await book.start()
    try:
        limited = window(10, 60)
        assert await count_admitted(book, [(limited, 1)], tries=20) == 10
    finally:
        await book.stop()


async def test_a_store_that_answers_nonsense_is_away(
    server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(server), window(10, 60)
    with server.client() as client:
        client.set(limited.store_name, "not a hash")
    with pytest.raises(StoreAway):
        await book.reserve([(limited, 1)])
    await wait_until_back(book)
    with pytest.raises(LimitReached):
        await book.reserve([(window(0, 60), 1)])
