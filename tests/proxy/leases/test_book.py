"""What a caller sees of a lease book on a real store."""

import asyncio

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Window
from tests.proxy.leases.conftest import MakeWindow, OpenBook
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.simulated_time import SimulatedTime


async def count_admitted(book: LeaseBook, wants: list[tuple[Window, int]], *, tries: int) -> int:
    """How many of so many calls in a row were admitted."""
    admitted = 0
    for _ in range(tries):
        try:
            await book.reserve(wants)
        except LimitReached:
            continue
        admitted += 1
    return admitted


@pytest.mark.parametrize("length_s", [1, 3, 9, 10, 60, 3600, 86_400])
async def test_a_limit_is_used_whole_and_not_passed(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow, length_s: int
) -> None:
    book, limited = await open_book(shared_server), window(37, length_s)
    admitted = await asyncio.gather(
        *(count_admitted(book, [(limited, 1)], tries=1) for _ in range(60))
    )
    assert sum(admitted) == 37


async def test_a_refusal_says_which_limit_what_is_left_and_when_to_come_back(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(10, 60)
    await book.reserve([(limited, 8)])
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(limited, 3)])
    assert refused.value.window == limited
    assert (refused.value.limit, refused.value.remaining) == (10, 2)
    assert refused.value.retry_after_s in (60, 61)


async def test_a_caller_who_waits_as_told_is_admitted(
    shared_server: StoreServer,
    open_book: OpenBook,
    window: MakeWindow,
    simulated_time: SimulatedTime,
) -> None:
    book = await open_book(shared_server, clock=simulated_time.clock)
    limited = window(10, 60)
    await book.reserve([(limited, 4)])
    simulated_time.skip(20)
    await book.reserve([(limited, 6)])
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(limited, 4)])
    assert refused.value.retry_after_s in (40, 41)
    simulated_time.skip(refused.value.retry_after_s or 0)
    await book.reserve([(limited, 4)])


async def test_a_want_above_the_limit_never_fits(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(10, 60)
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(limited, 11)])
    assert refused.value.retry_after_s is None
    assert refused.value.remaining == 10


