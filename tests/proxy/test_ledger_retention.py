"""Old months of calls go whole, with their corrections, by one function; nothing else can take a call away."""

import uuid
from datetime import UTC, datetime

import psycopg
import pytest
from pytest_django.fixtures import Settings

from proxy.journal.ledger import ADJUST
from proxy.models import UsageDay, UsageHour, first_id_at
from proxy.tasks import count_usage, drop_partitions
from proxy.usage.rollup import MS_PER_HOUR, recount_hour
from tests.accounts.conftest import committed
from tests.proxy.test_ledger_schema import Connection, application, insert_call, owner, partitions

__all__ = ["application", "committed", "owner"]


DROP = "SELECT latchkey_drop_partitions(%s::integer)"


def month_ago(months: int) -> datetime:
    """The beginning of the month so many months ago."""
    now = datetime.now(tz=UTC)
    years, month = divmod(now.year * 12 + now.month - 1 - months, 12)
    return datetime(years, month + 1, 1, tzinfo=UTC)


def unix_ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def partition_of(months: int) -> str:
    return f"proxy_call_y{month_ago(months):%Ym%m}"


def make_partition(connection: Connection, months: int) -> None:
    """Make the partition of an old month, as latchkey_make_partitions did in its time."""
    connection.execute(
        psycopg.sql.SQL(
            "CREATE TABLE {} PARTITION OF proxy_call FOR VALUES FROM ({}) TO ({})"
        ).format(
            psycopg.sql.Identifier(partition_of(months)),
            psycopg.sql.Literal(first_id_at(unix_ms(month_ago(months)))),
            psycopg.sql.Literal(first_id_at(unix_ms(month_ago(months - 1)))),
        )
    )


def call_in(months: int) -> uuid.UUID:
    """An id made in the tenth day or so of a month."""
    return uuid.UUID(int=first_id_at(unix_ms(month_ago(months)) + 230 * MS_PER_HOUR).int + 5)


def interrupt_and_correct(connection: Connection, call_id: uuid.UUID) -> None:
    insert_call(connection, call_id, status="interrupted")
    names = (
        "http_status", "usage_estimated", "input_tokens", "cached_tokens", "output_tokens",
        "reasoning_tokens", "cost_micro_usd", "duration_us", "answer_bytes", "input_audio_tokens",
        "output_audio_tokens",
    )  # fmt: skip
    values = dict.fromkeys(names, 0) | {"usage_estimated": False, "status": "answered"}
    connection.execute(ADJUST, values | {"id": call_id, "kind": "late_end", "code": ""})


def ids_in(connection: Connection, query: str, *ids: uuid.UUID) -> set[object]:
    return {row[0] for row in connection.execute(query, [list(ids)]).fetchall()}


def test_months_older_than_those_kept_go_with_their_corrections(owner: Connection) -> None:
    for months in (4, 3):
        make_partition(owner, months)
    gone, kept = call_in(4), call_in(3)
    for call_id in (gone, kept):
        interrupt_and_correct(owner, call_id)
    assert owner.execute(DROP, [3]).fetchone() == (1,)
    names = partitions(owner)
    assert partition_of(4) not in names
    assert {partition_of(3), partition_of(1), partition_of(0), "proxy_call_default"} <= set(names)
    assert owner.execute("SELECT to_regclass(%s)", [partition_of(4)]).fetchone() == (None,)
    calls = "SELECT id FROM proxy_call WHERE id = ANY(%s)"
    corrections = "SELECT call_id FROM proxy_adjustment WHERE call_id = ANY(%s)"
    assert ids_in(owner, calls, gone, kept) == {kept}
    assert ids_in(owner, corrections, gone, kept) == {kept}
    dropped = "SELECT month FROM proxy_droppedmonth WHERE month = ANY(%s)"
    months_asked = [month_ago(4), month_ago(3)]
    assert owner.execute(dropped, [months_asked]).fetchall() == [(month_ago(4),)]
    assert owner.execute(DROP, [3]).fetchone() == (0,)


