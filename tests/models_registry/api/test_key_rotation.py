"""Keys rotated by the API: who is shown a new secret, and what is told of the old one."""

import datetime
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, KeyUse
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import revoke_key
from accounts.writes.teams import change_member_role
from models_registry.writes.grants import narrow_key
from portal.lib.clock import days_ahead, utc_now
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_team
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, personal_key
from tests.models_registry.rows import new_offer
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def secret_of(key: ApiKey) -> bytes:
    return bytes(ApiKey.objects.get(pk=key.pk).digest)


def test_rotated_key_is_answered_once_with_its_text_and_told_of_without_it() -> None:
    team = new_team()
    person = new_member(team)
    own = personal_key(person, team, Scope.CHAT)
    asker = Asker(person=person)
    assert data_of(asker.get(f"keys/{own.key.pk}"))["old_secret"] is None
    made = data_of(asker.post(f"keys/{own.key.pk}/rotate", {"overlap_s": 3600}))
    assert loaded(made["text"])
    assert loaded(own.text)
    read = data_of(asker.get(f"keys/{own.key.pk}"))
    assert read == {name: value for name, value in made.items() if name != "text"}
    ends_at = datetime.datetime.fromisoformat(read["old_secret"].pop("ends_at"))
    assert abs(ends_at - utc_now() - datetime.timedelta(hours=1)) < datetime.timedelta(minutes=1)
    assert read["old_secret"] == {"calls": 0, "last_used_at": None, "last_peer": None}
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_ROTATED, subject_id=own.key.pk)
    assert entry.actor_id == person.pk
    ended = data_of(asker.post(f"keys/{own.key.pk}/end-old-secret"))
    assert datetime.datetime.fromisoformat(ended["old_secret"]["ends_at"]) <= utc_now()
    assert loaded(own.text) is None
    assert loaded(made["text"])


def test_use_of_the_old_secret_at_this_api_is_told() -> None:
    team = new_team()
    person = new_member(team)
    own = personal_key(person, team)
    new = data_of(Asker(person=person).post(f"keys/{own.key.pk}/rotate"))
    by_old, by_new = Asker(text=own.text), Asker(text=new["text"])
    for asker in (by_old, by_new, by_old):
        read = data_of(asker.get(f"keys/{own.key.pk}"))
    assert (read["old_secret"]["calls"], read["old_secret"]["last_peer"]) == (2, by_old.address)
    assert KeyUse.objects.get(key=own.key).last_peer == by_old.address


