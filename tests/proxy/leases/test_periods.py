"""Budgets of a period or a fixed sum: never over, whatever processes do, and nothing held in the end."""

import asyncio
import secrets
import time
from contextlib import suppress

import msgspec
import pytest

from proxy.leases.accounts import read_accounts
from proxy.leases.rebuild import closed_names, may_ask_ledger, rebuild
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.request import STATE_KEY
from proxy.leases.standings import Standing, read_standings
from proxy.leases.window import NEVER_ENDS_AT, Measure, Window
from tests.proxy.leases.conftest import PRODUCTION_S, OpenBook
from tests.proxy.leases.endings import age_epoch, die, wait_for_reports
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.test_book import count_admitted
from tests.proxy.leases.test_store_away import wait_until_away, wait_until_back

DAY_S = 86_400


def budget(limit: int, *, ends_at: int = NEVER_ENDS_AT, is_soft: bool = False) -> Window:
    """A budget that nobody else spends from."""
    key = f"test:{secrets.token_hex(8)}"
    return Window(key, limit, 0, Measure.MICRO_USD, ends_at, is_soft)


def open_budget(server: StoreServer, limit: int, *, used: int = 0) -> Window:
    """A fixed sum of which so much was used before."""
    window = budget(limit)
    with server.client() as client:
        age_epoch(client)
    assert rebuild(server.url, {window: used})
    return window


def stand(server: StoreServer, window: Window) -> Standing:
    """How it stands over all processes."""
    return read_standings(server.url, [window])[0]


