"""A store of our own and books on it; every window of a test has a name of its own."""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from proxy.leases.book import LeaseBook
from proxy.leases.window import Measure, Window
from tests.proxy.leases.server import StoreServer
from tests.proxy.leases.simulated_time import SimulatedTime

# A crowded machine is not an absent store; tests of absence wait as long as production does.
PATIENT_S = 5.0
PRODUCTION_S = 0.25

OpenBook = Callable[..., Awaitable[LeaseBook]]
MakeWindow = Callable[[int, int], Window]


@pytest.fixture(scope="session")
def shared_server() -> Iterator[StoreServer]:
    """A store for tests that leave it as it is."""
    server = StoreServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def server() -> Iterator[StoreServer]:
    """A store for one test, to do anything to."""
    server = StoreServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def simulated_time(shared_server: StoreServer) -> Iterator[SimulatedTime]:
    """Time that only the test moves on quickly."""
    simulated = SimulatedTime(shared_server)
    yield simulated
    simulated.close()


@pytest.fixture
async def open_book() -> AsyncIterator[OpenBook]:
    """Start a lease book as a process would; all are stopped in the end."""
    books: list[LeaseBook] = []

    async def open_one(
        server: StoreServer,
        *,
        clock: Callable[[], float] = time.monotonic,
        call_timeout_s: float = PATIENT_S,
        url: str = "",
        is_behind: Callable[[], bool] = lambda: False,
    ) -> LeaseBook:
        book = LeaseBook(
            url or server.url,
            process_id=f"test-{len(books)}",
            clock=clock,
            call_timeout_s=call_timeout_s,
            is_behind=is_behind,
        )
        books.append(book)
        await book.start()
        return book

    yield open_one
    for book in books:
        await book.stop()


@pytest.fixture
def window() -> MakeWindow:
    """A window with this limit and length that nobody else counts on."""
    return lambda limit, length_s: Window(
        f"test:{secrets.token_hex(8)}", limit, length_s, Measure.TOKENS
    )
