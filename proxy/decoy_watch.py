"""Looks at every key that a call was refused for, and notes the use of a decoy. The refusal is made before, and never waits."""

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import DatabaseError, InterfaceError, connection

from accounts.change_feed import Changes
from accounts.decoys.known import Known, which_decoy
from accounts.decoys.sightings import Sightings, sightings
from accounts.ways_in.presented import read_presented
from accounts.ways_in.proven import Door
from proxy.exchange import Head, RawHeaders

RETRY_S = 1.0
_log = logging.getLogger("latchkey.decoys")


class DecoyWatch:
    """One process's memory of the decoys there are, as true as the change log.

    load: asks the database for them.
    """

    def __init__(
        self, load: Callable[[], dict[str, Known]], *, notes: Sightings = sightings
    ) -> None:
        self._load, self._notes = load, notes
        self._decoys: dict[str, Known] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decoys")

    def apply(self, changes: Changes) -> None:
        """Ask for the decoys anew where they may be others."""
        if changes.decoys or changes.everything:
            self._thread.submit(self._learn)

    def see(self, head: Head, headers: RawHeaders) -> None:
        """Note the key of a refused call if it is a decoy. It takes as long for any other."""
        presented = read_presented(head.credential)
        if presented is None:
            return
        decoy = which_decoy(presented, self._decoys)
        if decoy is not None:
            agent = next((value for name, value in headers if name == b"user-agent"), b"")
            self._notes.add(
                decoy, peer=head.peer, user_agent=agent.decode("latin-1"), door=Door.CALLS
            )

    def close(self) -> None:
        """Write what waits, and end."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._notes.flush()

    def _learn(self) -> None:
        try:
            self._decoys = self._load()
        except (DatabaseError, InterfaceError) as error:
            _log.warning("Decoys cannot be loaded.", extra={"error": type(error).__name__})
            time.sleep(RETRY_S)
            with contextlib.suppress(RuntimeError):
                # It is refused once the process ends.
                self._thread.submit(self._learn)
        finally:
            connection.close()
