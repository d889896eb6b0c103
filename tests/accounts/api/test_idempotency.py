"""A request repeated under one Idempotency-Key: one act, one reply."""

import datetime
import json
import threading
from typing import Any

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from accounts.models import ApiKey, IdempotentReply, ServiceAccount, Team
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.tasks import forget_replies
from accounts.writes.teams import create_service_account
from portal.lib.clock import utc_now
from tests.accounts.rows import new_member, new_name, new_team, tomorrow
from tests.asking_api import Asker, code_of, data_of, fields_of, member_of, personal_key

DAY = datetime.timedelta(days=1)


@pytest.fixture
def owner() -> tuple[Asker, str]:
    team = new_team()
    return member_of(team, Role.OWNER), f"teams/{team.slug}/service-accounts"


def accounts_of(path: str) -> int:
    return ServiceAccount.objects.filter(team__slug=path.split("/")[1]).count()


@pytest.mark.django_db
def test_repetition_gets_the_first_reply_and_acts_once(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    first = asker.post(path, {"name": "app"}, Idempotency_Key="one")
    again = asker.post(path, {"name": "app"}, Idempotency_Key="one")
    assert data_of(first, 201) == data_of(again, 201)
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert again["Content-Type"] == first["Content-Type"]
    assert accounts_of(path) == 1
    assert data_of(asker.post(path, {"name": "other"}, Idempotency_Key="two"), 201)
    assert accounts_of(path) == 2


@pytest.mark.django_db
def test_refusal_is_given_again_too(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    replies = [asker.post(path, {"name": ""}, Idempotency_Key="one") for _ in range(2)]
    assert [json.loads(reply.content)["errors"] for reply in replies] == [
        {"name": ["This field may not be blank."]}
    ] * 2
    assert replies[1]["Idempotency-Replayed"] == "true"
    assert replies[0].content == replies[1].content


@pytest.mark.django_db
def test_another_request_under_the_same_key_is_refused(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    assert data_of(asker.post(path, {"name": "app"}, Idempotency_Key="one"), 201)
    others = [
        asker.post(path, {"name": "app2"}, Idempotency_Key="one"),
        asker.post(path, {"name": "app", "description": ""}, Idempotency_Key="one"),
        asker.post(f"{path}?x=1", {"name": "app"}, Idempotency_Key="one"),
        asker.put(path, {"name": "app"}, Idempotency_Key="one"),
    ]
    assert [code_of(reply) for reply in others] == ["idempotency_key_reused"] * 4
    assert others[0].status_code == 422
    assert accounts_of(path) == 1


@pytest.mark.django_db
def test_keys_of_two_callers_never_meet(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    other = member_of(new_team(), Role.OWNER)
    assert data_of(asker.post(path, {"name": "app"}, Idempotency_Key="one"), 201)
    reply = other.post(path, {"name": "app"}, Idempotency_Key="one")
    assert code_of(reply) == "not_found"
    assert "Idempotency-Replayed" not in reply


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "clé", "a\tb"])
def test_key_of_another_form_is_refused(owner: tuple[Asker, str], key: str) -> None:
    asker, path = owner
    reply = asker.post(path, {"name": "app"}, Idempotency_Key=key)
    assert code_of(reply) == "invalid_idempotency_key"
    assert accounts_of(path) == 0
    assert asker.post(path, {"name": "app"}, Idempotency_Key="x" * 200).status_code == 201


@pytest.mark.django_db
def test_fault_is_not_kept(owner: tuple[Asker, str], monkeypatch: pytest.MonkeyPatch) -> None:
    asker, path = owner

    def fail_after_writing(team: Team, **facts: object) -> None:
        ServiceAccount.objects.create(team=team, name="half")
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("accounts.api.service_accounts.create_service_account", fail_after_writing)
        assert asker.post(path, {"name": "app"}, Idempotency_Key="one").status_code == 500
    assert accounts_of(path) == 0
    assert asker.post(path, {"name": "app"}, Idempotency_Key="one").status_code == 201


@pytest.mark.django_db
def test_key_text_is_given_again_and_stands_nowhere_in_clear() -> None:
    team = new_team()
    person = new_member(team)
    asker = Asker(text=personal_key(person, team).text)
    body = {
        "team": team.slug,
        "name": "app",
        "scopes": [Scope.CHAT],
        "expires_at": tomorrow().isoformat(),
    }
    first, again = (asker.post("keys", body, Idempotency_Key="one") for _ in range(2))
    text = data_of(first, 201)["text"]
    assert data_of(again, 201)["text"] == text
    assert ApiKey.objects.filter(team=team).count() == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT accounts_idempotentreply::text FROM accounts_idempotentreply")
        rows = "".join(row[0] for row in cursor.fetchall())
    assert rows
    secret = text.rpartition("_")[2]
    for form in (text, secret, text.encode().hex(), secret.encode().hex()):
        assert form not in rows


@pytest.mark.django_db
def test_sealed_reply_opens_in_no_other_row(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    for name in ("one", "two"):
        assert data_of(asker.post(path, {"name": name}, Idempotency_Key=name), 201)
    one, two = IdempotentReply.objects.order_by("id")
    one.sealed_body, two.sealed_body = two.sealed_body, one.sealed_body
    one.save()
    two.save()
    reply = asker.post(path, {"name": "one"}, Idempotency_Key="one")
    assert code_of(reply) == "conflict"
    assert accounts_of(path) == 2


@pytest.mark.django_db
def test_reply_is_forgotten_after_a_day(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    first = data_of(asker.post(path, {"name": "app"}, Idempotency_Key="one"), 201)
    IdempotentReply.objects.update(created_at=utc_now() - DAY + datetime.timedelta(minutes=1))
    assert forget_replies() == 0
    assert data_of(asker.post(path, {"name": "app"}, Idempotency_Key="one"), 201) == first
    IdempotentReply.objects.update(created_at=utc_now() - DAY)
    reply = asker.post(path, {"name": "app"}, Idempotency_Key="one")
    assert fields_of(reply)
    assert "Idempotency-Replayed" not in reply
    IdempotentReply.objects.update(created_at=utc_now() - DAY)
    assert forget_replies() == 1


@pytest.fixture
def committing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> object:
    with django_db_blocker.unblock():
        yield
        connections.close_all()


def test_of_two_at_once_one_acts_and_the_other_is_told_to_wait(
    committing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is held in the middle of its write until the second has its reply."""
    team = new_team()
    person = new_member(team, Role.OWNER)
    issued, name = personal_key(person, team), new_name("app")
    path = f"teams/{team.slug}/service-accounts"
    inside, answered = threading.Event(), threading.Event()

    def create_slowly(*args: Any, **facts: Any) -> ServiceAccount:
        made = create_service_account(*args, **facts)
        inside.set()
        assert answered.wait(20)
        return made

    monkeypatch.setattr("accounts.api.service_accounts.create_service_account", create_slowly)
    replies = []

    def ask_first() -> None:
        replies.append(Asker(text=issued.text).post(path, {"name": name}, Idempotency_Key="one"))
        connections.close_all()

    first = threading.Thread(target=ask_first)
    first.start()
    assert inside.wait(20)
    second = Asker(text=issued.text).post(path, {"name": name}, Idempotency_Key="one")
    answered.set()
    first.join(20)
    assert code_of(second) == "in_progress"
    assert second["Retry-After"] == "1"
    made = data_of(replies[0], 201)
    third = Asker(text=issued.text).post(path, {"name": name}, Idempotency_Key="one")
    assert data_of(third, 201) == made
    assert ServiceAccount.objects.filter(team=team).count() == 1
