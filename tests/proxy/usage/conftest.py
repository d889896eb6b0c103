"""What the tests of usage share: a ledger that commits, and Django seeing what was committed."""

from collections.abc import Iterator

import pytest

from proxy.journal.ledger import Ledger
from tests.accounts.conftest import committed

__all__ = ["committed"]


@pytest.fixture
def ledger(committed: None, database_url: str) -> Iterator[Ledger]:
    """A ledger whose writes are committed."""
    ledger = Ledger(database_url)
    yield ledger
    ledger.close()
