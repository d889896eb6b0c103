"""Whatever happens in whatever order, no window ever holds more than its limit.

Three books on a real store, in simulated time, lend, spend, settle, stop, die, change limits, turn to
the next period, lose the store and hear from the ledger.
"""

import asyncio
import secrets
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from proxy.leases.accounts import read_accounts
from proxy.leases.book import LeaseBook
from proxy.leases.held import Held
from proxy.leases.rebuild import rebuild
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.window import Measure, Window
from tests.proxy.leases.conftest import PATIENT_S
from tests.proxy.leases.endings import age_epoch, be_missed, die, wait_for_reports
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.simulated_time import SimulatedTime

LENGTHS_S = (60, 10, 5)
# After the sliding windows come a period's budget and calls at once.
BUDGET, AT_ONCE = len(LENGTHS_S), len(LENGTHS_S) + 1
COUNTS = AT_ONCE + 1
LIMITS = (40, 30, 12, 60, 4)
BOOKS = 3
DAY_S = 86_400
# The epoch is always older than its first moments, and younger than a period that is older than this.
EPOCH_AGE_S = 20
Place = st.integers(0, BOOKS - 1)
Count = st.integers(0, COUNTS - 1)


class Admission:
    """One window's part of a call: what it holds, until settled, and then what it used."""

    def __init__(self, at: float, window: Window, amount: int) -> None:
        self.at = at
        self.window = window
        self.amount = amount
        self.used: int | None = None


