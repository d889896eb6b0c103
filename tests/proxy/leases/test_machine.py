"""Whatever happens in whatever order, no window ever holds more than its limit.

Three books on a real store, in simulated time, lend, spend, settle, stop, die, change limits and
lose the store.
"""

import asyncio
import secrets

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.leases.book import LeaseBook
from proxy.leases.held import Held
from proxy.leases.refusals import LimitReached
from proxy.leases.window import Measure, Window
from tests.proxy.leases.conftest import PATIENT_S
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.simulated_time import SimulatedTime

LENGTHS_S = (60, 10, 5)
LIMITS = (40, 30, 12)
BOOKS = 3
Place = st.integers(0, BOOKS - 1)
Count = st.integers(0, len(LENGTHS_S) - 1)


class Admission:
    """One window's part of a call: what it holds, until settled, and then what it used."""

    def __init__(self, at: float, window: Window, amount: int) -> None:
        self.at = at
        self.window = window
        self.amount = amount


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

    @initialize()
    def open_books(self) -> None:
        self.client.flushall()
        self.keys = [f"machine:{secrets.token_hex(6)}" for _ in LENGTHS_S]
        self.books = [self.runner.run(self.open_book()) for _ in range(BOOKS)]

    async def open_book(self) -> LeaseBook:
        book = LeaseBook(
            self.server.url,
            process_id="machine",
            clock=self.time.clock,
            call_timeout_s=PATIENT_S,
        )
        await book.start()
        return book

    def window(self, count: int) -> Window:
        return Window(self.keys[count], self.limits[count], LENGTHS_S[count], Measure.TOKENS)

    async def reserve(self, book: LeaseBook, wants: list[tuple[Window, int]]) -> None:
        try:
            held = await book.reserve(wants)
        except LimitReached:
            return
        parts = [Admission(held.admitted_at, window, amount) for window, amount in wants]
        self.admitted += parts
        self.held.append((book, held, parts))

    @rule(place=Place, count=Count, amount=st.integers(0, 12), times=st.integers(1, 6))
    def call(self, place: int, count: int, amount: int, times: int) -> None:
        async def calls() -> None:
            wants = [(self.window(count), amount)]
            await asyncio.gather(*(self.reserve(self.books[place], wants) for _ in range(times)))

        self.runner.run(calls())

    @rule(place=Place, amounts=st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)))
    def call_on_all_windows(self, place: int, amounts: tuple[int, int, int]) -> None:
        wants = [(self.window(count), amount) for count, amount in enumerate(amounts)]
        self.runner.run(self.reserve(self.books[place], wants))

    @rule(amount=st.integers(1, 4))
    def call_everywhere_at_once(self, amount: int) -> None:
        async def calls() -> None:
            wants = [(self.window(0), amount), (self.window(1), 1)]
            await asyncio.gather(*(self.reserve(book, wants) for book in self.books * 3))

        self.runner.run(calls())

    @rule(which=st.integers(0, 50), percent=st.integers(0, 150))
    def settle(self, which: int, percent: int) -> None:
        if not self.held:
            return
        book, held, parts = self.held.pop(which % len(self.held))
        used = [part.amount * percent // 100 for part in parts]
        book.settle(held, used)
        for part, amount in zip(parts, used, strict=True):
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
        self.runner.run(self.books[place].stop())
        self.books[place] = self.runner.run(self.open_book())

    @rule(place=Place)
    def a_process_dies_and_another_starts(self, place: int) -> None:
        dead = self.books[place]
        self.held = [entry for entry in self.held if entry[0] is not dead]
        self.abandoned.append(dead)
        self.books[place] = self.runner.run(self.open_book())

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
            other = Window(f"machine:{secrets.token_hex(6)}", 1, 60, Measure.TOKENS)
            self.runner.run(book.reserve([(other, 1)]))
        self.admitted.clear()
        self.highest = list(self.limits)

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        for count, length_s in enumerate(LENGTHS_S):
            mine = [a for a in self.admitted if self.keys[count] == a.window.key]
            for last in mine:
                within = (a.amount for a in mine if last.at - length_s < a.at <= last.at)
                assert sum(within) <= self.highest[count]

    @invariant()
    def no_bucket_is_negative(self) -> None:
        for count in range(len(LENGTHS_S) if self.books else 0):
            stored = self.client.hgetall(self.window(count).store_name)
            assert all(int(n) >= 0 for name, n in stored.items() if name[0] != "h")

    def teardown(self) -> None:
        for book in (*self.books, *self.abandoned):
            self.runner.run(book.stop())
        self.runner.close()
        self.client.close()
        self.time.close()


def test_no_order_of_events_passes_a_limit(server: StoreServer) -> None:
    machine = type("Machine", (LeaseMachine,), {"server": server})
    case = machine.TestCase  # type: ignore[attr-defined]
    case.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
    case("runTest").runTest()
