import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.journal.directory import JournalDirectory
from proxy.journal.frame import frame
from proxy.journal.journal import Journal, Position
from proxy.journal.reader import JournalReader
from proxy.journal.records import Admission
from tests.proxy.journal.calls import admission, bytes_of, end_of

CALLS = [admission() for _ in range(4)]
FRAMES = [data for call in CALLS for data in (frame(bytes_of(call)), frame(bytes_of(end_of(call))))]
WHOLE = b"".join(FRAMES)
BOUNDS = [sum(map(len, FRAMES[:count])) for count in range(len(FRAMES) + 1)]

MakeDead = Callable[..., JournalDirectory]


def write_dead(root: Path, *segments: bytes) -> JournalDirectory:
    """Write the directory of a process that died with these segments."""
    directory = JournalDirectory.create(root)
    for number, data in enumerate(segments, 1):
        directory.segment_path(number).write_bytes(data)
    return directory


def read_dead(directory: JournalDirectory) -> tuple[list[Admission], list[Admission]]:
    """Return the calls that ended and the ones that did not."""
    reader = JournalReader(directory)
    ended = []
    while batch := reader.read(until=None, calls_max=2):
        ended += [call for call, _ in batch.calls]
    return ended, [call for call, _ in reader.interrupted().calls]


def damaged(root: Path) -> list[Path]:
    return list((root / "damaged").glob("*"))


@pytest.mark.parametrize("space", [0, 500, 200_000])
def test_a_journal_torn_at_any_byte_gives_all_whole_records(root: Path, space: int) -> None:
    step = 1 if space == 500 else 37
    directory = write_dead(root)
    for cut in range(0, len(WHOLE) + 1, step):
        directory.segment_path(1).write_bytes(WHOLE[:cut] + bytes(space))
        whole = sum(bound <= cut for bound in BOUNDS) - 1
        ended, unended = read_dead(directory)
        assert ended == CALLS[: whole // 2]
        assert unended == CALLS[whole // 2 : (whole + 1) // 2]


@given(st.integers(0, 8 * len(WHOLE) - 1))
def test_a_turned_bit_costs_one_record_and_the_segment_is_kept(bit: int) -> None:
    root = Path(os.environ["LATCHKEY_JOURNAL_DIR"]) / "turned"
    turned = bytearray(WHOLE)
    turned[bit // 8] ^= 1 << bit % 8
    directory = write_dead(root, bytes(turned) + bytes(300), WHOLE)
    reader = JournalReader(directory)
    calls = []
    while batch := reader.read(until=None, calls_max=100):
        calls += [call.call_id for call, _ in batch.calls]
    # The second segment holds everything once more; of the first, all but the one call is there.
    assert len(calls) == 2 * len(CALLS) - 1
    reader.set_aside_damaged()
    assert [path.read_bytes() for path in damaged(root)] == [bytes(turned) + bytes(300)]
    directory.remove()
    shutil.rmtree(root)


def test_a_hole_of_zeros_does_not_hide_what_follows(root: Path) -> None:
    directory = write_dead(root, FRAMES[0] + bytes(100_000) + FRAMES[1] + bytes(100))
    assert read_dead(directory) == (CALLS[:1], [])


def test_a_record_of_an_unknown_kind_is_kept_for_a_person(root: Path) -> None:
    directory = write_dead(root, frame(b"\x92\x09\x01") + WHOLE, WHOLE)
    reader = JournalReader(directory)
    assert len(reader.read(until=None, calls_max=100).calls) == 2 * len(CALLS)
    reader.forget_read()
    assert len(damaged(root)) == 1


def test_a_living_process_is_read_up_to_where_it_writes(root: Path) -> None:
    directory = write_dead(root, WHOLE)
    reader = JournalReader(directory)
    batch = reader.read(until=Position(1, BOUNDS[2]), calls_max=100)
    assert [call for call, _ in batch.calls] == CALLS[:1]
    assert not reader.read(until=Position(1, BOUNDS[2]), calls_max=100)
    batch = reader.read(until=Position(2, 0), calls_max=100)
    assert [call for call, _ in batch.calls] == CALLS[1:]


def test_records_across_chunks_are_read_whole(root: Path) -> None:
    call = admission()
    pair = frame(bytes_of(call)) + frame(bytes_of(end_of(call)))
    count = (3 << 20) // len(pair)
    directory = write_dead(root, pair * count + bytes(2 << 20))
    ended, unended = read_dead(directory)
    assert (len(ended), unended) == (count, [])


def test_the_latest_use_of_a_key_is_told(root: Path) -> None:
    early = admission(admitted_at_us=1, peer="10.0.0.1")
    late = admission(admitted_at_us=2, peer="10.0.0.2", key_id=early.key_id)
    directory = write_dead(root, b"".join(frame(bytes_of(call)) for call in (early, late, early)))
    batch = JournalReader(directory).read(until=None, calls_max=10)
    assert batch.key_uses == {early.key_id: (2, "10.0.0.2")}


def test_a_disk_that_fails_once_while_it_is_read_costs_no_call(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(root, segment_bytes=8_192, max_bytes=1 << 24)
    journal.open()
    reader = JournalReader(journal.directory)
    calls = [admission() for _ in range(100)]
    for call in calls:
        journal.admit(call)
        journal.end(end_of(call))
    assert len(journal.directory.segment_numbers()) > 2
    until = journal.position()
    really, opened = os.open, []

    def fail_the_second(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path).endswith(".seg"):
            opened.append(path)
            if len(opened) == 2:
                raise OSError(errno.EMFILE, "Too many open files")
        return really(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", fail_the_second)
    with pytest.raises(OSError, match="Too many"):
        reader.read(until=until, calls_max=5_000)
    found = []
    while batch := reader.read_fresh(journal.take_fresh(), calls_max=5_000):
        found += [call.call_id for call, _ in batch.calls]
        reader.forget_read()
    journal.close()
    journal.directory.release()
    assert sorted(found) == sorted(call.call_id for call in calls)
