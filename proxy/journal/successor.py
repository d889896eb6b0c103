"""Ships the journals that dead processes of this host left behind."""

import logging
import threading
from pathlib import Path

import psycopg

from proxy.journal.directory import JournalDirectory, process_directories
from proxy.journal.ledger import Ledger, NoteOldSecretUse
from proxy.journal.reader import BATCH_CALLS_MAX, JournalReader

log = logging.getLogger(__name__)

SCAN_INTERVAL_S = 5.0


class Successor:
    """Looks for dead processes' journals at its start and every few seconds, on a thread of its own.

    Of several successors the one that gets a directory's lock ships it. Were it to die over it, the next one begins again.
    `is_behind` until all that was found has arrived, and when something could not be shipped.
    """

    def __init__(
        self,
        root: Path | str,
        database_url: str,
        *,
        note_old_secret_use: NoteOldSecretUse | None = None,
        scan_interval_s: float = SCAN_INTERVAL_S,
    ) -> None:
        self.is_behind = True
        self._root = Path(root)
        self._ledger = Ledger(database_url, note_old_secret_use=note_old_secret_use)
        self._scan_interval_s = scan_interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal-successor", daemon=True)

    def start(self) -> None:
        """Begin to look, in the background."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop after the batch at hand; what is left is the next successor's."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def succeed_all(self) -> int:
        """Ship every dead process's journal and remove its directory; return how many there were.

        Raises: psycopg.Error or OSError, with the directory left for another attempt.
        """
        try:
            return sum(map(self._succeed_if_dead, process_directories(self._root)))
        finally:
            # Deaths are rare: the connection is not kept for the next one.
            self._ledger.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.succeed_all()
                self.is_behind = False
            except (psycopg.Error, OSError) as error:
                self.is_behind = True
                log.warning("journal: a dead process's journal waits (%s)", type(error).__name__)
            except Exception:
                self.is_behind = True
                log.exception("journal: succession failed")
            self._stopping.wait(self._scan_interval_s)

    def _succeed_if_dead(self, path: Path) -> bool:
        directory = None if self._stopping.is_set() else JournalDirectory.take(path)
        if directory is None:
            return False
        try:
            return self._succeed(directory)
        finally:
            directory.release()

    def _succeed(self, directory: JournalDirectory) -> bool:
        """Ship one journal, then remove it. False where it was stopped before it was done."""
        reader = JournalReader(directory)
        shipped = 0
        while batch := reader.read(until=None, calls_max=BATCH_CALLS_MAX):
            if self._stopping.is_set():
                return False
            self._ledger.write(batch)
            reader.forget_read()
            shipped += len(batch.calls)
        interrupted = reader.interrupted()
        self._ledger.write(interrupted)
        reader.set_aside_damaged()
        directory.remove()
        log.warning(
            "journal: %d calls and %d interrupted ones of a dead process were shipped",
            shipped,
            len(interrupted.calls),
        )
        return True
