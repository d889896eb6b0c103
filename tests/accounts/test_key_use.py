import datetime
import threading
import uuid

import psycopg
import pytest
from django.db import connection as django_connection

from accounts.audit import COMMAND
from accounts.key_use import note_key_use, note_old_secret_use, use_of_old_secret
from accounts.models import ApiKey
from accounts.writes.key_rotation import end_old_secret, rotate_key
from portal.lib.clock import utc_now
from tests.accounts.rows import new_key

NOW = utc_now()


def noted(connection: psycopg.Connection, key: uuid.UUID) -> tuple[datetime.datetime, str] | None:
    return connection.execute(
        "SELECT last_used_at, last_peer FROM accounts_keyuse WHERE key_id = %s", [key]
    ).fetchone()


def note(connection: psycopg.Connection, key: uuid.UUID, after_s: float, peer: str) -> None:
    note_key_use(connection, {key: (NOW + datetime.timedelta(seconds=after_s), peer)})


def test_use_is_noted_at_most_once_a_minute(application: psycopg.Connection) -> None:
    key = uuid.uuid4()
    for after_s, peer in ((0, "first"), (1, "too soon"), (60, "on the minute")):
        note(application, key, after_s, peer)
        assert noted(application, key) == (NOW, "first")
    note(application, key, 60.001, "later")
    assert noted(application, key) == (NOW + datetime.timedelta(seconds=60.001), "later")


def test_older_use_never_replaces_a_younger_one(application: psycopg.Connection) -> None:
    key = uuid.uuid4()
    note(application, key, 0, "young")
    note(application, key, -3600, "old")
    assert noted(application, key) == (NOW, "young")


def test_no_use_and_many_uses_are_one_statement_each(application: psycopg.Connection) -> None:
    note_key_use(application, {})
    keys = [uuid.uuid4() for _ in range(2000)]
    note_key_use(application, dict.fromkeys(keys, (NOW, "2001:db8::1")))
    assert noted(application, keys[-1]) == (NOW, "2001:db8::1")


def test_two_shippers_with_the_same_keys_do_not_deadlock(database_url: str) -> None:
    keys = [uuid.uuid4() for _ in range(300)]
    faults: list[Exception] = []
    barrier = threading.Barrier(2)

    def ship(order: list[uuid.UUID]) -> None:
        try:
            with psycopg.connect(database_url, autocommit=True) as connection:
                for turn in range(20):
                    moment = NOW + datetime.timedelta(minutes=2 * turn)
                    barrier.wait(10)
                    with connection.transaction():
                        note_key_use(connection, dict.fromkeys(order, (moment, "127.0.0.1")))
        except Exception as fault:  # noqa: BLE001 - told in the test's own thread.
            faults.append(fault)
            barrier.abort()

    threads = [threading.Thread(target=ship, args=[order]) for order in (keys, keys[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert faults == []


def test_noting_waits_for_nobody_who_holds_the_key(
    application: psycopg.Connection, database_url: str
) -> None:
    application.execute("SET statement_timeout = '2s'")
    with psycopg.connect(database_url) as other:
        other.execute("SELECT id FROM accounts_apikey FOR UPDATE")
        note(application, uuid.uuid4(), 0, "127.0.0.1")


@pytest.mark.django_db
def test_calls_with_an_old_secret_are_counted_for_the_rotation_that_replaced_it() -> None:
    key, never_rotated = new_key().key, new_key().key
    connection = django_connection.connection

    def note(after_s: float, calls: int, peer: str, *keys: ApiKey) -> None:
        moment = utc_now() + datetime.timedelta(seconds=after_s)
        note_old_secret_use(connection, {one.pk: (calls, moment, peer) for one in keys})

    def told() -> tuple[int, str] | None:
        use = use_of_old_secret(ApiKey.objects.select_related("previous_use").get(pk=key.pk))
        return None if use is None else (use.calls, use.last_peer)

    note(1, 5, "never rotated", key, never_rotated)
    rotate_key(key, actor=COMMAND)
    assert told() is None
    note(-60, 7, "before the rotation", key)
    assert told() is None
    note(2, 3, "latest", key, never_rotated)
    note(1, 2, "earlier", key)
    assert told() == (5, "latest")
    end_old_secret(key, actor=COMMAND)
    rotate_key(key, actor=COMMAND)
    assert told() is None
    note(3, 1, "of the next", key)
    assert told() == (1, "of the next")
