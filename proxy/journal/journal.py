"""The record of every call, on this machine's disk before the upstream is called.

What `admit` and `end` wrote survives the death of the process. A call is only admitted while there is room for its end
and for the ends of all other open calls, so that no call is ever served that could not be accounted for.
"""

import logging
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from proxy.journal.directory import JournalDirectory, disk_bytes
from proxy.journal.frame import HEADER_BYTES, frame
from proxy.journal.records import (
    END_BYTES_MAX,
    Admission,
    End,
    Record,
    decode_record,
    fit_admission,
    fit_end,
)
from proxy.journal.segment import Segment

log = logging.getLogger(__name__)

END_ROOM_BYTES = HEADER_BYTES + END_BYTES_MAX
ROTATION_RETRY_S = 0.1
SYNC_INTERVAL_S = 1.0
# More than the shipper takes at once: beyond it the ledger is slow or away, and the disk remembers for it.
FRESH_RECORDS_MAX = 10_000
UNWRITABLE = "The journal's disk refuses to be written. Look at its log."


class Sync(StrEnum):
    """When records are forced to the disk itself; without it, loss of power may lose the last seconds."""

    NEVER = "never"
    INTERVAL = "interval"
    EACH = "each"


# Looking a member up on its enum takes longer than the rest of the comparison.
_EACH = Sync.EACH


class JournalFull(Exception):
    """The journal cannot take another call: the disk or its share of it is full, or it is closed."""


class Position(NamedTuple):
    """A place in a process's journal."""

    number: int
    offset: int


class Fresh(NamedTuple):
    """What was written between two places in a journal, as it was before it became bytes.

    records: None where only the disk has all of them.
    """

    records: list[Record] | None
    start: Position
    end: Position


