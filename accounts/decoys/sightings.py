"""Notes uses of decoys beside the requests that made them: nobody waits for it, and no answer shows by its time that it was done."""

import datetime
import ipaddress
import logging
import threading
import uuid
from dataclasses import dataclass, replace

from django.db import DatabaseError, InterfaceError, connection

from accounts.ways_in.proven import Door
from portal.lib.clock import utc_now

# A decoy that is hammered from many addresses is written once a second; what has no room is in the log.
FLUSH_EVERY_S = 1.0
ROOM = 1_000
_log = logging.getLogger("latchkey.decoys")


@dataclass(frozen=True)
class Sighting:
    """Uses of a decoy from one address since they were last written."""

    decoy_id: uuid.UUID
    peer: str
    user_agent: str
    door: Door
    first_at: datetime.datetime
    last_at: datetime.datetime
    times: int = 1


class Sightings:
    """One process's uses of decoys that wait to be written, by a thread that the first of them starts."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[uuid.UUID, str], Sighting] = {}
        self._lock = threading.Lock()
        self._is_new = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, decoy_id: uuid.UUID, *, peer: str, user_agent: str, door: Door) -> None:
        """Have a use noted within about a second."""
        now, around = utc_now(), subscriber(peer)
        with self._lock:
            known = self._waiting.get((decoy_id, around))
            if known is not None:
                self._waiting[decoy_id, around] = replace(known, last_at=now, times=known.times + 1)
                return
            _log.warning("A decoy key was used.", extra={"decoy": str(decoy_id), "peer": around})
            if len(self._waiting) >= ROOM:
                return
            self._waiting[decoy_id, around] = Sighting(decoy_id, around, user_agent, door, now, now)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="decoys", daemon=True)
                self._thread.start()
        self._is_new.set()

    def flush(self) -> None:
        """Write what waits. What the database does not take goes on waiting."""
        from accounts.writes.decoys import (  # noqa: PLC0415 - the writes know of this module.
            note_decoy_use,
        )

        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for place, sighting in waiting.items():
            try:
                note_decoy_use(sighting)
            except (DatabaseError, InterfaceError) as error:
                _log.warning(
                    "Uses of decoys cannot be written.", extra={"error": type(error).__name__}
                )
                with self._lock:
                    self._waiting.setdefault(place, sighting)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._is_new.wait()
            self._is_new.clear()
            self.flush()
            connection.close()
            pause.wait(FLUSH_EVERY_S)
            if self._waiting:
                self._is_new.set()


sightings = Sightings()


def subscriber(peer: str) -> str:
    """The address, or the /64 that one subscriber has of IPv6."""
    if ":" not in peer:
        return peer[:45]
    try:
        return str(ipaddress.IPv6Network((peer.partition("%")[0], 64), strict=False))[:45]
    except ValueError:
        return peer[:45]
