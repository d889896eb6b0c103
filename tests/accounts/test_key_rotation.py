"""A key's secret is replaced while the old one still works, and no act leaves it in between."""

import datetime
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.audit import COMMAND
from accounts.credential import read_credential
from accounts.models import ApiKey, AuditEntry
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.writes.key_rotation import OVERLAP, OVERLAP_MAX, end_old_secret, rotate_key
from accounts.writes.keys import IssuedKey, issue_key, revoke_key
from accounts.writes.people import disable_person
from accounts.writes.teams import disable_service_account, disable_team
from portal.lib.clock import utc_now
from proxy.principal import Principal
from tests.accounts.rows import REASON, new_account, new_key, new_member, tomorrow
from tests.proxy.loading import loaded

HOUR = datetime.timedelta(hours=1)
WAIT_S = 10


def rotate(key: ApiKey, overlap: datetime.timedelta = HOUR, **facts: Any) -> IssuedKey:
    return rotate_key(key, overlap=overlap, actor=COMMAND, **facts)


def principal(text: str) -> Principal:
    found = loaded(text)
    assert found is not None
    return found


@pytest.mark.django_db
def test_both_secrets_are_the_same_caller_until_the_overlap_ends() -> None:
    first = new_key()
    before = utc_now()
    second = rotate(first.key)
    old, new = principal(first.text), principal(second.text)
    assert read_credential(second.text) is not None
    assert second.text != first.text
    assert (old.credential_id, new.credential_id) == (first.key.pk, first.key.pk)
    assert old.windows == new.windows
    assert (old.by_previous_secret, new.by_previous_secret) == (True, False)
    assert new.expires_at == first.key.expires_at
    assert before + HOUR <= old.expires_at <= utc_now() + HOUR


@pytest.mark.django_db
def test_old_secret_is_wrong_once_the_overlap_is_over_without_anybody_ending_it() -> None:
    first = new_key()
    second = rotate(first.key)
    ApiKey.objects.filter(pk=first.key.pk).update(previous_ends_at=utc_now())
    assert loaded(first.text) is None
    assert loaded(second.text) is not None


@pytest.mark.django_db
def test_rotation_without_an_overlap_ends_the_old_secret_at_once() -> None:
    first = new_key()
    second = rotate(first.key, datetime.timedelta())
    assert loaded(first.text) is None
    assert principal(second.text).credential_id == first.key.pk


@pytest.mark.django_db
def test_rotation_leaves_all_else_about_the_key_as_it_was() -> None:
    issued = new_key()
    kept = {"pepper_id", "digest", "rotated_at", "previous_pepper_id", "previous_digest"}
    kept |= {"previous_ends_at", "_state"}
    rotate(issued.key)
    old, new = vars(issued.key), vars(ApiKey.objects.get(pk=issued.key.pk))
    assert {name: new[name] for name in new.keys() - kept} == {
        name: old[name] for name in new.keys() - kept
    }
    assert bytes(new["previous_digest"]) == bytes(old["digest"])
    assert bytes(new["digest"]) != bytes(old["digest"])


@pytest.mark.django_db
def test_old_secret_never_outlives_the_key() -> None:
    issued = new_key()
    rotated = rotate(issued.key, OVERLAP_MAX)
    assert rotated.key.previous_ends_at == issued.key.expires_at < utc_now() + OVERLAP


@pytest.mark.django_db
def test_rotation_is_audited_and_neither_secret_stands_in_the_trail_or_in_sql() -> None:
    issued = new_key()
    seen: list[str] = []

    def watch(execute: Any, sql: str, params: Any, many: Any, context: Any) -> Any:
        seen.append(f"{sql} {params}")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        rotated = rotate(issued.key)
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_ROTATED, subject_id=issued.key.pk)
    assert rotated.key.previous_ends_at is not None
    assert entry.facts == {
        "old_secret_ends_at": rotated.key.previous_ends_at.isoformat(),
        "new_was_lost": False,
    }
    told = [*seen, json.dumps(entry.facts), repr(rotated)]
    for text in (issued.text, rotated.text):
        assert all(text.rpartition("_")[2] not in one for one in told)


@pytest.mark.django_db
def test_second_rotation_in_the_overlap_is_refused_and_breaks_neither_secret() -> None:
    first = new_key()
    second = rotate(first.key)
    with pytest.raises(ValidationError, match="old secret works until"):
        rotate(first.key)
    assert loaded(first.text) is not None
    assert loaded(second.text) is not None
    end_old_secret(first.key, actor=COMMAND)
    third = rotate(first.key)
    assert [loaded(one.text) is not None for one in (first, second, third)] == [False, True, True]


@pytest.mark.django_db
def test_new_secret_that_was_lost_is_replaced_and_the_old_one_keeps_its_end() -> None:
    first = new_key()
    lost = rotate(first.key)
    found = rotate(first.key, OVERLAP_MAX, new_was_lost=True)
    assert [loaded(one.text) is not None for one in (first, lost, found)] == [True, False, True]
    assert found.key.previous_ends_at == lost.key.previous_ends_at
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_ROTATED, subject_id=first.key.pk)
    assert [one.facts["new_was_lost"] for one in entries.order_by("pk")] == [False, True]


@pytest.mark.django_db
def test_new_secret_that_was_lost_ends_with_no_older_one_beside_it_too() -> None:
    first = new_key()
    lost = rotate(first.key, datetime.timedelta())
    found = rotate(first.key, OVERLAP_MAX, new_was_lost=True)
    assert [loaded(one.text) is not None for one in (first, lost, found)] == [False, False, True]