class Journal:
    """One process's journal. Threads may share it.

    root: the directory of all processes' journals on this host.
    segment_bytes: the size of one file; more where the open calls alone need more.
    max_bytes: what all processes' segments under the root may take up together.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        segment_bytes: int = 16 << 20,
        max_bytes: int = 2 << 30,
        sync: Sync | str = Sync.NEVER,
    ) -> None:
        if max_bytes < 2 * segment_bytes:
            raise ValueError(
                f"The journal may take up {max_bytes} bytes, less than two segments of "
                f"{segment_bytes}. Raise the limit or make segments smaller."
            )
        self.root = Path(root)
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._sync = Sync(sync)
        self._lock = threading.Lock()
        self._directory: JournalDirectory | None = None
        self._segment: Segment | None = None
        self._next_number = 1
        self._open: dict[bytes, bytes] = {}
        self._unwritten: list[tuple[bytes, bytes]] = []
        self._fresh: list[Record] | None = []
        self._taken_until = Position(0, 0)
        self._retry_rotation_at = 0.0
        self._synced = Position(0, 0)
        self._sync_due_at = 0.0

    @property
    def directory(self) -> JournalDirectory:
        """This process's directory, while the journal is open."""
        if self._directory is None:
            raise JournalFull("The journal is not open.")
        return self._directory

    @property
    def open_calls(self) -> int:
        """How many calls were admitted and have not ended."""
        return len(self._open)

    def open(self) -> None:
        """Make this process's directory and its first segment; a full disk shows at the first call, not here."""
        with self._lock:
            self._directory = JournalDirectory.create(self.root)
            try:
                self._rotate(0)
            except JournalFull as full:
                log.warning("journal: %s", full)

    def admit(self, admission: Admission) -> None:
        """Write down that a call was let in, before anything is done for it.

        Raises: JournalFull where it could not be written, or its end might not be.
        """
        admission, payload = fit_admission(admission)
        data = frame(payload)
        with self._lock:
            self._write_with_room(data, ends=len(self._open) + 1)
            self._open[admission.call_id] = data
            self._remember(admission)

    def end(self, end: End) -> None:
        """Write down how a call ended. Never fails: what cannot be written now is kept and tried again."""
        end, payload = fit_end(end)
        data = frame(payload)
        with self._lock:
            if end.call_id not in self._open or self._segment is None:
                log.error("journal: an end without an open call, id %s", end.call_id.hex())
                return
            if self._unwritten or not self._try_write(data):
                self._unwritten.append((end.call_id, data))
                return
            del self._open[end.call_id]
            self._remember(end)

    def refuse(self, admission: Admission, end: End) -> None:
        """Write down a call that was refused at once: both records in one write.

        Raises: JournalFull where it could not be written.
        """
        admission, first = fit_admission(admission)
        end, second = fit_end(end)
        data = frame(first) + frame(second)
        with self._lock:
            self._write_with_room(data, ends=len(self._open))
            self._remember(admission)
            self._remember(end)

    def position(self) -> Position:
        """Return where the next record goes; everything before it may be read."""
        with self._lock:
            return self._position()

    def take_fresh(self) -> Fresh:
        """Return what was written since the last time, for the one who ships it: most need not be read again."""
        with self._lock:
            fresh = Fresh(self._fresh, self._taken_until, self._position())
            self._fresh, self._taken_until = [], fresh.end
            # Between two segments there is no place that could be read on from.
            return fresh if self._segment is not None else fresh._replace(records=None)

    def tend(self) -> None:
        """Write what could not be written, give memory back, and sync where it is due. Called every second or so."""
        with self._lock:
            self._write_unwritten()
            segment = self._segment
            if segment is None:
                return
            segment.give_memory_back()
            if self._sync is not Sync.INTERVAL:
                return
            if time.monotonic() < self._sync_due_at:
                return
            self._sync_due_at = time.monotonic() + SYNC_INTERVAL_S
            self._sync_segment(segment)

    def close(self) -> list[End]:
        """Close the file for good; return the ends that could never be written. The directory stays held."""
        with self._lock:
            self._write_unwritten()
            if self._segment is not None:
                if self._sync is not Sync.NEVER:
                    self._sync_segment(self._segment)
                self._segment.close()
                self._next_number = self._segment.number + 1
                self._segment = None
            self._retry_rotation_at = float("inf")
            payloads = [data[HEADER_BYTES:] for _, data in self._unwritten]
            return [end for end in map(decode_record, payloads) if isinstance(end, End)]

    def _position(self) -> Position:
        if self._segment is None:
            return Position(self._next_number, 0)
        return Position(self._segment.number, self._segment.written_bytes)

    def _remember(self, record: Record) -> None:
        if self._fresh is not None:
            self._fresh.append(record)
            if len(self._fresh) > FRESH_RECORDS_MAX:
                self._fresh = None

    def _write_with_room(self, data: bytes, *, ends: int) -> None:
        """Write the data where room for this many ends remains behind it, in a new segment if need be."""
        if self._unwritten and not self._write_unwritten():
            raise JournalFull(UNWRITABLE)
        segment = self._segment
        needed_bytes = len(data) + END_ROOM_BYTES * ends
        if segment is None or segment.size_bytes - segment.written_bytes < needed_bytes:
            self._rotate(len(data))
        if not self._try_write(data):
            raise JournalFull(UNWRITABLE)

    def _try_write(self, data: bytes) -> bool:
        segment = self._segment
        if segment is None:
            return False
        try:
            segment.write(data)
            if self._sync is _EACH:
                segment.sync()
        except OSError as error:
            log.warning("journal: %s could not be written: %s", segment.path, error)
            return False
        return True

    def _write_unwritten(self) -> bool:
        while self._unwritten:
            call_id, data = self._unwritten[0]
            if not self._try_write(data):
                return False
            del self._unwritten[0]
            self._open.pop(call_id, None)
            self._remember(decode_record(data[HEADER_BYTES:]))
        return True

    def _rotate(self, size_bytes: int) -> None:
        """Go on in a new segment. Open calls are written there again, so that no older one is needed for them."""
        now_s = time.monotonic()
        if now_s < self._retry_rotation_at:
            raise JournalFull("The journal's share of the disk is full, or it is closed.")
        carried = b"".join(self._open.values())
        least_bytes = len(carried) + size_bytes + END_ROOM_BYTES * (len(self._open) + 1)
        try:
            segment = self._new_segment(max(self._segment_bytes, 2 * least_bytes), carried)
        except OSError as error:
            self._retry_rotation_at = now_s + ROTATION_RETRY_S
            raise JournalFull(f"The journal needs another segment, and {error}.") from error
        if self._segment is not None:
            if self._sync is not Sync.NEVER:
                self._sync_segment(self._segment)
            self._segment.close()
        self._segment = segment
        self._next_number = segment.number + 1

    def _new_segment(self, size_bytes: int, carried: bytes) -> Segment:
        number = self._next_number
        segment = Segment.create(self.directory.segment_path(number), number, size_bytes)
        try:
            # The space is taken first and counted then: of two processes that both pass the limit, neither goes on.
            used_bytes = disk_bytes(self.root)
            if used_bytes > self._max_bytes:
                raise OSError(f"all journals would take up {used_bytes} of {self._max_bytes} bytes")
            segment.write(carried)
        except OSError:
            segment.discard()
            raise
        return segment

    def _sync_segment(self, segment: Segment) -> None:
        try:
            segment.sync()
        except OSError as error:
            log.warning("journal: %s could not be synced: %s", segment.path, error)
