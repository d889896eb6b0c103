"""Writes batches of calls to PostgreSQL's ledger, each call once however often it is sent."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg

from proxy.call import AdjustmentKind, CallStatus
from proxy.journal.copy_line import STAGING_COLUMNS, copy_line, plain_text
from proxy.journal.reader import PAUSE_S, Batch
from proxy.journal.records import COUNT_MAX, LAST_HOUR, MOMENT_US_MAX, Admission, End

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[object, ...]]
NoteKeyUse = Callable[[Connection, Mapping[UUID, tuple[datetime, str]]], None]
# By key, how many calls were made with its old secret, and when and from where the latest.
OldSecretUses = Mapping[UUID, tuple[int, datetime, str]]
NoteOldSecretUse = Callable[[Connection, OldSecretUses], None]

KEY_USE_INTERVAL_S = 60.0
STATEMENT_TIMEOUT_MS = 30_000
LINES_A_WRITE = 64
# A server that fell silent is given up after some ten seconds.
CONNECTION_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "client_encoding": "utf8",
    "application_name": "latchkey-journal",
}

_COLUMNS = ", ".join(name for name in STAGING_COLUMNS if name not in ("batch_id", "admitted_at_us"))
COPY = f"COPY proxy_call_staging ({', '.join(STAGING_COLUMNS)}) FROM STDIN"
# A call belongs to the hour in which its id was made, so that an hour of the ledger is a range of ids.
_HOUR = (
    "to_timestamp(least(('x' || left(replace({id}::text, '-', ''), 12))::bit(48)::bigint / 3600000, "
    f"{LAST_HOUR}) * 3600)"
)
# The columns are the constants above. The hours that get rows are counted again by proxy/usage/rollup.py.
MOVE = f"""
WITH moved AS (
    DELETE FROM proxy_call_staging WHERE batch_id = %s RETURNING *
), booked AS (
    INSERT INTO proxy_call ({_COLUMNS}, admitted_at)
    SELECT {_COLUMNS}, timestamptz 'epoch' + admitted_at_us * interval '1 microsecond' FROM moved
    ON CONFLICT DO NOTHING RETURNING id
), stale AS (
    INSERT INTO proxy_stalehour (hour) SELECT DISTINCT {_HOUR.format(id="id")} FROM booked
)
SELECT id FROM moved EXCEPT ALL SELECT id FROM booked
"""  # noqa: S608
# Statements of their own, because their snapshot has to be younger than the rows that the one before ran into.
INTERRUPTED = "SELECT id FROM proxy_call WHERE id = ANY(%s) AND status = 'interrupted'"
ADJUST = f"""
WITH booked AS (
    INSERT INTO proxy_adjustment (
        call_id, kind, status, http_status, code, usage_estimated, input_tokens, cached_tokens, output_tokens,
        reasoning_tokens, cost_micro_usd, duration_us, answer_bytes, input_audio_tokens, output_audio_tokens
    )
    SELECT id, %(kind)s, %(status)s, %(http_status)s, %(code)s, %(usage_estimated)s, %(input_tokens)s - input_tokens,
        %(cached_tokens)s - cached_tokens, %(output_tokens)s - output_tokens, %(reasoning_tokens)s - reasoning_tokens,
        %(cost_micro_usd)s - cost_micro_usd, %(duration_us)s - duration_us, %(answer_bytes)s - answer_bytes,
        %(input_audio_tokens)s - input_audio_tokens, %(output_audio_tokens)s - output_audio_tokens
    FROM proxy_call WHERE id = %(id)s AND status = 'interrupted'
    ON CONFLICT DO NOTHING RETURNING call_id
)
INSERT INTO proxy_stalehour (hour) SELECT {_HOUR.format(id="call_id")} FROM booked
"""  # noqa: S608


class Ledger:
    """A connection to the ledger that is opened when needed, and again after a failure."""

    def __init__(
        self,
        database_url: str,
        *,
        note_key_use: NoteKeyUse | None = None,
        note_old_secret_use: NoteOldSecretUse | None = None,
    ) -> None:
        self._database_url = database_url
        self._note_key_use = note_key_use
        self._note_old_secret_use = note_old_secret_use
        self._connection: Connection | None = None
        self._key_noted_at_s: dict[bytes, float] = {}

    def write(self, batch: Batch) -> None:
        """Book the batch, all of it or nothing. Rows that stand already stay as they are.

        Raises: psycopg.Error, after which the same batch may be sent again.
        """
        if batch.calls or batch.late_ends:
            try:
                self._book(self._connect(), batch)
            except psycopg.Error:
                self.close()
                raise

    def note_key_uses(self, uses: Mapping[bytes, tuple[int, str]]) -> None:
        """Say when keys were last used, for each key at most once a minute.

        Raises: psycopg.Error; nothing but freshness is lost.
        """
        if self._note_key_use is None:
            return
        now_s = time.monotonic()
        due = {
            key_id: use
            for key_id, use in uses.items()
            if now_s - self._key_noted_at_s.get(key_id, -KEY_USE_INTERVAL_S) >= KEY_USE_INTERVAL_S
        }
        if not due:
            return
        noted = {
            UUID(bytes=key_id): (_moment(at_us), peer) for key_id, (at_us, peer) in due.items()
        }
        try:
            connection = self._connect()
            with connection.transaction():
                self._limit_time(connection)
                self._note_key_use(connection, noted)
        except psycopg.Error:
            self.close()
            raise
        self._remember_noted(due, now_s)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> Connection:
        if self._connection is None:
            # No prepared statements: a pooler may stand between.
            self._connection = psycopg.connect(
                self._database_url, autocommit=True, prepare_threshold=None, **CONNECTION_OPTIONS
            )
        return self._connection

    def _book(self, connection: Connection, batch: Batch) -> None:
        with connection.transaction():
            self._limit_time(connection)
            late_ends, standing = list(batch.late_ends), frozenset[bytes]()
            if batch.calls:
                standing = self._insert(connection, batch.calls)
                late_ends += [end for _, end in batch.calls if end.call_id in standing]
            if late_ends:
                self._adjust(connection, late_ends)
            self._count_old_secrets(connection, batch, standing)

    def _insert(
        self, connection: Connection, calls: Sequence[tuple[Admission, End]]
    ) -> frozenset[bytes]:
        """Insert the calls and return the ids of those that stood already."""
        batch_id = str(uuid.uuid4())
        with connection.cursor() as cursor:
            with cursor.copy(COPY) as copy:
                for start in range(0, len(calls), LINES_A_WRITE):
                    lines = [
                        copy_line(batch_id, admission, end)
                        for admission, end in calls[start : start + LINES_A_WRITE]
                    ]
                    copy.write("\n".join(lines) + "\n")
                    time.sleep(PAUSE_S)
            cursor.execute(MOVE, [batch_id])
            return frozenset(row[0].bytes for row in cursor if isinstance(row[0], UUID))

    def _adjust(self, connection: Connection, late_ends: Sequence[End]) -> None:
        """Book what is now known of calls that stand as interrupted; of others nothing new is."""
        ids = [UUID(bytes=end.call_id) for end in late_ends]
        interrupted = {row[0] for row in connection.execute(INTERRUPTED, [ids])}
        adjustments = [
            _adjustment(end)
            for end in late_ends
            if end.status is not CallStatus.INTERRUPTED and UUID(bytes=end.call_id) in interrupted
        ]
        if adjustments:
            connection.cursor().executemany(ADJUST, adjustments)

    def _count_old_secrets(
        self, connection: Connection, batch: Batch, standing: frozenset[bytes]
    ) -> None:
        """Count the calls with old secrets in the transaction that books them, so that none is counted twice."""
        uses = old_secret_uses(batch, standing)
        if self._note_old_secret_use is None or not uses:
            return
        try:
            with connection.transaction():
                self._note_old_secret_use(connection, uses)
        except (psycopg.errors.OperationalError, psycopg.InterfaceError):
            # The server fails, and the whole batch is sent again.
            raise
        except psycopg.Error as error:
            log.warning(
                "journal: calls with old secrets were not counted (%s)", type(error).__name__
            )

    def _limit_time(self, connection: Connection) -> None:
        connection.execute(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}")

    def _remember_noted(self, due: Mapping[bytes, object], now_s: float) -> None:
        self._key_noted_at_s.update(dict.fromkeys(due, now_s))
        if len(self._key_noted_at_s) > 100_000:
            self._key_noted_at_s = {
                key_id: at_s
                for key_id, at_s in self._key_noted_at_s.items()
                if now_s - at_s < KEY_USE_INTERVAL_S
            }


def old_secret_uses(batch: Batch, standing: frozenset[bytes]) -> OldSecretUses:
    """Return the batch's calls with old secrets, those left out that stand in the ledger already."""
    uses: dict[UUID, tuple[int, datetime, str]] = {}
    for admission, _ in batch.calls:
        if admission.by_previous_secret and admission.call_id not in standing:
            key_id, at = UUID(bytes=admission.key_id), _moment(admission.admitted_at_us)
            calls, latest, peer = uses.get(key_id, (0, at, admission.peer))
            if latest <= at:
                latest, peer = at, admission.peer
            uses[key_id] = (calls + 1, latest, peer)
    return uses


def _adjustment(end: End) -> dict[str, object]:
    counts = (
        "http_status",
        "input_tokens",
        "cached_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_micro_usd",
        "duration_us",
        "answer_bytes",
        "input_audio_tokens",
        "output_audio_tokens",
    )
    return {
        "id": UUID(bytes=end.call_id),
        "kind": AdjustmentKind.LATE_END.value,
        "status": end.status.value,
        "code": plain_text(end.code),
        "usage_estimated": end.usage_estimated,
        **{name: min(max(getattr(end, name), 0), COUNT_MAX) for name in counts},
    }


def _moment(unix_us: int) -> datetime:
    return datetime.fromtimestamp(min(max(unix_us, 0), MOMENT_US_MAX) / 1_000_000, tz=UTC)
