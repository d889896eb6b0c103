"""What was just written is shipped from memory, and from the disk where memory does not have all of it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.journal.journal import FRESH_RECORDS_MAX, Journal
from proxy.journal.reader import JournalReader
from proxy.journal.records import Admission, decode_record
from tests.proxy.journal.calls import admission, bytes_of, end_of

STEPS = st.lists(
    st.sampled_from(["admit", "admit", "end", "end", "refuse", "read", "read", "lose", "rotate"]),
    max_size=60,
)


def read_fresh(reader: JournalReader, journal: Journal) -> list[Admission]:
    """Read what is there, batch after batch, as the shipper does."""
    calls: list[Admission] = []
    while batch := reader.read_fresh(journal.take_fresh(), calls_max=3):
        assert not batch.late_ends
        calls += [call for call, _ in batch.calls]
    return calls


def end_calls(journal: Journal, count: int) -> list[Admission]:
    calls = [admission() for _ in range(count)]
    for call in calls:
        journal.admit(call)
        journal.end(end_of(call))
    return calls


def test_what_was_just_written_is_not_read_from_the_disk(journal: Journal) -> None:
    reader = JournalReader(journal.directory)
    calls = end_calls(journal, 5)
    journal.directory.segment_path(1).unlink()
    assert read_fresh(reader, journal) == calls


def test_more_than_memory_takes_is_read_from_the_disk_and_then_from_memory_again(
    root: Path,
) -> None:
    journal = Journal(root, segment_bytes=1 << 20, max_bytes=1 << 26)
    journal.open()
    reader = JournalReader(journal.directory)
    calls = end_calls(journal, FRESH_RECORDS_MAX // 2 + 1)
    fresh = journal.take_fresh()
    assert fresh.records is None
    assert reader.read_fresh(fresh, calls_max=2).calls
    calls_read = 2 + len(read_fresh(reader, journal))
    assert calls_read == len(calls)
    later = end_calls(journal, 5)
    journal.directory.segment_path(journal.position().number).unlink()
    assert read_fresh(reader, journal) == later
    journal.close()
    journal.directory.release()


@pytest.mark.parametrize("odd", ["\ud800", "x" * 5_000])
def test_memory_has_an_odd_record_as_the_disk_has_it(journal: Journal, odd: str) -> None:
    call = admission(purpose=odd)
    journal.admit(call)
    assert journal.take_fresh().records == [decode_record(bytes_of(call))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_whichever_way_it_is_read_each_call_is_read_once(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal = Journal(tmp_path_factory.mktemp("j"), segment_bytes=8_192, max_bytes=1 << 24)
    journal.open()
    reader = JournalReader(journal.directory)
    still_open: list[Admission] = []
    ended: list[Admission] = []
    found: list[Admission] = []
    for step in steps:
        if step == "admit":
            still_open.append(admission())
            journal.admit(still_open[-1])
        elif step == "end" and still_open:
            ended.append(still_open.pop(0))
            journal.end(end_of(ended[-1]))
        elif step == "refuse":
            ended.append(admission())
            journal.refuse(ended[-1], end_of(ended[-1]))
        elif step == "read":
            found += read_fresh(reader, journal)
            reader.forget_read()
        elif step == "lose":
            # As where a batch could not be made of it: the disk has to do.
            journal.take_fresh()
        elif step == "rotate":
            ended += end_calls(journal, 40)
    assert journal.close() == []
    found += read_fresh(reader, journal)
    assert sorted(call.call_id for call in found) == sorted(call.call_id for call in ended)
    assert [call for call, _ in reader.interrupted().calls] == still_open
    journal.directory.remove()