def test_repetition_under_an_idempotency_key_gets_the_first_secret_again() -> None:
    team = new_team()
    person = new_member(team)
    key = personal_key(person, team, Scope.CHAT).key
    asker = Asker(person=person)
    first, second = (
        data_of(asker.post(f"keys/{key.pk}/rotate", {}, Idempotency_Key="a")) for _ in range(2)
    )
    assert first == second
    refused = asker.post(f"keys/{key.pk}/rotate", {}, Idempotency_Key="b")
    assert code_of(refused) == "invalid_request"
    assert "old secret works until" in refused.content.decode()
    lost = data_of(asker.post(f"keys/{key.pk}/rotate", {"new_was_lost": True}))
    assert (loaded(first["text"]), bool(loaded(lost["text"]))) == (None, True)
    assert lost["old_secret"] == first["old_secret"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"overlap_s": -1}, "overlap_s"),
        ({"overlap_s": 30 * 24 * 3600 + 1}, "overlap_s"),
        ({"overlap_s": "60"}, "overlap_s"),
        ({"overlap_s": True}, "overlap_s"),
        ({"overlap_s": 1e9}, "overlap_s"),
        ({"new_was_lost": "yes"}, "new_was_lost"),
        ({"public_id": "x"}, "public_id"),
        ({"expires_at": "2999-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_value_that_is_not_accepted_is_named(body: dict[str, Any], field: str) -> None:
    team = new_team()
    person = new_member(team)
    key = personal_key(person, team, Scope.CHAT).key
    before = secret_of(key)
    asker = Asker(person=person)
    assert fields_of(asker.post(f"keys/{key.pk}/rotate", body)) == {field}
    assert secret_of(key) == before
    assert asker.post(f"keys/{key.pk}/rotate", {}).status_code == 200


@pytest.mark.parametrize(
    ("role", "own", "applications"),
    [
        (Role.OWNER, 200, 200),
        (Role.MANAGER, 200, 200),
        (Role.MEMBER, 200, 404),
        (Role.AUDITOR, 403, 403),
    ],
)
def test_role_decides_whose_new_secret_somebody_is_shown(
    role: Role, own: int, applications: int
) -> None:
    team = new_team()
    person, colleague = new_member(team), new_member(team)
    mine, theirs = (personal_key(one, team, Scope.CHAT).key for one in (person, colleague))
    application, foreign = new_key(new_account(team)).key, new_key().key
    change_member_role(person.memberships.get(), role=role, actor=COMMAND)
    asker = Asker(person=person)
    before = secret_of(theirs)
    for key, status in ((mine, own), (application, applications), (foreign, 404)):
        assert asker.post(f"keys/{key.pk}/rotate", {}).status_code == status
    # To end a colleague's key is a manager's; to come to hold it is nobody's.
    assert asker.post(f"keys/{theirs.pk}/rotate", {}).status_code == (
        404 if role is Role.MEMBER else 403
    )
    assert secret_of(theirs) == before
    assert code_of(administrator().post(f"keys/{theirs.pk}/rotate", {})) == "not_found"


def test_old_secret_of_a_colleague_is_ended_by_whoever_manages_keys() -> None:
    team = new_team()
    person = new_member(team)
    own = personal_key(person, team, Scope.CHAT)
    new = data_of(Asker(person=person).post(f"keys/{own.key.pk}/rotate", {}))
    address = f"keys/{own.key.pk}/end-old-secret"
    for role, status in ((Role.MEMBER, 404), (Role.AUDITOR, 403)):
        assert Asker(person=new_member(team, role)).post(address).status_code == status
    assert Asker(person=new_member(new_team(), Role.OWNER)).post(address).status_code == 404
    assert loaded(own.text)
    assert Asker(person=new_member(team, Role.MANAGER)).post(address).status_code == 200
    assert loaded(own.text) is None
    assert loaded(new["text"])


def test_revoked_key_is_refused_in_words() -> None:
    team = new_team()
    person = new_member(team)
    key = personal_key(person, team, Scope.CHAT).key
    revoke_key(key, actor=COMMAND, reason=REASON)
    reply = Asker(person=person).post(f"keys/{key.pk}/rotate", {})
    assert (reply.status_code, code_of(reply)) == (400, "invalid_request")
    assert "revoked" in reply.content.decode()


def test_key_is_shown_no_secret_of_a_wider_key() -> None:
    team, model, other = new_team(), new_offer(), new_offer()
    person = new_member(team, Role.OWNER)
    # The caller's key comes from anywhere in 10.0.0.0/8, five times a minute, for one model.
    bound = {"networks": ["10.0.0.0/8"], "requests_per_minute": 5}
    came_with = personal_key(
        person, team, Scope.CHAT, Scope.MANAGE, expires_at=days_ahead(3), **bound
    )
    narrow_key(came_with.key, models=[model], actor=COMMAND)
    asker = Asker(text=came_with.text)

    def rotated(*scopes: Scope, models: Any = (model,), **facts: Any) -> int:
        key = personal_key(person, team, *scopes, **(bound | facts)).key
        if models:
            narrow_key(key, models=models, actor=COMMAND)
        before = secret_of(key)
        status = asker.post(f"keys/{key.pk}/rotate", {}).status_code
        assert (secret_of(key) != before) == (status == 200)
        return status

    assert rotated(Scope.CHAT) == 200
    assert rotated(Scope.CHAT, networks=["10.1.0.0/16"], requests_per_minute=1) == 200
    assert rotated(Scope.CHAT, Scope.MANAGE) == 400
    assert rotated(Scope.CHAT, networks=[]) == 400
    assert rotated(Scope.CHAT, requests_per_minute=6) == 400
    assert rotated(Scope.CHAT, requests_per_minute=None) == 400
    assert rotated(Scope.CHAT, models=[model, other]) == 400
    assert rotated(Scope.CHAT, models=None) == 400
    assert rotated(Scope.EMBEDDINGS) == 400
    assert rotated(Scope.CHAT, expires_at=came_with.key.expires_at) == 200
    later = came_with.key.expires_at + datetime.timedelta(seconds=1)
    assert rotated(Scope.CHAT, expires_at=later) == 400
    # Nor of itself: a stolen key would lock its holder out.
    assert asker.post(f"keys/{came_with.key.pk}/rotate", {}).status_code == 400
    assert loaded(came_with.text)