async def test_a_budget_is_spent_whole_and_not_passed_over_several_processes(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    books = [await open_book(shared_server) for _ in range(3)]
    window = open_budget(shared_server, 1000, used=400)
    admitted = await asyncio.gather(
        *(count_admitted(books[i % 3], [(window, 7)], tries=1) for i in range(200))
    )
    assert sum(admitted) == 600 // 7
    assert stand(shared_server, window).held == 595


async def test_what_is_settled_is_used_and_nothing_is_held_in_the_end(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    book, window = await open_book(shared_server), open_budget(shared_server, 10_000)
    held = [await book.reserve([(window, 100)]) for _ in range(20)]
    for number, one in enumerate(held):
        book.settle(one, [150 if number == 0 else 30])
    await book.stop()
    standing = stand(shared_server, window)
    assert (standing.used, standing.held, standing.remaining) == (720, 0, 9280)
    assert standing.reset_s is None


async def test_a_process_that_dies_takes_what_it_held_and_no_more(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    dying, other = await open_book(shared_server), await open_book(shared_server)
    window = open_budget(shared_server, 1000)
    for _ in range(10):
        await dying.reserve([(window, 10)])
    await die(dying, shared_server)
    standing = stand(shared_server, window)
    assert standing.held == 0, "The dead hold nothing."
    assert 100 <= standing.used <= 100 + 30, "A slice is 3 % of a budget at most."
    left = (1000 - standing.used) // 10
    assert await count_admitted(other, [(window, 10)], tries=120) == left


async def test_what_was_lent_in_an_answer_that_got_lost_comes_back(
    server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(server, call_timeout_s=PRODUCTION_S)
    window = open_budget(server, 1000)
    await book.reserve([(window, 10)])
    server.freeze()
    with pytest.raises(StoreAway):
        await book.reserve([(window, 500)])
    await asyncio.sleep(0.3)
    server.thaw()
    await wait_until_back(book)
    await wait_for_reports(book)
    assert stand(server, window).held == 10


async def test_a_period_that_ended_lends_nothing(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(shared_server)
    ends_at = int(time.time()) + 2
    window = Window(f"test:{secrets.token_hex(8)}", 100, 1, Measure.MICRO_USD, ends_at)
    with shared_server.client() as client:
        age_epoch(client)
    assert rebuild(shared_server.url, {window: 0})
    await book.reserve([(window, 1)])
    await asyncio.sleep(ends_at - time.time())
    assert book.try_reserve([(window, 0)]) is None, "No lease outlives its period."
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(window, 1)])
    assert refused.value.retry_after_s == 1


async def test_a_period_that_began_in_this_epoch_is_open_at_once(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(shared_server)
    await book.reserve([(budget(1, is_soft=True), 1)])
    with shared_server.client() as client:
        age_epoch(client, seconds=100)
    now = int(time.time())
    begun = Window(f"test:{secrets.token_hex(8)}", 10, DAY_S, Measure.TOKENS, now + DAY_S - 50)
    older = Window(f"test:{secrets.token_hex(8)}", 10, DAY_S, Measure.TOKENS, now + DAY_S - 500)
    await book.reserve([(begun, 10)])
    with pytest.raises(LimitReached) as refused:
        await book.reserve([(begun, 1)])
    # What is only held may come back at any moment.
    assert refused.value.retry_after_s == 1
    with pytest.raises(StoreAway):
        await book.reserve([(older, 1)])


async def test_a_used_up_period_says_when_it_ends(
    shared_server: StoreServer, open_book: OpenBook
) -> None:
    book, endless = await open_book(shared_server), open_budget(shared_server, 10, used=10)
    period = budget(10, ends_at=int(time.time()) + 1000)
    assert rebuild(shared_server.url, {period: 10})
    for window, expected in ((endless, {None}), (period, {999, 1000})):
        with pytest.raises(LimitReached) as refused:
            await book.reserve([(window, 1)])
        assert refused.value.retry_after_s in expected


@pytest.mark.parametrize("is_sliding", [False, True])
async def test_a_limit_that_refused_for_good_says_so_until_it_is_raised(
    shared_server: StoreServer, open_book: OpenBook, is_sliding: bool
) -> None:
    book = await open_book(shared_server)
    window = open_budget(shared_server, 100)
    if is_sliding:
        window = Window(window.key, 100, 3600, Measure.TOKENS)
    raised = msgspec.structs.replace(window, limit=120)
    running = await book.reserve([(window, 40)])
    with suppress(LimitReached):
        await book.reserve([(window, 70)])
    if not is_sliding:
        assert not stand(shared_server, window).is_refusing, "What is held may come back."
    book.settle(running, [40])
    await wait_for_reports(book)
    book.settle(await book.reserve([(window, 50)]), [50])
    await wait_for_reports(book)
    with pytest.raises(LimitReached):
        await book.reserve([(window, 20)])
    assert [stand(shared_server, one).is_refusing for one in (window, raised)] == [True, False]
    await book.reserve([(raised, 20)])
    assert not stand(shared_server, raised).is_refusing


async def test_a_soft_budget_is_counted_and_never_refused(
    server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(server, call_timeout_s=PRODUCTION_S)
    window = budget(10, is_soft=True)
    for _ in range(30):
        book.settle(await book.reserve([(window, 100)]), [50])
    await wait_for_reports(book)
    assert stand(server, window).used == 1500
    server.freeze()
    await wait_until_away(book)
    for _ in range(30):
        book.settle(await book.reserve([(window, 100)]), [50])
    server.thaw()
    await wait_until_back(book)
    await wait_for_reports(book)
    assert stand(server, window).used == 3000


async def test_a_budget_refuses_while_the_store_is_away_and_counts_once_afterwards(
    server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(server, call_timeout_s=PRODUCTION_S)
    window, rate = open_budget(server, 100_000), Window("rate", 100_000, 3600, Measure.REQUESTS)
    running = await book.reserve([(window, 100)])
    while book.try_reserve([(window, 1), (rate, 1)]) is None:
        await book.reserve([(window, 1), (rate, 1)])
    server.freeze()
    await wait_until_away(book)
    assert book.try_reserve([(window, 1)]) is None
    with pytest.raises(StoreAway):
        await book.reserve([(window, 1)])
    book.settle(running, [60])
    server.thaw()
    await wait_until_back(book)
    await wait_for_reports(book)
    assert stand(server, window).used == 60
    assert await count_admitted(book, [(window, 100)], tries=10) == 10


async def test_a_store_that_lost_everything_lends_no_budget_until_it_hears_what_was_used(
    server: StoreServer, open_book: OpenBook
) -> None:
    book = await open_book(server, call_timeout_s=PRODUCTION_S)
    window = open_budget(server, 1000)
    running = await book.reserve([(window, 100)])
    server.kill()
    await wait_until_away(book)
    server.start()
    await wait_until_back(book)
    with pytest.raises(StoreAway) as refused:
        await book.reserve([(window, 1)])
    assert refused.value.retry_after_s >= 1
    assert closed_names(server.url) == {window.store_name}
    assert stand(server, window).is_closed
    assert not rebuild(server.url, {window: 800}), "A lease of before may still be spent."
    with server.client() as client:
        age_epoch(client)
    for _ in range(2):
        assert rebuild(server.url, {window: 800}), "Twice is once."
    assert closed_names(server.url) == set()
    await wait_for_reports(book)
    standing = stand(server, window)
    assert (standing.used, standing.held) == (800, 100), "A call that went on still holds its part."
    assert await count_admitted(book, [(window, 100)], tries=3) == 1
    book.settle(running, [40])
    await wait_for_reports(book)
    assert stand(server, window).used == 840


async def test_a_process_that_stops_in_the_middle_of_a_round_trip_leaves_nothing_held(
    server: StoreServer, open_book: OpenBook
) -> None:
    book, window = await open_book(server), open_budget(server, 1000)
    server.freeze()
    asking = asyncio.create_task(book.reserve([(window, 10)]))
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(book.stop())
    # By then it waits for no answer any more; what was asked for is lent all the same.
    await asyncio.sleep(0.3)
    server.thaw()
    await stopping
    with pytest.raises(StoreAway):
        await asking
    standing = stand(server, window)
    assert (standing.used, standing.held) == (0, 0)


@pytest.mark.parametrize("hears_first", [False, True])
async def test_what_a_process_used_that_hears_late_of_a_loss_counts_though_the_ledger_told_before(
    server: StoreServer, open_book: OpenBook, hears_first: bool
) -> None:
    way = server.way_in()
    late = await open_book(server, url=way.url, call_timeout_s=PRODUCTION_S)
    other, window = await open_book(server), open_budget(server, 1000)
    ending, running = [await late.reserve([(window, 100)]) for _ in range(2)]
    way.cut()
    server.kill()
    for book in (late, other):
        await wait_until_away(book)
    server.start()
    await wait_until_back(other)
    with server.client() as client:
        age_epoch(client)
    assert rebuild(server.url, {window: 0})
    if hears_first:
        # The call ends while the word that tells of the loss is on its way.
        turn = late._borrower._turn
        server.freeze()
        way.mend()
        while late._borrower._turn == turn:
            await asyncio.sleep(0.005)
        late.settle(ending, [60])
        server.thaw()
    else:
        late.settle(ending, [60])
        way.mend()
    await wait_until_back(late)
    await wait_for_reports(late)
    standing = stand(server, window)
    assert (standing.used, standing.held) == (60, 100)
    (account,) = read_accounts(server.url, [window])
    assert (account.difference, account.wrong) == (0, 0)
    late.settle(running, [30])
    await wait_for_reports(late)
    assert stand(server, window).used == 90


async def test_the_ledger_is_asked_once_no_process_that_lives_has_calls_on_their_way_into_it(
    server: StoreServer, open_book: OpenBook
) -> None:
    is_behind, url = True, server.url
    book = await open_book(server, is_behind=lambda: is_behind)
    assert not may_ask_ledger(url), "A lease of before may still be spent."
    with server.client() as client:
        age_epoch(client)
        assert not may_ask_ledger(url)
        is_behind = False
        await asyncio.sleep(0.7)
        assert may_ask_ledger(url)
        is_behind = True
        await asyncio.sleep(0.7)
        assert not may_ask_ledger(url)
        await die(book, server)
        client.hincrby(STATE_KEY, f"b{book._borrower._process}", -3_000_000)
        assert may_ask_ledger(url), "Nobody waits for the dead."


def test_only_periods_are_rebuilt_and_only_with_whole_amounts(server: StoreServer) -> None:
    with pytest.raises(ValueError, match="are rebuilt"):
        rebuild(server.url, {Window("rate", 1, 60, Measure.REQUESTS): 1})
    with pytest.raises(ValueError, match="used is a whole number"):
        rebuild(server.url, {budget(1): -1})
