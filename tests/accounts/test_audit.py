"""R16: no act without its entry, and no entry that the application could change."""

import uuid

import psycopg
import pytest
from psycopg import conninfo

from accounts.audit import COMMAND, SYSTEM, acting, record_audit
from accounts.models import AuditEntry
from accounts.models.audit import ActorKind, AuditTag
from tests.accounts.rows import new_key, new_person
from tests.services import Services

APPEND_ONLY = ["accounts_auditentry", "proxy_call", "proxy_adjustment", "proxy_call_default"]
REFUSED = {
    "UPDATE": "UPDATE {0} SET id = id",
    "UPDATE of nothing": "UPDATE {0} SET id = id WHERE false",
    "DELETE": "DELETE FROM {0}",
    "TRUNCATE": "TRUNCATE {0}",
    "DISABLE TRIGGER": "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "DROP TABLE": "DROP TABLE {0}",
    "OWNER": "ALTER TABLE {0} OWNER TO CURRENT_USER",
    "ADD COLUMN": "ALTER TABLE {0} ADD COLUMN note text",
    "RULE": "CREATE RULE quiet AS ON INSERT TO {0} DO INSTEAD NOTHING",
    "TRIGGER": (
        "CREATE TRIGGER quiet BEFORE INSERT ON {0} FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "MERGE": "MERGE INTO {0} AS t USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
}
WATCHED = [
    "accounts_apikey",
    "accounts_team",
    "accounts_serviceaccount",
    "accounts_user",
    "accounts_membership",
    "models_registry_grant",
    "models_registry_keymodel",
    "models_registry_provider",
    "models_registry_aimodel",
    "models_registry_deployment",
]


def test_entry_outside_a_transaction_is_refused(committed: None) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record_audit(AuditTag.TEAM_CREATED, actor=COMMAND, subject_kind="team", subject_id=None)


@pytest.mark.django_db
def test_entry_says_who_acted() -> None:
    person = new_person()
    for actor in (COMMAND, SYSTEM, acting(person)):
        subject = uuid.uuid4()
        record_audit(AuditTag.SIGNED_IN, actor=actor, subject_kind="test", subject_id=subject)
        entry = AuditEntry.objects.get(subject_id=subject)
        assert (entry.actor_kind, entry.actor_id) == (actor.kind, actor.id)
    assert acting(person).kind is ActorKind.PERSON


@pytest.mark.django_db
def test_secret_in_a_fact_is_redacted() -> None:
    issued, subject = new_key(), uuid.uuid4()
    record_audit(
        AuditTag.KEY_ISSUED,
        actor=COMMAND,
        subject_kind="test",
        subject_id=subject,
        text=issued.text,
        listed=[issued.text, "plain"],
        number=7,
        nothing=None,
    )
    facts = AuditEntry.objects.get(subject_id=subject).facts
    assert facts == {
        "text": "[redacted]",
        "listed": ["[redacted]", "plain"],
        "number": 7,
        "nothing": None,
    }


@pytest.mark.django_db
def test_entry_stands_when_its_person_is_gone() -> None:
    person = new_person()
    person_id = person.id
    person.delete()
    assert AuditEntry.objects.filter(subject_id=person_id, tag=AuditTag.PERSON_CREATED).exists()


def test_application_adds_and_reads_entries(application: psycopg.Connection) -> None:
    subject = uuid.uuid4()
    application.execute(
        "INSERT INTO accounts_auditentry (at, tag, actor_kind, subject_kind, subject_id, facts)"
        " VALUES (now(), 'test', 'command', 'test', %s, '{}')",
        [subject],
    )
    found = application.execute(
        "SELECT count(*) FROM accounts_auditentry WHERE subject_id = %s", [subject]
    ).fetchone()
    assert found == (1,)


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("table", APPEND_ONLY)
def test_application_cannot_rewrite_what_is_append_only(
    application: psycopg.Connection, table: str, statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(statement.format(table))


@pytest.mark.parametrize("role", ["owner", "superuser"])
@pytest.mark.parametrize("kind", ["UPDATE", "UPDATE of nothing", "DELETE", "TRUNCATE"])
def test_not_even_the_owner_rewrites_the_trail_by_mistake(
    role: str, kind: str, migrator_url: str, services: Services, database_url: str
) -> None:
    database = str(conninfo.conninfo_to_dict(database_url)["dbname"])
    superuser = conninfo.make_conninfo(services.superuser_url, dbname=database)
    url = migrator_url if role == "owner" else superuser
    with (
        psycopg.connect(url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute(REFUSED[kind].format("accounts_auditentry"))


def test_application_cannot_give_itself_more(application: psycopg.Connection) -> None:
    application.execute("GRANT UPDATE ON accounts_auditentry TO CURRENT_USER")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute("UPDATE accounts_auditentry SET id = id WHERE false")


@pytest.mark.parametrize("table", [*WATCHED, "accounts_auditentry", "proxy_call"])
def test_application_cannot_take_triggers_away(application: psycopg.Connection, table: str) -> None:
    triggers = application.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [table]
    ).fetchall()
    assert triggers
    for (trigger,) in triggers:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute(f'DROP TRIGGER "{trigger}" ON {table}')
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "CREATE OR REPLACE FUNCTION latchkey_note_changes() RETURNS trigger AS '' LANGUAGE sql",
        "DROP FUNCTION latchkey_note_changes() CASCADE",
        "SET ROLE latchkey_owner",
        "CREATE TABLE public.accounts_shadow (id int)",
        "SELECT setval('accounts_auditentry_id_seq', 1)",
        "TRUNCATE accounts_change",
        "INSERT INTO accounts_change (topic) VALUES ('all')",
        "UPDATE accounts_change SET topic = topic",
    ],
)
def test_application_cannot_get_around_the_triggers(
    application: psycopg.Connection, statement: str
) -> None:
    with pytest.raises(
        (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue)
    ):
        application.execute(statement)


def test_application_owns_nothing(application: psycopg.Connection) -> None:
    owned = application.execute(
        "SELECT relname FROM pg_class WHERE relowner = current_user::regrole"
    ).fetchall()
    assert owned == []
