"""Keys are rotated at the age that they or their data ask for, and the new secret goes to whoever holds the old one."""

import datetime
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, HandOver, Notification, ServiceAccount
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.key_rotation import end_old_secret, rotate_key
from accounts.writes.key_schedule import hand_over, rotate_by_schedule, set_rotation
from accounts.writes.keys import IssuedKey, issue_key, revoke_key
from accounts.writes.teams import disable_service_account
from models_registry.due_rotations import rotate_due_keys
from models_registry.models import DataClass
from models_registry.writes.grants import grant_model
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_name
from tests.asking_api import Asker, code_of, data_of, personal_key
from tests.models_registry.rows import new_offer
from tests.proxy.loading import loaded

DAY = datetime.timedelta(days=1)


@pytest.fixture(autouse=True)
def policy(settings: Settings) -> Settings:
    """The house demands nothing."""
    settings.LATCHKEY_KEY_MAX_AGE_DAYS = {}
    return settings


def aged(days: float, account: ServiceAccount | None = None) -> IssuedKey:
    """A key that was made so long ago and lasts for a year."""
    account = account or new_account()
    issued = issue_key(
        account.team,
        holder=account,
        name=new_name("key"),
        scopes=[Scope.CHAT],
        expires_at=utc_now() + 365 * DAY,
        actor=COMMAND,
    )
    ApiKey.objects.filter(pk=issued.key.pk).update(created_at=utc_now() - days * DAY)
    return issued


def fresh(key: ApiKey) -> ApiKey:
    return ApiKey.objects.get(pk=key.pk)


def look() -> None:
    rotate_due_keys(now=utc_now())


def fetch(text: str, **headers: Any) -> Any:
    return Asker(text=text).post("keys/hand-over", **headers)


@pytest.mark.django_db
def test_key_is_rotated_at_the_age_it_asks_for_and_handed_over_once() -> None:
    young, old, never = aged(29), aged(31), aged(300)
    for issued in (young, old):
        set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    assert [fresh(one.key).rotated_at is not None for one in (young, old, never)] == [
        False,
        True,
        False,
    ]
    assert loaded(old.text)
    assert code_of(fetch(young.text)) == "not_found"
    given = data_of(fetch(old.text))
    assert loaded(given["text"])
    ends_at = datetime.datetime.fromisoformat(given["old_secret_ends_at"])
    assert ends_at == fresh(old.key).previous_ends_at
    assert abs(ends_at - utc_now() - 7 * DAY) < datetime.timedelta(minutes=1)
    for text in (old.text, given["text"]):
        assert code_of(fetch(text)) == "not_found"
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_HANDED_OVER, subject_id=old.key.pk)
    assert (entry.actor_kind, entry.facts) == ("system", {})


@pytest.mark.django_db
def test_looking_again_rotates_and_tells_nothing_twice() -> None:
    owner = new_member((account := new_account()).team, Role.OWNER)
    issued = aged(31, account)
    set_rotation(issued.key, days=30, actor=COMMAND)
    for _ in range(3):
        look()
    told = Notification.objects.filter(facts__key_id=str(issued.key.pk))
    assert [(row.kind, row.person_id) for row in told] == [("key_rotated", owner.pk)]
    assert loaded(data_of(fetch(issued.text))["text"])
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_ROTATED, subject_id=issued.key.pk)
    assert entries.count() == 1


@pytest.mark.django_db
def test_new_secret_that_nobody_fetches_is_warned_of() -> None:
    owner = new_member((account := new_account()).team, Role.OWNER)
    fetched, left = aged(31, account), aged(31, account)
    for issued in (fetched, left):
        set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    assert fetch(fetched.text).status_code == 200
    ends_at = fresh(left.key).previous_ends_at
    assert ends_at is not None
    for hours in (71, 70, 23, 22):
        rotate_due_keys(now=ends_at - datetime.timedelta(hours=hours))
    for issued, days in ((fetched, [None]), (left, [None, 3, 1])):
        told = Notification.objects.filter(facts__key_id=str(issued.key.pk), person=owner)
        assert [row.facts.get("days") for row in told.order_by("pk")] == days


@pytest.mark.django_db
def test_strictest_class_of_data_that_a_key_reaches_demands_its_age(policy: Settings) -> None:
    policy.LATCHKEY_KEY_MAX_AGE_DAYS = {"secret": 30, "public": 90}
    until = utc_now() + 300 * DAY
    keys = {}
    for data_class in (DataClass.SECRET, DataClass.PUBLIC, DataClass.INTERNAL):
        account = new_account()
        model = new_offer(data_class=data_class)
        grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=until, actor=COMMAND)
        keys[data_class] = aged(60, account)
    # What a key asks for itself cannot put off what its data demand.
    set_rotation(keys[DataClass.SECRET].key, days=365, actor=COMMAND)
    look()
    assert {name for name, one in keys.items() if fresh(one.key).rotated_at} == {DataClass.SECRET}


