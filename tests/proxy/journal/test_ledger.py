from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Thread
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.call import CallStatus
from proxy.journal.copy_line import STAGING_COLUMNS, copy_line
from proxy.journal.ledger import Connection, Ledger
from proxy.journal.reader import Batch
from proxy.journal.records import (
    Admission,
    End,
    decode_record,
    interrupted_end,
)
from tests.proxy.journal.calls import admission, bytes_of, end_of, uuid_of
from tests.proxy.journal.conftest import Rows

CALL = "SELECT * FROM proxy_call WHERE id = %s"
ADJUSTMENTS = (
    "SELECT status, output_tokens, cost_micro_usd FROM proxy_adjustment WHERE call_id = %s"
)


@pytest.fixture
def ledger(django_db_setup: None, database_url: str) -> Iterator[Ledger]:
    """A ledger whose writes are committed."""
    ledger = Ledger(database_url)
    yield ledger
    ledger.close()


def ended(call: Admission) -> Batch:
    return Batch(calls=[(call, end_of(call))])


def interrupted(call: Admission) -> Batch:
    return Batch(calls=[(call, interrupted_end(call))])


def test_every_field_of_the_records_stands_in_its_column(ledger: Ledger, ledger_rows: Rows) -> None:
    call = admission(admitted_at_us=1_790_000_000_123_456, person_id=bytes(16))
    end = end_of(call, code="a_code", usage_estimated=True)
    ledger.write(Batch(calls=[(call, end)]))
    names = [
        row[0]
        for row in ledger_rows(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'proxy_call'::regclass "
            "AND attnum > 0 ORDER BY attnum"
        )
    ]
    row = dict(zip(map(str, names), ledger_rows(CALL, uuid_of(call))[0], strict=True))
    assert row.pop("admitted_at") == datetime(2026, 9, 21, 14, 13, 20, 123456, tzinfo=UTC)
    for name, value in row.items():
        source = "call_id" if name == "id" else name
        expected = getattr(end, source, None) if hasattr(end, source) else getattr(call, source)
        assert value == (UUID(bytes=expected) if isinstance(expected, bytes) else expected), name


def test_the_same_batch_sent_again_changes_nothing(ledger: Ledger, ledger_rows: Rows) -> None:
    call = admission()
    ledger.write(ended(call))
    before = ledger_rows(CALL, uuid_of(call))
    ledger.write(ended(call))
    ledger.write(Batch(late_ends=[end_of(call, output_tokens=9)]))
    ledger.write(interrupted(call))
    assert ledger_rows(CALL, uuid_of(call)) == before
    assert ledger_rows(ADJUSTMENTS, uuid_of(call)) == []
    assert ledger_rows("SELECT count(*) FROM proxy_call_staging") == [(0,)]


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_late_end_becomes_an_adjustment_once(
    ledger: Ledger, ledger_rows: Rows, *, is_alone: bool
) -> None:
    call = admission()
    ledger.write(interrupted(call))
    late = Batch(late_ends=[end_of(call)]) if is_alone else ended(call)
    for _ in range(3):
        ledger.write(late)
    assert ledger_rows("SELECT status FROM proxy_call WHERE id = %s", uuid_of(call)) == [
        ("interrupted",)
    ]
    assert ledger_rows(ADJUSTMENTS, uuid_of(call)) == [("answered", 233, 4100)]


def test_a_late_end_of_an_unknown_call_is_no_row(ledger: Ledger, ledger_rows: Rows) -> None:
    call = admission()
    ledger.write(Batch(late_ends=[end_of(call)]))
    assert ledger_rows(CALL, uuid_of(call)) == []
    assert ledger_rows(ADJUSTMENTS, uuid_of(call)) == []


@pytest.mark.time_limit_s(30)
def test_an_end_racing_its_interruption_is_never_lost(
    ledger: Ledger, ledger_rows: Rows, database_url: str
) -> None:
    call = admission()
    with psycopg.connect(database_url) as other:
        lines = copy_line("0" * 32, call, interrupted_end(call))
        with other.cursor() as cursor:
            with cursor.copy(
                f"COPY proxy_call_staging ({','.join(STAGING_COLUMNS)}) FROM STDIN"
            ) as copy:
                copy.write(lines + "\n")
            columns = ",".join(
                name for name in STAGING_COLUMNS if name not in ("batch_id", "admitted_at_us")
            )
            cursor.execute(
                f"INSERT INTO proxy_call ({columns}, admitted_at) "  # noqa: S608 - constants.
                f"SELECT {columns}, now() FROM proxy_call_staging WHERE batch_id = %s",
                [UUID(int=0)],
            )
            cursor.execute("DELETE FROM proxy_call_staging WHERE batch_id = %s", [UUID(int=0)])
            # The end arrives while the interruption is not committed yet, and has to wait for it.
            writer = Thread(target=ledger.write, args=[ended(call)])
            writer.start()
            writer.join(0.5)
            assert writer.is_alive()
        other.commit()
        writer.join(10)
    assert ledger_rows(ADJUSTMENTS, uuid_of(call)) == [("answered", 233, 4100)]


