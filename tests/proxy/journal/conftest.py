"""What the journal's tests share: a root directory, small journals, the ledger's connection."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from proxy.journal.journal import Journal

Rows = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The directory of all processes' journals."""
    return tmp_path / "journal"


@pytest.fixture
def journal(root: Path) -> Iterator[Journal]:
    """An open journal of small segments."""
    journal = Journal(root, segment_bytes=16_384, max_bytes=1 << 20)
    journal.open()
    yield journal
    journal.close()
    journal.directory.release()


@pytest.fixture
def ledger_rows(django_db_setup: None, database_url: str) -> Iterator[Rows]:
    """Run a query on the ledger, seeing what is committed."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield lambda query, *values: connection.execute(query, values).fetchall()
