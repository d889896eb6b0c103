import os
import random
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Thread
from uuid import UUID

import psycopg
import pytest

from proxy.journal.directory import JournalDirectory
from proxy.journal.frame import frame
from proxy.journal.journal import Journal
from proxy.journal.reader import JournalReader
from proxy.journal.records import Admission
from proxy.journal.successor import Successor
from tests.proxy.journal.calls import admission, bytes_of, end_of, uuid_of
from tests.proxy.journal.conftest import Rows
from tests.proxy.journal.test_records import without_last

STATUSES = "SELECT id, status FROM proxy_call WHERE id = ANY(%s)"


def die(root: Path, *, ended: int, unended: int) -> tuple[list[Admission], list[Admission]]:
    """Leave the journal of a process that died, and return its calls."""
    journal = Journal(root, segment_bytes=16_384, max_bytes=16 << 20)
    journal.open()
    calls = [admission() for _ in range(ended + unended)]
    for call in calls:
        journal.admit(call)
    for call in calls[:ended]:
        journal.end(end_of(call))
    journal.close()
    journal.directory.release()
    return calls[:ended], calls[ended:]


def run_and_kill(root: Path) -> tuple[set[UUID], set[UUID]]:
    """Run a journalling process, kill it at a random moment, and return what it said it admitted and ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.proxy.journal.journalling_process", str(root)],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline()]
        killed_at_s = time.monotonic() + random.uniform(0.01, 0.15)
        while time.monotonic() < killed_at_s:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.readlines()
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
    said = [line.split() for line in lines if line.endswith(b"\n")]
    return (
        {UUID(call_id.decode()) for what, call_id in said if what == b"a"},
        {UUID(call_id.decode()) for what, call_id in said if what == b"e"},
    )


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.name != "damaged"]


def test_the_journal_of_the_version_before_audio_is_shipped_at_its_prices(
    root: Path, ledger_rows: Rows, database_url: str
) -> None:
    call = admission(admitted_at_us=1_790_000_000_000_000)
    directory = JournalDirectory.create(root)
    frames = [
        frame(without_last(bytes_of(call), 4, now_last=call.purpose)),
        frame(without_last(bytes_of(end_of(call)), 2, now_last=end_of(call).answer_bytes)),
    ]
    directory.segment_path(1).write_bytes(b"".join(frames))
    directory.release()
    assert Successor(root, database_url).succeed_all() == 1
    assert ledger_rows(
        "SELECT input_tokens, cost_micro_usd, input_audio_tokens, output_audio_tokens,"
        " price_output_micro_usd_per_million, price_reasoning_micro_usd_per_million,"
        " price_audio_input_micro_usd_per_million, price_audio_output_micro_usd_per_million"
        " FROM proxy_call WHERE id = %s",
        uuid_of(call),
    ) == [(812, 4100, 0, 0, 10_000_000, None, None, None)]


def test_a_dead_process_s_calls_are_booked_and_its_directory_goes(
    root: Path, ledger_rows: Rows, database_url: str
) -> None:
    ended, unended = die(root, ended=120, unended=3)
    assert Successor(root, database_url).succeed_all() == 1
    rows = {
        row[0]: row[1] for row in ledger_rows(STATUSES, [uuid_of(call) for call in ended + unended])
    }
    assert rows == {
        **{uuid_of(call): "answered" for call in ended},
        **{uuid_of(call): "interrupted" for call in unended},
    }
    assert leftovers(root) == []
    assert Successor(root, database_url).succeed_all() == 0


def test_a_living_process_is_left_alone(
    root: Path, journal: Journal, django_db_setup: None, database_url: str
) -> None:
    journal.admit(admission())
    assert Successor(root, database_url).succeed_all() == 0
    assert journal.directory.path.is_dir()


@pytest.mark.time_limit_s(120)
def test_after_kill_9_each_admitted_call_is_in_the_ledger_once(
    root: Path, ledger_rows: Rows, database_url: str
) -> None:
    for _ in range(8):
        admitted, ended = run_and_kill(root)
        assert admitted
        [path] = leftovers(root)
        unsaid = _ids_on_disk(path) - admitted
        assert Successor(root, database_url).succeed_all() == 1
        rows = ledger_rows(STATUSES, list(admitted | unsaid))
        assert sorted(row[0] for row in rows) == sorted(admitted | unsaid)  # type: ignore[type-var]
        # It may have died between a record and its line on standard output, and only there.
        assert len(unsaid) <= 1
        answered = {row[0] for row in rows if row[1] == "answered"}
        assert ended <= answered
        assert len(answered - ended) <= 1
        assert {row[1] for row in rows} == {"answered", "interrupted"}
    assert not (root / "damaged").exists()


def _ids_on_disk(path: Path) -> set[UUID]:
    directory = JournalDirectory.take(path)
    assert directory is not None
    reader = JournalReader(directory)
    batch = reader.read(until=None, calls_max=10_000_000)
    calls = batch.calls + reader.interrupted().calls
    directory.release()
    return {uuid_of(call) for call, _ in calls}


def test_a_successor_that_dies_over_it_is_succeeded(
    root: Path, ledger_rows: Rows, database_url: str
) -> None:
    ended, unended = die(root, ended=300, unended=2)
    with pytest.raises(psycopg.OperationalError):
        Successor(root, "postgresql://u@/d?host=/nowhere").succeed_all()
    assert Successor(root, database_url).succeed_all() == 1
    assert len(ledger_rows(STATUSES, [uuid_of(call) for call in ended + unended])) == 302


def test_of_two_successors_one_ships(root: Path, ledger_rows: Rows, database_url: str) -> None:
    for _ in range(5):
        ended, unended = die(root, ended=50, unended=1)
        barrier = Barrier(4)
        counts: list[int] = []

        def succeed(barrier: Barrier = barrier, counts: list[int] = counts) -> None:
            successor = Successor(root, database_url)
            barrier.wait()
            counts.append(successor.succeed_all())

        threads = [Thread(target=succeed) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sum(counts) == 1
        assert len(ledger_rows(STATUSES, [uuid_of(call) for call in ended + unended])) == 51
        assert leftovers(root) == []


def test_shipping_the_same_segments_again_changes_nothing(
    root: Path, ledger_rows: Rows, database_url: str
) -> None:
    ended, unended = die(root, ended=100, unended=2)
    [path] = leftovers(root)
    saved = {file.name: file.read_bytes() for file in path.iterdir()}
    query = "SELECT * FROM proxy_call WHERE id = ANY(%s) ORDER BY id"
    ids = [uuid_of(call) for call in ended + unended]
    Successor(root, database_url).succeed_all()
    before = ledger_rows(query, ids)
    path.mkdir()
    for name, data in saved.items():
        (path / name).write_bytes(data)
    assert Successor(root, database_url).succeed_all() == 1
    assert ledger_rows(query, ids) == before
    assert ledger_rows("SELECT 1 FROM proxy_adjustment WHERE call_id = ANY(%s)", ids) == []


def test_it_looks_by_itself(root: Path, ledger_rows: Rows, database_url: str) -> None:
    successor = Successor(root, database_url, scan_interval_s=0.05)
    successor.start()
    ended, _ = die(root, ended=3, unended=0)
    deadline_s = time.monotonic() + 10
    while leftovers(root) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    successor.stop()
    assert len(ledger_rows(STATUSES, [uuid_of(call) for call in ended])) == 3


def test_a_directory_without_its_lock_is_cleared_away(
    root: Path, django_db_setup: None, database_url: str
) -> None:
    (root / str(UUID(bytes=os.urandom(16)))).mkdir(parents=True)
    (root / "notes").mkdir()
    assert Successor(root, database_url).succeed_all() == 1
    assert [path.name for path in root.iterdir()] == ["notes"]
