import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from uuid import UUID

import pytest

from proxy.journal.directory import JournalDirectory
from proxy.journal.journal import Journal, JournalFull
from proxy.journal.ledger import Connection
from proxy.journal.records import Admission
from proxy.journal.shipper import Shipper
from tests.proxy.journal.calls import admission, end_of, uuid_of
from tests.proxy.journal.conftest import Rows
from tests.proxy.journal.relay import Relay

STATUSES = "SELECT id, status FROM proxy_call WHERE id = ANY(%s)"


@pytest.fixture
def relay(django_db_setup: None, database_url: str) -> Iterator[Relay]:
    """PostgreSQL behind a relay that can be cut."""
    directory = Path(tempfile.mkdtemp(prefix="relay-"))
    relay = Relay(directory, database_url)
    relay.mend()
    yield relay
    relay.cut()
    shutil.rmtree(directory)


def journal_calls(journal: Journal, count: int) -> list[Admission]:
    calls = [admission() for _ in range(count)]
    for call in calls:
        journal.admit(call)
        journal.end(end_of(call))
    return calls


def fill(journal: Journal) -> list[Admission]:
    """Journal calls until no more are taken; return those that were."""
    calls: list[Admission] = []
    while True:
        call = admission()
        try:
            journal.admit(call)
        except JournalFull:
            return calls
        journal.end(end_of(call))
        calls.append(call)


def wait_for(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "It did not come true in time."
        time.sleep(0.02)


def booked(rows: Rows, calls: list[Admission]) -> dict[object, object]:
    return dict(rows(STATUSES, [uuid_of(call) for call in calls]))  # type: ignore[arg-type]


def test_a_call_is_in_the_ledger_within_a_second(
    journal: Journal, ledger_rows: Rows, database_url: str
) -> None:
    shipper = Shipper(journal, database_url)
    shipper.start()
    journal_calls(journal, 1)
    wait_for(lambda: shipper.shipped_calls == 1, timeout_s=5)
    calls = journal_calls(journal, 20)
    wait_for(lambda: len(booked(ledger_rows, calls)) == 20, timeout_s=1)
    assert shipper.stop(5)


def test_stopping_ships_everything_and_leaves_no_directory(
    journal: Journal, ledger_rows: Rows, database_url: str, root: Path
) -> None:
    shipper = Shipper(journal, database_url)
    shipper.start()
    calls = journal_calls(journal, 300)
    open_call = admission()
    journal.admit(open_call)
    assert shipper.stop(10)
    assert set(booked(ledger_rows, calls).values()) == {"answered"}
    assert booked(ledger_rows, [open_call]) == {uuid_of(open_call): "interrupted"}
    assert list(root.iterdir()) == []


def test_postgresql_away_fills_the_journal_and_back_gets_all_of_it(
    root: Path, ledger_rows: Rows, relay: Relay
) -> None:
    journal = Journal(root, segment_bytes=16_384, max_bytes=65_536)
    journal.open()
    shipper = Shipper(journal, relay.url)
    shipper.start()
    calls = journal_calls(journal, 10)
    wait_for(lambda: shipper.shipped_calls == 10, timeout_s=5)
    relay.cut()
    calls += fill(journal)
    wait_for(lambda: shipper.failing_since_s is not None, timeout_s=5)
    wait_for(lambda: shipper.is_behind, timeout_s=5)
    relay.mend()
    wait_for(lambda: shipper.shipped_calls == len(calls), timeout_s=15)
    wait_for(lambda: shipper.failing_since_s is None, timeout_s=5)
    # The journals of the dead are looked for every five seconds.
    wait_for(lambda: not shipper.is_behind, timeout_s=8)
    assert set(booked(ledger_rows, calls).values()) == {"answered"}
    calls += journal_calls(journal, 10)
    assert shipper.stop(10)
    assert len(booked(ledger_rows, calls)) == len(calls)


@pytest.mark.time_limit_s(60)
def test_a_connection_broken_at_any_moment_books_each_call_once(
    root: Path, ledger_rows: Rows, relay: Relay
) -> None:
    journal = Journal(root, segment_bytes=16_384, max_bytes=16 << 20)
    journal.open()
    shipper = Shipper(journal, relay.url, interval_s=0.01)
    shipper.start()
    calls = []
    for pause_ms in range(40):
        calls += journal_calls(journal, 50)
        time.sleep(pause_ms / 1000)
        relay.cut()
        relay.mend()
    assert shipper.stop(20)
    assert len(ledger_rows(STATUSES, [uuid_of(call) for call in calls])) == len(calls)
    assert set(booked(ledger_rows, calls).values()) == {"answered"}


def test_stopping_without_postgresql_leaves_the_journal_to_a_successor(
    journal: Journal, relay: Relay
) -> None:
    relay.cut()
    shipper = Shipper(journal, relay.url)
    shipper.start()
    journal_calls(journal, 3)
    began_s = time.monotonic()
    assert not shipper.stop(0.5)
    assert time.monotonic() - began_s < 3
    directory = JournalDirectory.take(journal.directory.path)
    assert directory is not None
    directory.release()


def test_the_use_of_keys_is_noted_and_its_failure_stops_nothing(
    journal: Journal, ledger_rows: Rows, database_url: str
) -> None:
    noted: dict[UUID, tuple[datetime, str]] = {}
    failures = [1]

    def note(connection: Connection, uses: object) -> None:
        if failures:
            failures.pop()
            connection.execute("SELECT 1/0")
        noted.update(uses)  # type: ignore[call-overload]

    shipper = Shipper(journal, database_url, note_key_use=note)
    shipper.start()
    calls = journal_calls(journal, 1)
    wait_for(lambda: not failures, timeout_s=5)
    journal_calls(journal, 1)
    again = admission(key_id=calls[0].key_id, peer="10.9.9.9")
    journal.refuse(again, end_of(again))
    assert shipper.stop(10)
    assert noted[UUID(bytes=again.key_id)][1] == "10.9.9.9"
    assert len(booked(ledger_rows, [*calls, again])) == 2
