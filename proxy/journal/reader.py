"""Reads a process's segments in order and puts each call's admission and end together again."""

import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from proxy.journal.directory import JournalDirectory
from proxy.journal.frame import FRAME_BYTES_MAX, HEADER_BYTES, find_frame, payload_at
from proxy.journal.journal import Fresh, Position
from proxy.journal.records import Admission, End, Record, decode_record, interrupted_end

log = logging.getLogger(__name__)

BATCH_CALLS_MAX = 5_000
CHUNK_BYTES = 1 << 20
# The event loop waits for the interpreter while this thread computes: it pauses after this many records.
RECORDS_BETWEEN_PAUSES = 64
PAUSE_S = 0.00005


@dataclass
class Batch:
    """Calls that ended, ready for the ledger.

    late_ends: ends whose admission is not in the segments any more.
    key_uses: by key, when (in µs) and from where it was last used.
    """

    calls: list[tuple[Admission, End]] = field(default_factory=list)
    late_ends: list[End] = field(default_factory=list)
    key_uses: dict[bytes, tuple[int, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.calls or self.late_ends or self.key_uses)


class JournalReader:
    """Reads one directory from its oldest segment on; `number` is the segment it has come to."""

    def __init__(self, directory: JournalDirectory) -> None:
        self._directory = directory
        self.number = 0
        self._offset = 0
        self._damaged: set[int] = set()
        self._open: dict[bytes, Admission] = {}
        # What was read before the disk failed, and is behind this reader already.
        self._unfinished = Batch()

    def read(self, *, until: Position | None, calls_max: int) -> Batch:
        """Return the next calls that ended; an empty batch once everything was read.

        until: where a living process writes next; None where it is dead and everything on disk counts.
        Raises: OSError; what was read before it comes with the next call.
        """
        batch = self._unfinished
        while len(batch.calls) + len(batch.late_ends) < calls_max:
            if not self._read_chunk(batch, until=until, calls_max=calls_max):
                break
        self._unfinished = Batch()
        return batch

    def read_fresh(self, fresh: Fresh, *, calls_max: int) -> Batch:
        """Return the next calls that ended, from memory where that goes on from where this reader stands, or from the disk.

        Open calls that a new segment begins with are known here from the one before.
        """
        goes_on = fresh.start == (self.number, self._offset) and not self._unfinished
        if fresh.records is None or not goes_on:
            return self.read(until=fresh.end, calls_max=calls_max)
        batch = Batch()
        for start in range(0, len(fresh.records), RECORDS_BETWEEN_PAUSES):
            for record in fresh.records[start : start + RECORDS_BETWEEN_PAUSES]:
                self._take(record, batch)
            time.sleep(PAUSE_S)
        self.number, self._offset = fresh.end
        return batch

    def interrupted(self, ends: Iterable[End] = ()) -> Batch:
        """Return the calls that have no end here, as interrupted.

        ends: ends that are known, but could not be written.
        """
        known = {end.call_id: end for end in ends}
        return Batch(
            calls=[
                (admission, known.get(admission.call_id) or interrupted_end(admission))
                for admission in self._open.values()
            ]
        )

    def forget_read(self) -> None:
        """Delete the segments that were read to their end; damaged ones are set aside for a person."""
        for number in sorted(self._damaged):
            if number < self.number:
                log.error(
                    "journal: a damaged segment is kept: %s", self._directory.set_aside(number)
                )
                self._damaged.discard(number)
        self._directory.delete_before(self.number)

    def set_aside_damaged(self) -> None:
        """Set every damaged segment aside, the last one too: nobody writes here any more."""
        for number in sorted(self._damaged):
            log.error("journal: a damaged segment is kept: %s", self._directory.set_aside(number))
        self._damaged.clear()

    def _read_chunk(self, batch: Batch, *, until: Position | None, calls_max: int) -> bool:
        """Read on from here, into the batch. False where there is nothing more for now."""
        if self.number == 0 and not self._go_on(until):
            return False
        is_last = until is not None and self.number >= until.number
        data, is_end = self._load(until.offset if until is not None and is_last else None)
        used_bytes = self._take_frames(data, batch, calls_max=calls_max)
        self._offset += used_bytes
        if len(batch.calls) + len(batch.late_ends) >= calls_max:
            return True
        rest = data[used_bytes:]
        if is_end and not rest:
            return not is_last and self._go_on(until)
        if not is_end and len(rest) < FRAME_BYTES_MAX:
            return True
        return self._skip(until, is_last=is_last)

    def _load(self, limit: int | None) -> tuple[bytes, bool]:
        """Return a chunk from here, and whether it reaches the segment's end."""
        fd = os.open(self._directory.segment_path(self.number), os.O_RDONLY)
        try:
            end = os.fstat(fd).st_size if limit is None else limit
            data = os.pread(fd, min(CHUNK_BYTES, max(0, end - self._offset)), self._offset)
        finally:
            os.close(fd)
        return data, self._offset + len(data) >= end

    def _take_frames(self, data: bytes, batch: Batch, *, calls_max: int) -> int:
        """Take whole frames off the data; return how many bytes they were."""
        view = memoryview(data)
        offset = records = 0
        while (payload := payload_at(view, offset)) is not None:
            self._decode(payload, batch)
            offset += HEADER_BYTES + len(payload)
            records += 1
            if records % RECORDS_BETWEEN_PAUSES == 0:
                time.sleep(PAUSE_S)
            if len(batch.calls) + len(batch.late_ends) >= calls_max:
                break
        return offset

    def _decode(self, payload: memoryview, batch: Batch) -> None:
        try:
            record = decode_record(payload)
        except msgspec.MsgspecError as error:
            log.warning(
                "journal: a record of %s is not understood: %s", self._directory.path, error
            )
            self._damaged.add(self.number)
        else:
            self._take(record, batch)

    def _take(self, record: Record, batch: Batch) -> None:
        if isinstance(record, Admission):
            self._open[record.call_id] = record
            _note_use(batch.key_uses, record)
        elif (admission := self._open.pop(record.call_id, None)) is not None:
            batch.calls.append((admission, record))
        else:
            batch.late_ends.append(record)

    def _skip(self, until: Position | None, *, is_last: bool) -> bool:
        """Go on behind bytes that hold no sound frame: space never written to, a torn record, or damage."""
        path = self._directory.segment_path(self.number)
        data = path.read_bytes()[: until.offset if until is not None and is_last else None]
        found = find_frame(data, self._offset)
        was_written = bool(data[self._offset :].strip(b"\0"))
        if was_written and found is None and until is None and self._next_number() is None:
            log.warning("journal: %s ends in a torn record", path)
        elif was_written:
            log.error("journal: %s is damaged at byte %d", path, self._offset)
            self._damaged.add(self.number)
        self._offset = len(data) if found is None else found
        return found is not None or (not is_last and self._go_on(until))

    def _go_on(self, until: Position | None) -> bool:
        """Turn to the next segment, if there is one."""
        number = self._next_number()
        if number is None or (until is not None and number > until.number):
            return False
        self.number = number
        self._offset = 0
        return True

    def _next_number(self) -> int | None:
        return next(
            (number for number in self._directory.segment_numbers() if number > self.number), None
        )


def _note_use(uses: dict[bytes, tuple[int, str]], admission: Admission) -> None:
    """Keep the latest use; a call carried over into a new segment is older than the ones before it."""
    known = uses.get(admission.key_id)
    if known is None or known[0] < admission.admitted_at_us:
        uses[admission.key_id] = (admission.admitted_at_us, admission.peer)