class LeaseMachine(RuleBasedStateMachine):
    """The books, and a plain list of what they admitted."""

    server: StoreServer

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.time = SimulatedTime(self.server)
        self.client = self.server.client()
        self.books: list[LeaseBook] = []
        self.abandoned: list[LeaseBook] = []
        self.held: list[tuple[LeaseBook, Held, list[Admission]]] = []
        self.admitted: list[Admission] = []
        self.limits = list(LIMITS)
        self.highest = list(LIMITS)
        self.is_rebuilt = True
        self.missed: set[int] = set()

    @initialize()
    def open_books(self) -> None:
        self.client.flushall()
        self.keys = [f"machine:{secrets.token_hex(6)}" for _ in range(COUNTS)]
        self.books = [self.runner.run(self.open_book()) for _ in range(BOOKS)]
        age_epoch(self.client, seconds=EPOCH_AGE_S)
        self.begin_period()

    def begin_period(self) -> None:
        """A new period, which began before now and after the epoch."""
        self.keys[BUDGET] = f"machine:{secrets.token_hex(6)}"
        self.ends_at = int(time.time()) - EPOCH_AGE_S // 2 + DAY_S

    async def open_book(self) -> LeaseBook:
        book = LeaseBook(
            self.server.url,
            process_id="machine",
            clock=self.time.clock,
            call_timeout_s=PATIENT_S,
        )
        await book.start()
        return book

    async def hear_of(self, book: LeaseBook) -> None:
        """Have the process call somewhere else, and say all that it has to say."""
        other = Window(f"machine:{secrets.token_hex(6)}", 1, 60, Measure.TOKENS)
        await book.reserve([(other, 1)])
        await wait_for_reports(book)

    def window(self, count: int) -> Window:
        key, limit = self.keys[count], self.limits[count]
        if count == BUDGET:
            return Window(key, limit, DAY_S, Measure.MICRO_USD, self.ends_at)
        if count == AT_ONCE:
            return Window(key, limit, 0, Measure.CONCURRENT)
        return Window(key, limit, LENGTHS_S[count], Measure.TOKENS)

    async def reserve(self, book: LeaseBook, wants: list[tuple[Window, int]]) -> None:
        try:
            held = await book.reserve(wants)
        except LimitReached:
            return
        except StoreAway:
            assert not self.is_rebuilt, "Only a period that waits for its figures is refused so."
            return
        parts = [Admission(held.admitted_at, window, amount) for window, amount in wants]
        self.admitted += parts
        if parts[-1].window.is_of_now:
            self.count_running()
        self.held.append((book, held, parts))

    def count_running(self) -> None:
        """Nobody begins a call that is one too many; while a process is missed, its calls do not count."""
        mine = (a for a in self.admitted if a.window.key == self.keys[AT_ONCE])
        running = sum(a.amount for a in mine if id(a) not in self.missed)
        assert running <= self.highest[AT_ONCE]

    @rule(place=Place, count=Count, amount=st.integers(0, 12), times=st.integers(1, 6))
    def call(self, place: int, count: int, amount: int, times: int) -> None:
        async def calls() -> None:
            wants = [(self.window(count), 1 if count == AT_ONCE else amount)]
            await asyncio.gather(*(self.reserve(self.books[place], wants) for _ in range(times)))

        self.runner.run(calls())

    @rule(place=Place, amounts=st.tuples(*(st.integers(0, 6) for _ in range(AT_ONCE))))
    def call_on_all_windows(self, place: int, amounts: tuple[int, ...]) -> None:
        wants = [(self.window(count), amount) for count, amount in enumerate((*amounts, 1))]
        self.runner.run(self.reserve(self.books[place], wants))

    @rule(amount=st.integers(1, 4))
    def call_everywhere_at_once(self, amount: int) -> None:
        async def calls() -> None:
            wants = [(self.window(0), amount), (self.window(BUDGET), amount)]
            await asyncio.gather(*(self.reserve(book, wants) for book in self.books * 3))

        self.runner.run(calls())

    @rule(which=st.integers(0, 50), percent=st.integers(0, 150))
    def settle(self, which: int, percent: int) -> None:
        if not self.held:
            return
        self.end_call(*self.held.pop(which % len(self.held)), percent=percent)

    def end_call(
        self, book: LeaseBook, held: Held, parts: list[Admission], *, percent: int
    ) -> None:
        used = [part.amount * percent // 100 for part in parts]
        # A call that is over runs no more.
        used = [0 if part.window.is_of_now else n for part, n in zip(parts, used, strict=True)]
        book.settle(held, used)
        for part, amount in zip(parts, used, strict=True):
            part.used = amount
            # What was used beyond the reservation was never promised to fit.
            part.amount = min(part.amount, amount)

    @rule(seconds=st.sampled_from([0.05, 0.1, 0.3, 0.6, 2.0, 5.0, 10.0, 30.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.time.skip(seconds)

    @rule()
    def books_get_time_to_sweep(self) -> None:
        self.runner.run(asyncio.sleep(0.15))

    @rule(place=Place)
    def a_process_stops_and_another_starts(self, place: int) -> None:
        stopping = self.books[place]
        # It stops once its calls have ended.
        for entry in [entry for entry in self.held if entry[0] is stopping]:
            self.held.remove(entry)
            self.end_call(*entry, percent=100)
        self.runner.run(stopping.stop())
        self.books[place] = self.runner.run(self.open_book())

    @rule(place=Place)
    def a_process_dies_and_another_starts(self, place: int) -> None:
        dead = self.books[place]
        self.runner.run(die(dead, self.server))
        for _, _, parts in (entry for entry in self.held if entry[0] is dead):
            for part in parts:
                # Nobody knows what it used of the rest, but its calls run no more.
                part.amount = 0 if part.window.is_of_now else part.amount
        self.held = [entry for entry in self.held if entry[0] is not dead]
        self.abandoned.append(dead)
        self.books[place] = self.runner.run(self.open_book())

    @rule(place=Place, times=st.integers(0, 3))
    def a_process_is_suspended_and_missed(self, place: int, times: int) -> None:
        async def others_call() -> None:
            wants = [(self.window(AT_ONCE), 1)]
            others = [book for book in self.books if book is not missed]
            await asyncio.gather(*(self.reserve(book, wants) for book in others * times))

        missed = self.books[place]
        be_missed(missed, self.server)
        self.time.skip(12.0)
        self.missed = {id(a) for book, _, parts in self.held if book is missed for a in parts}
        self.runner.run(others_call())
        self.missed = set()
        # It is back with its next word, by which it says what still runs.
        self.runner.run(self.hear_of(missed))

    @rule(count=Count, limit=st.integers(1, 40))
    def a_limit_changes(self, count: int, limit: int) -> None:
        self.limits[count] = limit
        self.highest[count] = max(self.highest[count], limit)

    @rule()
    def the_store_loses_everything(self) -> None:
        self.client.flushall()
        self.time.restore()
        # Until a process has heard, it may spend what it holds; from then on all counts from zero.
        for book in self.books:
            self.runner.run(self.hear_of(book))
        # Its first moments are over, and it is younger than the period.
        age_epoch(self.client, seconds=EPOCH_AGE_S // 2 - 1)
        self.admitted = [a for a in self.admitted if not a.window.is_sliding]
        self.highest[:BUDGET] = self.limits[:BUDGET]
        self.is_rebuilt = False

    @precondition(lambda self: not self.is_rebuilt)
    @rule()
    def the_ledger_tells_what_was_used(self) -> None:
        running = {id(part) for _, _, parts in self.held for part in parts}
        period = self.window(BUDGET)
        used = sum(
            a.amount if a.used is None else a.used
            for a in self.admitted
            if a.window.key == period.key and id(a) not in running
        )
        assert rebuild(self.server.url, {period: used})
        self.is_rebuilt = True

    @rule()
    def a_period_turns(self) -> None:
        # It begins after the epoch, however soon it turns after a loss.
        age_epoch(self.client, seconds=EPOCH_AGE_S)
        self.begin_period()
        self.highest[BUDGET] = self.limits[BUDGET]
        self.is_rebuilt = True

    @invariant()
    def no_budget_is_passed(self) -> None:
        mine = (a.amount for a in self.admitted if a.window.key == self.keys[BUDGET])
        assert not self.books or sum(mine) <= self.highest[BUDGET]

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        for count, length_s in enumerate(LENGTHS_S):
            mine = [a for a in self.admitted if self.keys[count] == a.window.key]
            for last in mine:
                within = (a.amount for a in mine if last.at - length_s < a.at <= last.at)
                assert sum(within) <= self.highest[count]

    @invariant()
    def what_was_lent_was_used_given_back_or_is_held(self) -> None:
        counts = (BUDGET, AT_ONCE) if self.books else ()
        for account in read_accounts(self.server.url, [self.window(count) for count in counts]):
            assert (account.difference, account.wrong) == (0, 0)
            assert account.used == account.opening + account.settled or not account.used

    @invariant()
    def no_bucket_is_negative(self) -> None:
        for count in range(COUNTS if self.books else 0):
            stored = self.client.hgetall(self.window(count).store_name)
            assert all(int(n) >= 0 for name, n in stored.items() if str(name)[0] not in "hecra")

    def teardown(self) -> None:
        for book in (*self.books, *self.abandoned):
            self.runner.run(book.stop())
        self.runner.close()
        self.client.close()
        self.time.close()


@pytest.mark.time_limit_s(180)
def test_no_order_of_events_passes_a_limit(server: StoreServer) -> None:
    machine = type("Machine", (LeaseMachine,), {"server": server})
    case = machine.TestCase  # type: ignore[attr-defined]
    case.settings = settings(max_examples=12, stateful_step_count=30, deadline=None)
    case("runTest").runTest()