async def test_a_limit_of_nothing_admits_nothing(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(0, 60)
    with pytest.raises(LimitReached):
        await book.reserve([(limited, 1)])


async def test_a_call_refused_by_one_window_takes_nothing_from_the_others(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, wide, narrow = await open_book(shared_server), window(100, 60), window(5, 60)
    for _ in range(20):
        with pytest.raises(LimitReached) as refused:
            await book.reserve([(wide, 1), (narrow, 6)])
        assert refused.value.window == narrow
    await book.reserve([(narrow, 5)])
    assert await count_admitted(book, [(wide, 1), (narrow, 1)], tries=20) == 0
    assert await count_admitted(book, [(wide, 1)], tries=120) == 100


async def test_parallel_calls_cannot_pass_a_token_limit(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    books = [await open_book(shared_server) for _ in range(4)]
    calls, tokens = window(10_000, 60), window(10_000, 60)
    wants = [(calls, 1), (tokens, 700)]
    admitted = await asyncio.gather(
        *(count_admitted(books[i % 4], wants, tries=1) for i in range(1000))
    )
    assert sum(admitted) == 14


async def test_what_a_call_did_not_use_can_be_used_by_others(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    first, second = await open_book(shared_server), await open_book(shared_server)
    tokens = window(1000, 60)
    held = await first.reserve([(tokens, 1000)])
    with pytest.raises(LimitReached):
        await second.reserve([(tokens, 100)])
    first.settle(held, [100])
    await asyncio.sleep(0.3)
    await second.reserve([(tokens, 900)])


async def test_only_the_first_settlement_counts(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, tokens = await open_book(shared_server), window(100, 60)
    held = await book.reserve([(tokens, 100)])
    for _ in range(3):
        book.settle(held, [90])
    await asyncio.sleep(0.3)
    assert await count_admitted(book, [(tokens, 1)], tries=30) == 10


async def test_use_beyond_the_reservation_is_charged_and_not_refused(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, tokens = await open_book(shared_server), window(100, 60)
    held = await book.reserve([(tokens, 10)])
    book.settle(held, [130])
    await asyncio.sleep(0.3)
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(tokens, 1)])
    assert refused.value.remaining == 0
    assert book.standing(tokens).remaining == 0


@pytest.mark.parametrize("used", [[1], [1, 2, 3], [-1, 0], [0.5, 1], [True, 1]])
async def test_a_settlement_of_another_shape_is_refused(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow, used: list[int]
) -> None:
    book = await open_book(shared_server)
    held = await book.reserve([(window(10, 60), 1), (window(10, 60), 1)])
    with pytest.raises(ValueError, match="settle wants"):
        book.settle(held, used)
    book.settle(held, [1, 1])


@pytest.mark.parametrize("amount", [-1, 1.5, True, "1", None, 10**16])
async def test_junk_amounts_never_reach_the_store(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow, amount: int
) -> None:
    book, limited = await open_book(shared_server), window(10**15, 60)
    with pytest.raises(ValueError, match="amount"):
        await book.reserve([(limited, amount)])
    await book.reserve([(limited, 1)])
    assert type(amount) is int or book.try_reserve([(limited, amount)]) is None


async def test_a_window_named_twice_in_a_call_is_refused(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(10, 60)
    with pytest.raises(ValueError, match="wanted once"):
        await book.reserve([(limited, 1), (limited, 1)])


async def test_a_lowered_limit_drops_what_was_lent_under_the_higher_one(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, high = await open_book(shared_server), window(1000, 60)
    low = Window(high.key, 60, 60, high.measure)
    assert await count_admitted(book, [(high, 1)], tries=50) == 50
    assert book.try_reserve([(high, 1)]) is not None
    assert book.try_reserve([(low, 1)]) is None
    assert await count_admitted(book, [(low, 1)], tries=50) == 9


async def test_a_raised_limit_counts_from_the_next_borrow(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, low = await open_book(shared_server), window(10, 60)
    assert await count_admitted(book, [(low, 1)], tries=20) == 10
    assert await count_admitted(book, [(Window(low.key, 25, 60, low.measure), 1)], tries=40) == 15


async def test_both_limits_of_a_changing_window_can_be_asked_for_at_once(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, low = await open_book(shared_server), window(10, 60)
    high = Window(low.key, 20, 60, low.measure)
    admitted = await asyncio.gather(
        *(count_admitted(book, [((low, high)[i % 2], 1)], tries=1) for i in range(60))
    )
    assert sum(admitted) == 20


async def test_a_caller_who_goes_away_while_waiting_holds_nothing(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(50, 60)
    for delays in range(8):
        tasks = [asyncio.create_task(book.reserve([(limited, 10)])) for _ in range(5)]
        for _ in range(delays):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for held in outcomes:
            if not isinstance(held, BaseException):
                book.settle(held, [0])
    await asyncio.sleep(0.3)
    assert await count_admitted(book, [(limited, 1)], tries=60) == 50


async def test_a_standing_follows_what_was_spent(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(100, 60)
    assert book.standing(limited).remaining == 100
    assert book.standing(limited).reset_s == 0
    for spent in range(1, 60):
        await book.reserve([(limited, 1)])
        assert book.standing(limited).remaining == 100 - spent
    assert 60 < book.standing(limited).reset_s <= 60.6


async def test_a_book_that_stops_gives_back_what_it_did_not_use(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(1000, 3600)
    assert await count_admitted(book, [(limited, 1)], tries=100) == 100
    await book.stop()
    with shared_server.client() as client:
        amounts = client.hgetall(limited.store_name)
    assert sum(int(n) for name, n in amounts.items() if name.isdigit()) == 100
    with pytest.raises(StoreAway):
        await book.reserve([(limited, 500)])


async def test_calls_that_come_together_travel_together(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book = await open_book(shared_server)
    wants = [[(window(10, 60), 1), (window(10, 60), 1)] for _ in range(100)]
    with shared_server.client() as client:
        before = client.info("commandstats")
        await asyncio.gather(*(book.reserve(want) for want in wants))
        after = client.info("commandstats")
    calls = after["cmdstat_fcall"]["calls"] - before["cmdstat_fcall"]["calls"]
    assert calls <= 4


async def test_nothing_in_the_store_outlives_its_window(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, limited = await open_book(shared_server), window(10, 60)
    await book.reserve([(limited, 1)])
    with shared_server.client() as client:
        assert 60_000 < client.pttl(limited.store_name) <= 61_200


async def test_idle_windows_are_forgotten(
    shared_server: StoreServer,
    open_book: OpenBook,
    window: MakeWindow,
    simulated_time: SimulatedTime,
) -> None:
    book = await open_book(shared_server, clock=simulated_time.clock)
    for _ in range(200):
        await book.reserve([(window(10, 10), 1)])
    assert book.windows_kept == 200
    simulated_time.skip(61)
    await asyncio.sleep(0.3)
    simulated_time.skip(61)
    await asyncio.sleep(0.3)
    assert book.windows_kept == 0


async def test_an_absurd_settlement_harms_nobody_else(
    shared_server: StoreServer, open_book: OpenBook, window: MakeWindow
) -> None:
    book, odd, other = await open_book(shared_server), window(10, 60), window(10, 60)
    book.settle(await book.reserve([(odd, 1)]), [2**70])
    await asyncio.sleep(0.3)
    with pytest.raises(LimitReached):
        await book.reserve([(odd, 1)])
    assert await asyncio.wait_for(book.reserve([(other, 1)]), timeout=5)