counts = st.integers(-(2**66), 2**66)
any_text = st.text(st.characters(), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    peer=any_text,
    request_id=any_text,
    purpose=any_text,
    code=any_text,
    at_us=counts,
    tokens=counts,
    status=st.sampled_from(CallStatus),
)
def test_no_record_can_hold_up_the_ledger(
    *,
    ledger: Ledger,
    ledger_rows: Rows,
    peer: str,
    request_id: str,
    purpose: str,
    code: str,
    at_us: int,
    tokens: int,
    status: CallStatus,
) -> None:
    call = decode_record(
        bytes_of(admission(admitted_at_us=at_us, peer=peer, request_id=request_id, purpose=purpose))
    )
    assert isinstance(call, Admission)
    end = decode_record(bytes_of(end_of(call, code=code, status=status, input_tokens=tokens)))
    assert isinstance(end, End)
    ledger.write(Batch(calls=[(call, end)]))
    written = ledger_rows(
        "SELECT peer, request_id, purpose, code FROM proxy_call WHERE id = %s", uuid_of(call)
    )
    assert written == [
        tuple(t.replace("\0", "") for t in (call.peer, call.request_id, call.purpose, end.code))
    ]
    ledger.write(Batch(calls=[(call, interrupted_end(call))], late_ends=[end]))


def test_a_batch_is_booked_whole_or_not_at_all(ledger: Ledger, ledger_rows: Rows) -> None:
    good = admission()
    with pytest.raises(psycopg.Error):
        ledger.write(Batch(calls=[(good, end_of(good)), (admission(team_id=b"x"), end_of(good))]))
    assert ledger_rows(CALL, uuid_of(good)) == []
    ledger.write(ended(good))
    assert len(ledger_rows(CALL, uuid_of(good))) == 1


def test_a_key_s_use_is_noted_at_most_once_a_minute(
    django_db_setup: None, database_url: str
) -> None:
    noted: list[dict[UUID, tuple[datetime, str]]] = []

    def note(connection: Connection, uses: object) -> None:
        connection.execute("SELECT 1")
        noted.append(dict(uses))  # type: ignore[call-overload]

    ledger = Ledger(database_url, note_key_use=note)
    first, second = bytes(16), bytes([1] * 16)
    ledger.note_key_uses({first: (1_000_000, "10.0.0.1")})
    ledger.note_key_uses({first: (2_000_000, "10.0.0.1"), second: (2_000_000, "10.0.0.2")})
    ledger.note_key_uses({first: (3_000_000, "10.0.0.1")})
    ledger.close()
    assert noted == [
        {UUID(bytes=first): (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "10.0.0.1")},
        {UUID(bytes=second): (datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), "10.0.0.2")},
    ]


def test_calls_with_old_secrets_are_counted_once_however_often_they_are_sent(
    django_db_setup: None, database_url: str
) -> None:
    noted: list[dict[UUID, tuple[int, datetime, str]]] = []

    def note(connection: Connection, uses: object) -> None:
        noted.append(dict(uses))  # type: ignore[call-overload]
        if len(noted) == 1:
            # A fault of the counting is not one of the ledger.
            connection.execute("SELECT 1/0")

    key = bytes(15) + b"k"
    calls = [
        admission(key_id=key, admitted_at_us=at, peer=f"10.0.0.{at}", by_previous_secret=is_old)
        for at, is_old in ((2, True), (1, True), (3, False))
    ]
    ledger = Ledger(database_url, note_old_secret_use=note)
    ledger.write(ended(admission(by_previous_secret=True)))
    for _ in range(2):
        ledger.write(Batch(calls=[(call, end_of(call)) for call in calls]))
    later = admission(key_id=key, admitted_at_us=4, peer="10.0.0.4", by_previous_secret=True)
    ledger.write(Batch(calls=[(call, end_of(call)) for call in [*calls, later]]))
    ledger.close()
    moments = [datetime(1970, 1, 1, 0, 0, 0, at, tzinfo=UTC) for at in (2, 4)]
    assert noted[1:] == [
        {UUID(bytes=key): (2, moments[0], "10.0.0.2")},
        {UUID(bytes=key): (1, moments[1], "10.0.0.4")},
    ]
