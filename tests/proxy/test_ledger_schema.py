import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from django.core.management import call_command
from psycopg import sql

from proxy.journal.ledger import Ledger
from proxy.journal.reader import Batch
from proxy.models import Adjustment, Call, first_id_at
from proxy.tasks import make_partitions
from tests.proxy.journal.calls import admission, end_of, uuid_of

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def application(django_db_setup: None, database_url: str) -> Iterator[Connection]:
    """A connection as the application's role."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(django_db_setup: None, migrator_url: str) -> Iterator[Connection]:
    """A connection as the role that owns the tables, whose changes are taken back."""
    with psycopg.connect(migrator_url) as connection:
        yield connection
        connection.rollback()


def partitions(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'proxy_call'::regclass ORDER BY 1"
    )
    return [str(row[0]) for row in rows]


@pytest.mark.parametrize("table", ["proxy_call", "proxy_adjustment", "proxy_call_default"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET status = 'answered'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_the_application_may_not_change_the_ledger(
    application: Connection, statement: str, table: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(sql.SQL(statement).format(sql.Identifier(table)))


@pytest.mark.parametrize("table", ["proxy_call", "proxy_adjustment"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET status = 'answered'", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_a_privilege_granted_by_mistake_does_not_open_the_ledger(
    owner: Connection, statement: str, table: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner.execute(sql.SQL(statement).format(sql.Identifier(table)))


def test_the_application_has_no_privilege_on_any_partition(application: Connection) -> None:
    names = partitions(application)
    assert len(names) >= 6
    for name in names:
        rows = application.execute(
            "SELECT bool_or(has_table_privilege(%s, what)) FROM "
            "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS what",
            [name],
        ).fetchone()
        assert rows == (False,), name


def test_a_partition_made_under_default_privileges_grants_nothing(owner: Connection) -> None:
    owner.execute("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC")
    before = set(partitions(owner))
    owner.execute("SELECT latchkey_make_partitions(20)")
    [made, *_] = set(partitions(owner)) - before
    assert owner.execute(
        "SELECT has_table_privilege('pg_monitor', %s, 'DELETE')", [made]
    ).fetchone() == (False,)


def test_rows_that_came_before_their_partition_move_into_it(owner: Connection) -> None:
    owner.execute("SELECT latchkey_make_partitions(3)")
    later = owner.execute(
        "SELECT extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + interval '23 months 9 days')::bigint"
    ).fetchone()
    assert later is not None
    call_id = uuid.UUID(int=first_id_at(int(str(later[0])) * 1000).int + 5)
    insert_call(owner, call_id)
    where = "SELECT tableoid::regclass::text FROM proxy_call WHERE id = %s"
    assert owner.execute(where, [call_id]).fetchone() == ("proxy_call_default",)
    owner.execute("SELECT latchkey_make_partitions(24)")
    moment = datetime.fromtimestamp(int(str(later[0])), tz=UTC)
    assert owner.execute(where, [call_id]).fetchone() == (f"proxy_call_y{moment:%Y}m{moment:%m}",)


def insert_call(connection: Connection, call_id: uuid.UUID, **changes: object) -> None:
    """Insert a call of this id, with nothing in its other columns but the changes."""
    columns: dict[str, object] = {
        str(field.column): "" if field.get_internal_type() == "TextField" else 0
        for field in Call._meta.concrete_fields
        if not field.null
    }
    columns |= {"id": call_id, "team_id": call_id, "key_id": call_id, "stream": False}
    columns |= {"usage_estimated": False, "admitted_at": datetime.now(tz=UTC)}
    columns |= changes
    connection.execute(
        sql.SQL("INSERT INTO proxy_call ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        ),
        list(columns.values()),
    )


def test_a_call_goes_into_the_partition_of_its_month(
    application: Connection, database_url: str
) -> None:
    call = admission()
    ledger = Ledger(database_url)
    ledger.write(Batch(calls=[(call, end_of(call))]))
    ledger.close()
    row = application.execute(
        "SELECT tableoid::regclass::text FROM proxy_call WHERE id = %s", [uuid_of(call)]
    ).fetchone()
    assert row == (f"proxy_call_y{datetime.now(tz=UTC):%Ym%m}",)


@pytest.mark.parametrize("months", [-1, 25, None])
def test_no_more_than_two_years_of_partitions_are_made(
    application: Connection, months: int | None
) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="from 0 to 24"):
        application.execute("SELECT latchkey_make_partitions(%s::integer)", [months])


def test_making_partitions_waits_for_no_writer(application: Connection, owner: Connection) -> None:
    with application.transaction():
        insert_call(application, uuid_of(admission()))
        owner.execute("SET LOCAL statement_timeout = '5s'")
        owner.execute("SELECT latchkey_make_partitions(21)")
        insert_call(application, uuid_of(admission()))
        raise psycopg.Rollback


@pytest.mark.django_db
def test_the_task_makes_what_is_missing_and_then_nothing() -> None:
    make_partitions()
    assert make_partitions() == 0


@pytest.mark.django_db
def test_the_models_read_what_the_migration_made() -> None:
    assert list(Call.objects.filter(id=uuid.uuid4())) == []
    assert list(Adjustment.objects.filter(call_id=uuid.uuid4())) == []


@pytest.mark.django_db
def test_the_models_say_what_the_migration_made() -> None:
    call_command("makemigrations", "proxy", check=True, dry_run=True, verbosity=0)


def test_the_bound_of_a_moment_lies_below_its_ids() -> None:
    unix_ms = 1_790_000_000_000
    call_id = uuid.UUID(int=unix_ms << 80 | 7 << 76 | 2 << 62)
    assert call_id.version == 7
    assert first_id_at(unix_ms) < call_id < first_id_at(unix_ms + 1)
