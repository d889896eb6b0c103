"""Whoever changes a deciding table, the change log names what changed; what decides nothing stays silent."""

import datetime
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Manager

from accounts.audit import COMMAND
from accounts.key_use import note_key_use
from accounts.models import ApiKey, AuditEntry, KeyUse, Membership, ServiceAccount, Team, User
from accounts.models.keys import Scope
from accounts.tasks import KEEP_CHANGES_MINUTES, forget_changes
from accounts.writes.keys import revoke_key
from models_registry.models import AiModel, Deployment, Grant, KeyModel, Limit, Provider
from models_registry.writes.grants import end_grant, grant_model, narrow_key
from portal.lib.clock import utc_now
from tests.accounts.rows import (
    REASON,
    new_account,
    new_key,
    new_member,
    new_name,
    new_team,
    tomorrow,
)
from tests.models_registry.rows import new_deployment, new_limit, new_model, new_provider

pytestmark = pytest.mark.django_db

Noted = set[tuple[str, uuid.UUID | None]]


@contextmanager
def noting() -> Iterator[Noted]:
    """Collect what the change log gets while the block runs."""
    noted: Noted = set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM accounts_change")
        (last,) = cursor.fetchone()
        yield noted
        cursor.execute("SELECT topic, ref FROM accounts_change WHERE id > %s", [last])
        noted.update(cursor.fetchall())