@pytest.mark.django_db
def test_ending_the_old_secret_is_done_once() -> None:
    first = new_key()
    end_old_secret(first.key, actor=COMMAND)
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_OLD_SECRET_ENDED, subject_id=first.key.pk)
    assert not entries.exists()
    second = rotate(first.key)
    for _ in range(2):
        end_old_secret(first.key, actor=COMMAND)
    assert loaded(first.text) is None
    assert loaded(second.text) is not None
    assert entries.count() == 1


@pytest.mark.django_db
def test_revocation_ends_both_secrets() -> None:
    first = new_key()
    second = rotate(first.key)
    assert principal(first.text).depends_on == principal(second.text).depends_on
    revoke_key(first.key, actor=COMMAND, reason=REASON)
    assert loaded(first.text) is None
    assert loaded(second.text) is None


def revoked(key: ApiKey) -> None:
    revoke_key(key, actor=COMMAND, reason=REASON)


def ended(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=utc_now())


def of_disabled_team(key: ApiKey) -> None:
    disable_team(key.team, actor=COMMAND, reason=REASON)


def of_disabled_holder(key: ApiKey) -> None:
    if key.service_account is not None:
        disable_service_account(key.service_account, actor=COMMAND, reason=REASON)
    elif key.person is not None:
        disable_person(key.person, actor=COMMAND, reason=REASON)


@pytest.mark.django_db
@pytest.mark.parametrize("is_person", [False, True])
@pytest.mark.parametrize("end", [revoked, ended, of_disabled_team, of_disabled_holder])
def test_key_that_is_refused_gets_no_new_secret(end: Any, is_person: bool) -> None:
    account = new_account()
    holder = new_member(account.team) if is_person else account
    key = issue_key(
        account.team,
        holder=holder,
        name="First",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    ).key
    rotate(key, datetime.timedelta())
    digest = bytes(ApiKey.objects.get(pk=key.pk).digest)
    end(key)
    with pytest.raises(ValidationError):
        rotate(key)
    assert bytes(ApiKey.objects.get(pk=key.pk).digest) == digest
    assert AuditEntry.objects.filter(tag=AuditTag.KEY_ROTATED, subject_id=key.pk).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "overlap", [datetime.timedelta(seconds=-1), OVERLAP_MAX + datetime.timedelta(seconds=1)]
)
def test_overlap_out_of_bounds_is_refused(overlap: datetime.timedelta) -> None:
    issued = new_key()
    with pytest.raises(ValidationError) as refused:
        rotate(issued.key, overlap)
    assert "overlap" in refused.value.message_dict
    assert rotate(issued.key, OVERLAP_MAX).text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [{"rotated_at": utc_now()}, {"previous_ends_at": utc_now()}, {"previous_digest": b"x"}],
    ids=lambda change: next(iter(change)),
)
def test_database_refuses_half_of_a_previous_secret(change: dict[str, object]) -> None:
    key = new_key().key
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.filter(pk=key.pk).update(**change)


# --- Two at once ----------------------------------------------------------------------------------------------------
def begin(act: Any, *, began: Event, may_commit: Event) -> Any:
    """Act in a transaction that stays open until it may commit; what the write refused is returned."""
    try:
        with transaction.atomic():
            done = act()
            began.set()
            may_commit.wait(WAIT_S)
            return done
    except ValidationError as refused:
        return refused
    finally:
        connection.close()


def race(first: Any, second: Any) -> tuple[Any, Any]:
    """Let the second act begin while the first has not committed; return what came of each."""
    began, may_commit, began_second, at_once = Event(), Event(), Event(), Event()
    at_once.set()
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(begin, first, began=began, may_commit=may_commit)
        assert began.wait(WAIT_S)
        other = threads.submit(begin, second, began=began_second, may_commit=at_once)
        assert not began_second.wait(0.2)
        may_commit.set()
        return one.result(WAIT_S), other.result(WAIT_S)


@pytest.fixture
def issued(committed: None) -> Iterator[IssuedKey]:
    """A key that others see too, until the test is over."""
    issued = new_key()
    yield issued
    issued.key.team.delete()


def test_rotation_that_meets_a_revocation_is_refused(issued: IssuedKey) -> None:
    _, rotated = race(lambda: revoked(issued.key), lambda: rotate(issued.key))
    assert isinstance(rotated, ValidationError)
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert key.revoked_at is not None
    assert key.rotated_at is None


def test_revocation_that_meets_a_rotation_ends_both_secrets(issued: IssuedKey) -> None:
    rotated, refused = race(lambda: rotate(issued.key), lambda: revoked(issued.key))
    assert refused is None
    assert loaded(issued.text) is None
    assert loaded(rotated.text) is None


def test_of_two_rotations_at_once_one_is_refused(issued: IssuedKey) -> None:
    rotated, refused = race(lambda: rotate(issued.key), lambda: rotate(issued.key))
    assert isinstance(refused, ValidationError)
    assert loaded(issued.text) is not None
    assert loaded(rotated.text) is not None


def test_rotation_that_is_killed_before_its_end_leaves_the_key_as_it_was(issued: IssuedKey) -> None:
    with transaction.atomic():
        lost = rotate(issued.key)
        transaction.set_rollback(True)
    assert loaded(issued.text) is not None
    assert loaded(lost.text) is None
    assert rotate(issued.key).text
