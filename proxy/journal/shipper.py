"""Carries one process's journal into the ledger, on a thread of its own, and deletes what has arrived."""

import logging
import threading
import time
from collections.abc import Callable

import psycopg

from proxy.journal.journal import Journal
from proxy.journal.ledger import Ledger, NoteKeyUse, NoteOldSecretUse
from proxy.journal.reader import BATCH_CALLS_MAX, Batch, JournalReader
from proxy.journal.successor import Successor

log = logging.getLogger(__name__)

INTERVAL_S = 0.25
BACKOFF_MAX_S = 5.0
DRAIN_RETRY_S = 0.1
# Far longer than a turn takes while the ledger answers.
BEHIND_AFTER_S = 2.0

Step = Callable[[], None]


class Shipper:
    """Ships while the process runs. Where it got to is only in memory: losing it ships again, which changes nothing.

    `failing_since_s` is when (time.monotonic) the ledger stopped answering, None while it answers.
    """

    def __init__(
        self,
        journal: Journal,
        database_url: str,
        *,
        note_key_use: NoteKeyUse | None = None,
        note_old_secret_use: NoteOldSecretUse | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.shipped_calls = 0
        self.failing_since_s: float | None = None
        self._arrived_until_s = time.monotonic()
        self._journal = journal
        self._ledger = Ledger(
            database_url, note_key_use=note_key_use, note_old_secret_use=note_old_secret_use
        )
        self._reader = JournalReader(journal.directory)
        self._successor = Successor(
            journal.root, database_url, note_old_secret_use=note_old_secret_use
        )
        self._interval_s = interval_s
        self._waiting: Batch | None = None
        self._stopping = threading.Event()
        self._deadline_s = float("inf")
        self._drained = False
        self._thread = threading.Thread(target=self._run, name="journal-shipper", daemon=True)

    @property
    def is_behind(self) -> bool:
        """Whether anything that was journalled two seconds ago, or by a dead process of this host, is not known to have arrived."""
        return (
            self._successor.is_behind or time.monotonic() - self._arrived_until_s > BEHIND_AFTER_S
        )

    def start(self) -> None:
        """Begin to ship in the background, dead processes' journals too."""
        self._thread.start()
        self._successor.start()

    def stop(self, drain_s: float) -> bool:
        """Close the journal, ship what is left, and say whether all of it arrived within the time.

        Calls still open are booked as interrupted. What did not arrive is left to a successor.
        """
        self._deadline_s = time.monotonic() + drain_s
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(drain_s + 1.0)
        self._successor.stop(1.0)
        self._journal.close()
        if self._drained:
            self._journal.directory.remove()
        elif not self._thread.is_alive():
            self._journal.directory.release()
        return self._drained

    def _run(self) -> None:
        backoff_s = self._interval_s
        while not self._stopping.is_set():
            backoff_s = self._ship_and_wait(backoff_s)
        while not self._drained and time.monotonic() < self._deadline_s:
            if not self._attempt(self._drain):
                time.sleep(DRAIN_RETRY_S)
        self._ledger.close()

    def _ship_and_wait(self, backoff_s: float) -> float:
        """Ship everything there is, wait, and return how long to wait after the next failure."""
        if self._attempt(self._ship):
            self._stopping.wait(self._interval_s)
            return self._interval_s
        self._stopping.wait(backoff_s)
        return min(2 * backoff_s, BACKOFF_MAX_S)

    def _attempt(self, step: Step) -> bool:
        """Run the step; whatever fails, the journal keeps what has not arrived, and the thread lives on."""
        try:
            step()
        except (psycopg.Error, OSError) as error:
            self._note_failure(type(error).__name__)
        except Exception:
            log.exception("journal: shipping failed")
            self._note_failure("an unexpected error")
        else:
            if self.failing_since_s is not None:
                log.warning("journal: the ledger is being written again")
            self.failing_since_s = None
            return True
        return False

    def _note_failure(self, what: str) -> None:
        if self.failing_since_s is None:
            self.failing_since_s = time.monotonic()
            log.error("journal: the ledger cannot be written (%s); calls are kept on disk", what)

    def _ship(self) -> None:
        """Ship what there is; while calls come in, there is always a little more, which waits for the next time."""
        began_s = time.monotonic()
        self._journal.tend()
        while self._ship_batch() >= BATCH_CALLS_MAX:
            if self._stopping.is_set():
                return
        self._arrived_until_s = began_s

    def _ship_batch(self) -> int:
        """Ship one batch; return how many calls it held, 0 once nothing is left to be read."""
        if self._waiting is None:
            fresh = self._journal.take_fresh()
            self._waiting = self._reader.read_fresh(fresh, calls_max=BATCH_CALLS_MAX)
        batch = self._waiting
        self._ledger.write(batch)
        self._waiting = None
        self.shipped_calls += len(batch.calls)
        self._reader.forget_read()
        self._note_key_uses(batch)
        return len(batch.calls) + len(batch.late_ends)

    def _note_key_uses(self, batch: Batch) -> None:
        try:
            self._ledger.note_key_uses(batch.key_uses)
        except psycopg.Error as error:
            log.warning("journal: last uses were not noted (%s)", type(error).__name__)

    def _drain(self) -> None:
        unwritten = self._journal.close()
        while self._ship_batch():
            if time.monotonic() > self._deadline_s:
                return
        self._ledger.write(self._reader.interrupted(unwritten))
        self._reader.set_aside_damaged()
        self._drained = True