def run_sql(statement: str, *values: uuid.UUID | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def grant_to(holder: Team | ServiceAccount) -> Grant:
    return grant_model(
        new_model(), to=holder, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND
    )


Row = (
    ApiKey
    | Team
    | ServiceAccount
    | User
    | Membership
    | Grant
    | KeyModel
    | Provider
    | AiModel
    | Deployment
    | Limit
)


def new_api_key() -> ApiKey:
    return new_key().key


def new_membership() -> Membership:
    return new_member(new_team()).memberships.get()


def new_key_model() -> KeyModel:
    key = new_key().key
    narrow_key(key, models=[new_model()], actor=COMMAND)
    return KeyModel.objects.get(key=key)


# table: (a new row, topic, the id it is about, a column and a value for an UPDATE)
TABLES: dict[str, tuple[Callable[[], Row], str, str, str, object]] = {
    "key": (new_api_key, "key", "pk", "name", "Second"),
    "team": (new_team, "team", "pk", "cost_centre", "12"),
    "service account": (new_account, "service_account", "pk", "description", "x"),
    "person": (lambda: new_member(new_team()), "person", "pk", "name", "Ada"),
    "membership": (
        new_membership,
        "person",
        "person_id",
        "role",
        "owner",
    ),
    "team's grant": (lambda: grant_to(new_team()), "team", "team_id", "scopes", ["embeddings"]),
    "account's grant": (
        lambda: grant_to(new_account()),
        "service_account",
        "service_account_id",
        "scopes",
        ["embeddings"],
    ),
    "key's model": (new_key_model, "key", "key_id", "key_id", None),
    "provider": (new_provider, "registry", "pk", "base_url", "http://127.0.0.2:1/v1"),
    "model": (new_model, "registry", "pk", "description", "x"),
    "key's limit": (lambda: new_limit(key=new_api_key()), "key", "key_id", "amount", 2),
    "account's limit": (
        lambda: new_limit(service_account=new_account()),
        "service_account",
        "service_account_id",
        "amount",
        2,
    ),
    "person's limit": (
        lambda: new_limit(person=new_member(new_team())),
        "person",
        "person_id",
        "amount",
        2,
    ),
    "team's limit": (lambda: new_limit(team=new_team()), "team", "team_id", "amount", 2),
    "model's limit": (lambda: new_limit(model=new_model()), "registry", "model_id", "amount", 2),
    "deployment": (new_deployment, "registry", "pk", "enabled", False),
}
each_table = pytest.mark.parametrize("case", TABLES.values(), ids=TABLES)
Case = tuple[Callable[[], Row], str, str, str, object]


@each_table
def test_new_row_is_noted(case: Case) -> None:
    make, topic, about, *_ = case
    with noting() as noted:
        row = make()
    assert (topic, getattr(row, about)) in noted


@each_table
def test_update_is_noted_by_the_orm_in_bulk_and_in_raw_sql(case: Case) -> None:
    make, topic, about, column, value = case
    row = make()
    ref = getattr(row, about)
    value = getattr(row, column) if value is None else value
    table = row._meta.db_table
    with noting() as by_save:
        setattr(row, column, value)
        row.save(update_fields=[column])
    with noting() as in_bulk:
        everything: Manager[Any] = type(row)._default_manager
        everything.filter(pk=row.pk).update(**{column: value})
    with noting() as in_sql:
        run_sql(f"UPDATE {table} SET {column} = {column} WHERE id = %s", row.pk)  # noqa: S608
    assert by_save == in_bulk == in_sql == {(topic, ref)}


@each_table
def test_deletion_is_noted_by_the_orm_and_in_raw_sql(case: Case) -> None:
    make, topic, about, *_ = case
    row, other = make(), make()
    ref, other_ref = getattr(row, about), getattr(other, about)
    table = row._meta.db_table
    with noting() as by_orm:
        row.delete()
    assert (topic, ref) in by_orm
    if isinstance(other, User):
        other.memberships.all().delete()
    with noting() as in_sql:
        run_sql(f"DELETE FROM {table} WHERE id = %s", other.pk)  # noqa: S608
    assert in_sql == {(topic, other_ref)}


@each_table
def test_statement_that_touches_no_row_is_not_noted(case: Case) -> None:
    table = case[0]()._meta.db_table
    with noting() as noted:
        run_sql(f"UPDATE {table} SET id = id WHERE false")  # noqa: S608
        run_sql(f"DELETE FROM {table} WHERE false")  # noqa: S608
    assert noted == set()


def test_row_that_moves_is_noted_at_both_ends() -> None:
    membership = new_member(new_team()).memberships.get()
    before, after = membership.person_id, new_member(new_team()).pk
    with noting() as noted:
        Membership.objects.filter(pk=membership.pk).update(person_id=after)
    assert noted == {("person", before), ("person", after)}


def test_cascade_of_a_team_names_all_that_goes_with_it() -> None:
    account = new_account()
    key = new_key(account).key
    member = new_member(account.team)
    grant_to(account)
    with noting() as noted:
        account.team.delete()
    assert {
        ("team", account.team_id),
        ("service_account", account.pk),
        ("key", key.pk),
        ("person", member.pk),
    } <= noted


def test_deleted_model_names_the_teams_that_had_it() -> None:
    grant = grant_to(new_team())
    with noting() as noted:
        grant.model.delete()
    assert noted == {("registry", grant.model_id), ("team", grant.team_id)}


def test_writes_that_take_rights_away_are_noted() -> None:
    key, grant = new_key().key, grant_to(new_team())
    with noting() as noted:
        revoke_key(key, actor=COMMAND, reason=REASON)
        end_grant(grant, actor=COMMAND, reason=REASON)
    assert noted == {("key", key.pk), ("team", grant.team_id)}


@pytest.mark.parametrize(("rows", "said"), [(500, "team"), (501, "all")])
def test_more_than_500_ids_in_one_statement_say_all(rows: int, said: str) -> None:
    teams = [Team(name=new_name("bulk"), slug=new_name("bulk")) for _ in range(rows)]
    with noting() as noted:
        Team.objects.bulk_create(teams, batch_size=rows)
    assert {topic for topic, _ in noted} == {said}
    assert len(noted) == (rows if said == "team" else 1)


def test_many_rows_about_few_ids_name_the_ids() -> None:
    key = new_key().key
    models = AiModel.objects.bulk_create(
        AiModel(name=new_name("bulk"), kind="chat", context_tokens=1) for _ in range(600)
    )
    with noting() as noted:
        KeyModel.objects.bulk_create(KeyModel(key=key, model=model) for model in models)
    assert noted == {("key", key.pk)}


def test_truncation_says_all(migrator_url: str) -> None:
    triggers = [
        f"latchkey_note_key_id_{event}" for event in ("insert", "update", "delete", "truncate")
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = 'accounts_apikey'::regclass AND NOT tgisinternal"
        )
        assert {name for (name,) in cursor.fetchall()} == set(triggers)


def test_last_use_ledger_and_audit_are_not_noted() -> None:
    key = new_key().key
    connection.ensure_connection()
    with noting() as noted:
        note_key_use(connection.connection, {key.pk: (utc_now(), "127.0.0.1")})
        KeyUse.objects.filter(key=key).update(last_used_at=utc_now())
        AuditEntry.objects.create(tag="test", actor_kind="command", subject_kind="test")
        run_sql(
            "INSERT INTO proxy_adjustment (call_id, kind, status, http_status, code, usage_estimated,"
            " input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_micro_usd, duration_us,"
            " answer_bytes) VALUES (%s, 'late_end', 'answered', 200, '', false, 0, 0, 0, 0, 0, 0, 0)",
            uuid.uuid4(),
        )
    assert noted == set()


def test_old_changes_are_forgotten_and_young_ones_kept() -> None:
    new_team()
    with noting() as noted:
        team = new_team()
    assert noted == {("team", team.pk)}
    young = datetime.timedelta(minutes=KEEP_CHANGES_MINUTES)
    assert young > datetime.timedelta(minutes=30)
    forget_changes()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM accounts_change WHERE ref = %s", [team.pk])
        assert cursor.fetchone() == (1,)
