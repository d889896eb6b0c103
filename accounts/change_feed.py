"""Follows the change log, so that what a process remembers of rights is true within a second.

Triggers on the deciding tables write the log in the writer's transaction, whoever writes. NOTIFY only wakes us; every
`POLL_S` we read past our watermark anyway. A transaction that began early may commit late, so the watermark never passes
the snapshot's xmin: rows above it are acted on at once and read again later. A new connection to the server that was read
a moment ago goes on at the watermark; any other starts with "everything may have changed", because nothing is known of what
was missed.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg

# What pg_stat_activity shows an operator.
APPLICATION_NAME = "latchkey-changes"
POLL_S = 0.2
ANSWER_TIMEOUT_S = 0.3
CONNECT_TIMEOUT_S = 2.0
RETRY_S = 0.1
STOP_S = 1.0
# Far less than the log is kept for.
RESUME_S = 30.0
_SEEN_MAX = 50_000
_log = logging.getLogger("latchkey.changes")

_XMIN = "SELECT pg_is_in_recovery(), pg_snapshot_xmin(pg_current_snapshot())::text"
# The timeline is the first part of the WAL file's name. A server that was restarted may have been restored as well.
_SERVER = """
    SELECT concat_ws(' ', (SELECT system_identifier FROM pg_control_system()),
        left(pg_walfile_name(pg_current_wal_lsn()), 8), pg_postmaster_start_time(), oid)
    FROM pg_database WHERE datname = current_database()
"""
_READ = """
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text, id, topic, ref
    FROM (SELECT 1) AS one LEFT JOIN accounts_change ON transaction >= %s::xid8
"""


@dataclass(frozen=True)
class Changes:
    """What changed since the last look; `everything` where that cannot be told.

    ended_tokens: those of the ids that are of access tokens which ended early. signing: whether the keys did that sign them.
    decoys: whether there are others.
    """

    ids: frozenset[uuid.UUID]
    registry: bool
    everything: bool
    ended_tokens: frozenset[uuid.UUID] = frozenset()
    signing: bool = False
    decoys: bool = False


EVERYTHING = Changes(frozenset(), registry=True, everything=True)


class ChangeFeed:
    """One connection that listens and polls, for the life of the process."""

    def __init__(self, url: str, *, on_changes: Callable[[Changes], None]) -> None:
        self._url = url
        self.on_changes = on_changes
        # What the watermark is worth: only this server's log can be read on from it. "" where it is worth nothing.
        self._server = ""
        self._watermark = "0"
        self._seen: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.last_success = float("-inf")

    @property
    def age_s(self) -> float:
        """Seconds since the last poll that succeeded."""
        return time.monotonic() - self.last_success

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._stopping = True
        if self._task is not None:
            # A poll under way ends by itself; cancelling one would wait for a server that may be silent.
            await asyncio.wait({self._task}, timeout=STOP_S)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._follow()
            except (psycopg.Error, OSError, TimeoutError) as error:
                _log.warning(
                    "The change log cannot be read.", extra={"error": type(error).__name__}
                )
            except Exception as error:  # noqa: BLE001 - without the feed nobody could be known any more.
                _log.error("The change log's reader failed and begins anew.", exc_info=error)
                self._server = ""
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            connection = await psycopg.AsyncConnection.connect(
                self._url,
                autocommit=True,
                connect_timeout=int(CONNECT_TIMEOUT_S),
                application_name=APPLICATION_NAME,
            )
        try:
            await self._begin(connection)
            while not self._stopping:
                async for _ in connection.notifies(timeout=POLL_S, stop_after=1):
                    pass
                await self._poll(connection)
        finally:
            # Closing politely could wait for a server that no longer answers.
            connection.pgconn.finish()

    async def _begin(self, connection: psycopg.AsyncConnection) -> None:
        started = time.monotonic()
        with _hang_up_after(connection, ANSWER_TIMEOUT_S * 3):
            await connection.execute("LISTEN latchkey_change")
            row = await (await connection.execute(_XMIN)).fetchone()
            if row is None or row[0]:
                raise psycopg.OperationalError("the change log must be read at the primary")
            server = await _name_server(connection)
        if server and server == self._server and self.age_s < RESUME_S:
            await self._poll(connection)
            return
        self._server, self._watermark, self._seen = "", row[1], set()
        self.on_changes(EVERYTHING)
        self._server, self.last_success = server, started

    async def _poll(self, connection: psycopg.AsyncConnection) -> None:
        # The age counts from before the question: what was committed after it may not be in the answer.
        started = time.monotonic()
        with _hang_up_after(connection, ANSWER_TIMEOUT_S):
            rows = await (await connection.execute(_READ, [self._watermark])).fetchall()
        server, self._server = self._server, ""
        changes = self._take(rows)
        if changes is not None:
            self.on_changes(changes)
        # Only now: what was read and not acted on must not be taken for read.
        self._server, self.last_success = server, started

    def _take(self, rows: list[tuple[str, int | None, str, uuid.UUID | None]]) -> Changes | None:
        fresh = [row for row in rows if row[1] is not None and row[1] not in self._seen]
        xmin = rows[0][0]
        if xmin != self._watermark:
            self._seen = {row[1] for row in rows if row[1] is not None}
            self._watermark = xmin
        else:
            self._seen.update(row[1] for row in fresh if row[1] is not None)
        if not fresh:
            return None
        topics = {row[2] for row in fresh}
        return Changes(
            ids=frozenset(row[3] for row in fresh if row[3] is not None),
            registry="registry" in topics,
            everything="all" in topics or len(self._seen) > _SEEN_MAX,
            ended_tokens=frozenset(row[3] for row in fresh if row[3] and row[2] == "token"),
            signing="signing" in topics,
            decoys="decoy" in topics,
        )


async def _name_server(connection: psycopg.AsyncConnection) -> str:
    """Return what only this run of this server has, "" where it does not say."""
    try:
        row = await (await connection.execute(_SERVER)).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return ""
    return str(row[0]) if row else ""


@contextlib.contextmanager
def _hang_up_after(connection: psycopg.AsyncConnection, timeout_s: float) -> Iterator[None]:
    """End the connection's socket if the server is silent for so long; the wait then raises psycopg.Error.

    Cancelling the wait would not do: psycopg answers that by asking the silent server to cancel, for up to 10 s.
    """
    watch = asyncio.get_running_loop().call_later(timeout_s, _hang_up, connection.pgconn.socket)
    try:
        yield
    finally:
        watch.cancel()


def _hang_up(descriptor: int) -> None:
    # Shut down, not closed: the event loop still waits on the descriptor, whose number could be given away.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as end:
        end.shutdown(socket.SHUT_RDWR)
