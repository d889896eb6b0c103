import errno
import os
import resource
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.journal.directory import JournalDirectory, disk_bytes
from proxy.journal.journal import Journal, JournalFull
from proxy.journal.reader import Batch, JournalReader
from proxy.journal.records import Admission, End
from tests.proxy.journal.calls import admission, end_of


def read_all(journal: Journal) -> Batch:
    return JournalReader(journal.directory).read(until=journal.position(), calls_max=100_000)


def fill(journal: Journal) -> list[Admission]:
    """Admit calls until none is taken any more; return those that were."""
    calls: list[Admission] = []
    while True:
        call = admission()
        try:
            journal.admit(call)
        except JournalFull:
            return calls
        calls.append(call)


def fill_with_refusals(journal: Journal) -> None:
    """Write refused calls until none is taken any more."""
    while True:
        call = admission()
        try:
            journal.refuse(call, end_of(call))
        except JournalFull:
            return


def fill_file(path: Path) -> int | None:
    """Write until the disk refuses; return the error's number."""
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError as error:
                return error.errno


def wait_and_admit(journal: Journal, call: Admission) -> None:
    """Admit, once a refused rotation is tried again."""
    time.sleep(0.15)
    journal.admit(call)


def test_what_was_written_is_read_in_order(journal: Journal) -> None:
    calls = [admission() for _ in range(5)]
    for call in calls:
        journal.admit(call)
    for call in reversed(calls):
        journal.end(end_of(call))
    assert read_all(journal).calls == [(call, end_of(call)) for call in reversed(calls)]
    assert journal.open_calls == 0


def test_a_refused_call_is_one_write_and_stays_open_nowhere(journal: Journal) -> None:
    call = admission()
    journal.refuse(call, end_of(call))
    assert read_all(journal).calls == [(call, end_of(call))]
    assert journal.open_calls == 0


def test_only_the_owner_may_read_a_journal(journal: Journal) -> None:
    path = journal.directory.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}


def test_one_long_call_pins_no_segment(journal: Journal) -> None:
    reader = JournalReader(journal.directory)
    long_call = admission()
    journal.admit(long_call)
    seen: list[tuple[Admission, End]] = []
    for _ in range(300):
        call = admission()
        journal.admit(call)
        journal.end(end_of(call))
        seen += reader.read(until=journal.position(), calls_max=50).calls
        reader.forget_read()
    assert journal.position().number > 3
    assert len(journal.directory.segment_numbers()) == 1
    # A reader that begins at what is left still finds both halves of the long call.
    journal.end(end_of(long_call))
    assert (long_call, end_of(long_call)) in read_all(journal).calls
    assert len(seen) == 300


def test_more_open_calls_than_a_segment_holds_get_a_larger_one(root: Path) -> None:
    journal = Journal(root, segment_bytes=4096, max_bytes=8 << 20)
    journal.open()
    calls = [admission() for _ in range(1000)]
    for call in calls:
        journal.admit(call)
    for call in calls:
        journal.end(end_of(call))
    assert len(read_all(journal).calls) == 1000
    journal.close()


def test_a_full_journal_refuses_calls_but_takes_every_end(root: Path) -> None:
    journal = Journal(root, segment_bytes=8192, max_bytes=32_768)
    journal.open()
    calls = fill(journal)
    assert disk_bytes(root) <= 32_768
    for call in calls:
        journal.end(end_of(call, code="x" * 60))
    assert journal.open_calls == 0
    assert len(read_all(journal).calls) == len(calls)


def test_a_full_journal_recovers_once_segments_are_deleted(root: Path) -> None:
    journal = Journal(root, segment_bytes=8192, max_bytes=32_768)
    journal.open()
    reader = JournalReader(journal.directory)
    calls = fill(journal)
    for call in calls:
        journal.end(end_of(call))
    fill_with_refusals(journal)
    reader.read(until=journal.position(), calls_max=100_000)
    reader.forget_read()
    wait_and_admit(journal, admission())


def test_another_process_s_segments_count_too(root: Path) -> None:
    other = Journal(root, segment_bytes=32_768, max_bytes=65_536)
    other.open()
    journal = Journal(root, segment_bytes=8192, max_bytes=65_536)
    journal.open()
    fill_with_refusals(journal)
    assert 32_768 < disk_bytes(root) <= 65_536
    other.close()
    other.directory.remove()
    wait_and_admit(journal, admission())


def test_a_limit_below_two_segments_is_refused_at_once(root: Path) -> None:
    with pytest.raises(ValueError, match="less than two segments"):
        Journal(root, segment_bytes=8192, max_bytes=8192)


def test_an_end_without_an_open_call_is_not_written(journal: Journal) -> None:
    before = journal.position()
    journal.end(end_of(admission()))
    call = admission()
    journal.admit(call)
    journal.end(end_of(call))
    after = journal.position()
    journal.end(end_of(call))
    assert before != after == journal.position()


def test_a_closed_journal_takes_no_call(journal: Journal) -> None:
    call = admission()
    journal.admit(call)
    journal.close()
    with pytest.raises(JournalFull):
        journal.admit(admission())
    journal.end(end_of(call))


@pytest.mark.parametrize("sync", ["never", "interval", "each"])
def test_every_sync_setting_writes(root: Path, sync: str) -> None:
    journal = Journal(root, segment_bytes=8192, max_bytes=1 << 20, sync=sync)
    journal.open()
    for _ in range(60):
        call = admission()
        journal.admit(call)
        journal.end(end_of(call))
        journal.tend()
    assert JournalReader(journal.directory).read(until=journal.position(), calls_max=5).calls
    journal.close()


def test_a_file_system_that_refuses_a_segment_refuses_calls_and_recovers(root: Path) -> None:
    journal = Journal(root, segment_bytes=8192, max_bytes=1 << 20)
    journal.open()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        calls = fill(journal)
        for call in calls:
            journal.end(end_of(call))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert calls
    assert journal.directory.segment_numbers() == [1]
    wait_and_admit(journal, admission())
    assert len(read_all(journal).calls) == len(calls)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("A file system can only be mounted as root.")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_refuses_calls_loses_no_end_and_recovers(small_disk: Path) -> None:
    journal = Journal(small_disk / "journal", segment_bytes=65_536, max_bytes=1 << 30)
    journal.open()
    calls = fill(journal)
    ballast = small_disk / "ballast"
    assert fill_file(ballast) == errno.ENOSPC
    for call in calls:
        journal.end(end_of(call))
    assert len(read_all(journal).calls) == len(calls)
    reader = JournalReader(journal.directory)
    reader.read(until=journal.position(), calls_max=100_000)
    reader.forget_read()
    ballast.unlink()
    for _ in range(500):
        time.sleep(0.01)
        call = admission()
        try:
            journal.admit(call)
        except JournalFull:
            continue
        break
    assert journal.open_calls == 1


def test_a_process_starts_on_a_full_disk_and_recovers(root: Path) -> None:
    hog = JournalDirectory.create(root)
    hog.segment_path(1).write_bytes(bytes(20_000))
    journal = Journal(root, segment_bytes=8192, max_bytes=20_000)
    journal.open()
    with pytest.raises(JournalFull):
        journal.admit(admission())
    hog.remove()
    wait_and_admit(journal, admission())