@pytest.mark.django_db
def test_new_secret_is_kept_sealed_for_its_own_key() -> None:
    one, other = aged(31), aged(31)
    for issued in (one, other):
        set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    rows = {row.key_id: bytes(row.sealed) for row in HandOver.objects.all()}
    assert all(b"lk_" not in sealed for sealed in rows.values())
    HandOver.objects.filter(key=one.key).update(sealed=rows[other.key.pk])
    assert code_of(fetch(one.text)) == "not_found"
    assert fetch(other.text).status_code == 200


@pytest.mark.django_db
def test_new_secret_waits_for_the_overlap_alone() -> None:
    issued = aged(31)
    set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    ApiKey.objects.filter(pk=issued.key.pk).update(previous_ends_at=utc_now())
    assert hand_over(fresh(issued.key)) is None
    assert code_of(fetch(issued.text)) == "invalid_credential"
    look()
    assert not HandOver.objects.filter(key=issued.key).exists()


def ended(key: ApiKey) -> None:
    end_old_secret(key, actor=COMMAND)


def replaced(key: ApiKey) -> None:
    rotate_key(key, actor=COMMAND, new_was_lost=True)


@pytest.mark.django_db
@pytest.mark.parametrize("act", [ended, replaced])
def test_new_secret_that_is_none_any_more_is_not_handed_over(act: Any) -> None:
    issued = aged(31)
    set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    assert HandOver.objects.filter(key=issued.key).exists()
    act(issued.key)
    assert not HandOver.objects.filter(key=issued.key).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("spoil", ["revoked", "disabled", "ended", "two secrets"])
def test_key_that_cannot_be_rotated_is_left_alone(spoil: str) -> None:
    account = new_account()
    issued, sound = aged(31, account), aged(31)
    for one in (issued, sound):
        set_rotation(one.key, days=30, actor=COMMAND)
    if spoil == "revoked":
        revoke_key(issued.key, actor=COMMAND, reason=REASON)
    elif spoil == "disabled":
        disable_service_account(account, actor=COMMAND, reason=REASON)
    elif spoil == "ended":
        ApiKey.objects.filter(pk=issued.key.pk).update(expires_at=utc_now())
    else:
        rotate_key(issued.key, actor=COMMAND)
    digest = bytes(fresh(issued.key).digest)
    look()
    assert bytes(fresh(issued.key).digest) == digest
    assert fresh(sound.key).rotated_at is not None


@pytest.mark.django_db
def test_whoever_holds_no_old_secret_is_handed_nothing() -> None:
    issued = aged(31)
    set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    other = new_key(fresh(issued.key).service_account)
    assert code_of(fetch(other.text)) == "not_found"
    person = new_member(issued.key.team, Role.OWNER)
    assert code_of(fetch(personal_key(person, issued.key.team).text)) == "not_found"
    assert code_of(fetch("lk_nothing")) == "invalid_credential"
    assert Asker(person=person).post("keys/hand-over").status_code == 401
    assert fetch(issued.text).status_code == 200


@pytest.mark.django_db
def test_lost_answer_is_repeated_under_its_idempotency_key() -> None:
    issued = aged(31)
    set_rotation(issued.key, days=30, actor=COMMAND)
    look()
    first, second = (data_of(fetch(issued.text, Idempotency_Key="a")) for _ in range(2))
    assert first == second
    assert code_of(fetch(issued.text, Idempotency_Key="b")) == "not_found"


@pytest.mark.django_db
@pytest.mark.parametrize("days", [6, 366, 0, -1])
def test_age_out_of_bounds_is_refused(days: int) -> None:
    issued = aged(31)
    with pytest.raises(ValidationError):
        set_rotation(issued.key, days=days, actor=COMMAND)
    set_rotation(issued.key, days=30, actor=COMMAND)
    set_rotation(issued.key, days=30, actor=COMMAND)
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_ROTATION_SET, subject_id=issued.key.pk)
    assert [entry.facts for entry in entries] == [{"days": 30}]


@pytest.mark.django_db
def test_worker_that_is_killed_in_a_rotation_leaves_the_key_as_it_was() -> None:
    issued = aged(31)
    with transaction.atomic():
        assert rotate_by_schedule(issued.key, older_than=utc_now())
        transaction.set_rollback(True)
    assert loaded(issued.text)
    assert fresh(issued.key).rotated_at is None
    assert not HandOver.objects.filter(key=issued.key).exists()


def test_two_workers_at_once_rotate_a_key_once(committed: None) -> None:
    issued = aged(31)

    def rotate() -> bool:
        try:
            return rotate_by_schedule(issued.key, older_than=utc_now() - 30 * DAY)
        finally:
            connection.close()

    try:
        with ThreadPoolExecutor(4) as threads:
            done = [one.result(20) for one in [threads.submit(rotate) for _ in range(4)]]
        assert sorted(done) == [False, False, False, True]
        assert loaded(issued.text)
        text = hand_over(fresh(issued.key))
        assert text is not None
        assert loaded(text)
    finally:
        issued.key.team.delete()