def test_the_default_partition_stays_however_old_its_calls(owner: Connection) -> None:
    ancient = call_in(500)
    insert_call(owner, ancient)
    owner.execute(DROP, [1])
    assert ids_in(owner, "SELECT id FROM proxy_call WHERE id = ANY(%s)", ancient) == {ancient}


def test_the_guard_of_corrections_is_back_after_a_drop(owner: Connection) -> None:
    make_partition(owner, 4)
    owner.execute(DROP, [3])
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner.execute("DELETE FROM proxy_adjustment")


@pytest.mark.parametrize("months", [0, -1, 1201, None])
def test_at_least_one_whole_month_is_kept(application: Connection, months: int | None) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="from 1 to 1200"):
        application.execute(DROP, [months])


def test_keeping_one_month_spares_this_one_and_the_one_before(application: Connection) -> None:
    before = partitions(application)
    assert application.execute(DROP, [1]).fetchone() == (0,)
    assert partitions(application) == before
    assert {partition_of(1), partition_of(0)} <= set(before)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE proxy_call_default",
        "ALTER TABLE proxy_call DETACH PARTITION proxy_call_default",
        "ALTER TABLE proxy_adjustment DISABLE TRIGGER proxy_adjustment_append_only",
        "INSERT INTO proxy_droppedmonth (month, dropped_at) VALUES (now(), now())",
        "DELETE FROM proxy_droppedmonth",
        "ALTER FUNCTION latchkey_drop_partitions(integer) SECURITY INVOKER",
    ],
)
def test_the_application_can_drop_calls_in_no_other_way(
    application: Connection, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement)


def test_a_stranger_to_the_ledger_may_not_drop(owner: Connection) -> None:
    assert owner.execute(
        "SELECT has_function_privilege('pg_monitor', 'latchkey_drop_partitions(integer)', 'EXECUTE')"
    ).fetchone() == (False,)


def test_a_busy_ledger_is_left_alone_after_two_seconds(
    owner: Connection, application: Connection
) -> None:
    make_partition(owner, 4)
    owner.commit()
    with application.transaction():
        insert_call(application, call_in(0))
        with pytest.raises(psycopg.errors.LockNotAvailable):
            owner.execute(DROP, [3])
        owner.rollback()
        raise psycopg.Rollback
    assert owner.execute(DROP, [3]).fetchone() == (1,)
    owner.commit()


@pytest.fixture
def dropped_month(committed: None, owner: Connection) -> int:
    """How many months ago the month was whose one call was counted and dropped."""
    make_partition(owner, 5)
    insert_call(owner, call_in(5))
    owner.execute("INSERT INTO proxy_stalehour (hour) VALUES (%s)", [_hour_of(call_in(5))])
    owner.commit()
    count_usage()
    owner.execute(DROP, [4])
    owner.commit()
    return 5


def _hour_of(call_id: uuid.UUID) -> datetime:
    return datetime.fromtimestamp((call_id.int >> 80) // MS_PER_HOUR * 3600, tz=UTC)


def test_usage_of_a_dropped_month_stays_whatever_comes_later(
    dropped_month: int, owner: Connection
) -> None:
    call_id = call_in(dropped_month)
    rows = UsageHour.objects.filter(team_id=call_id)
    assert rows.count() == UsageDay.objects.filter(team_id=call_id).count() == 1
    insert_call(owner, uuid.UUID(int=call_id.int + 1))
    owner.execute("INSERT INTO proxy_stalehour (hour) VALUES (%s)", [_hour_of(call_id)])
    owner.commit()
    count_usage()
    assert not recount_hour((call_id.int >> 80) // MS_PER_HOUR)
    assert rows.count() == UsageDay.objects.filter(team_id=call_id).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("months", [0, 24, 10**12])
def test_the_task_takes_every_number_of_months(settings: Settings, months: int) -> None:
    settings.LATCHKEY_LEDGER_KEEP_MONTHS = months
    assert drop_partitions() == 0
