"""Keys by the API: whose are seen, who issues for whom, and that none begets more than it has."""

import datetime
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, Team
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.key_rotation import rotate_key
from models_registry.models import Visibility
from models_registry.writes.grants import narrow_key
from portal.lib.clock import utc_now
from portal.lib.hours import DAYS
from tests.accounts.rows import new_account, new_key, new_member, new_team, tomorrow
from tests.asking_api import Asker, code_of, data_of, fields_of, member_of, personal_key
from tests.models_registry.rows import new_offer
from tests.portal.lib.test_hours import WORK
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def asked(team: Team, **facts: Any) -> dict[str, Any]:
    body = {"team": team.slug, "name": "app", "scopes": ["chat"]}
    return body | {"expires_at": tomorrow().isoformat()} | facts


def test_key_is_issued_once_with_its_text_and_read_without_it() -> None:
    team = new_team()
    person = new_member(team)
    asker = Asker(text=personal_key(person, team).text)
    body = asked(team, networks=["10.0.0.0/8"], tags=["a"], purpose="p", requests_per_minute=5)
    made = data_of(asker.post("keys", body), 201)
    assert loaded(made["text"])
    read = data_of(asker.get(f"keys/{made['id']}"))
    assert read == {name: value for name, value in made.items() if name != "text"}
    assert read["person_id"] == str(person.pk)
    assert read["networks"] == ["10.0.0.0/8"]
    assert read["requests_per_minute"] == 5
    assert made["text"] not in asker.get("keys").content.decode()
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_ISSUED, subject_id=made["id"])
    assert entry.actor_id == person.pk


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": ""}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes.0"),
        ({"scopes": "chat"}, "scopes"),
        ({"networks": ["10.0.0.1/8"]}, "networks"),
        ({"networks": ["nonsense"]}, "networks"),
        ({"hours": WORK | {"begins": "18:00"}}, "hours"),
        ({"hours": WORK | {"zone": "Mars"}}, "hours"),
        ({"hours": {}}, "hours"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": 2**31}, "tokens_per_minute"),
        ({"tokens_per_minute": "5"}, "tokens_per_minute"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"models": []}, "models"),
        ({"models": ["no-such-model"]}, "models"),
        ({"person_id": "x"}, "person_id"),
        ({"digest": "x"}, "digest"),
        ({"service_account_id": "x"}, "service_account_id"),
    ],
)
def test_value_that_is_not_accepted_is_named(facts: dict[str, Any], field: str) -> None:
    team = new_team()
    asker = member_of(team)
    reply = asker.post("keys", asked(team, **facts))
    assert {name.split(".")[0] for name in fields_of(reply)} == {field.split(".", maxsplit=1)[0]}
    assert ApiKey.objects.filter(team=team).count() == 1
    assert asker.post("keys", asked(team)).status_code == 201


@pytest.mark.parametrize(
    ("role", "own", "applications"),
    [
        (Role.OWNER, 201, 201),
        (Role.MANAGER, 201, 201),
        (Role.MEMBER, 201, 403),
        (Role.AUDITOR, 403, 403),
    ],
)
def test_role_decides_whom_a_key_is_issued_for(role: Role, own: int, applications: int) -> None:
    team, elsewhere = new_team(), new_team()
    person = new_member(team, role)
    account, foreign = new_account(team), new_account(elsewhere)
    for asker in (Asker(person=person), Asker(text=personal_key(person, team).text)):
        assert asker.post("keys", asked(team)).status_code == own
        mine = asked(team, service_account_id=str(account.pk))
        assert asker.post("keys", mine).status_code == applications
        assert code_of(asker.post("keys", asked(elsewhere))) == "not_found"
        theirs = asked(elsewhere, service_account_id=str(foreign.pk))
        assert code_of(asker.post("keys", theirs)) == "not_found"
        mixed = asked(team, service_account_id=str(foreign.pk))
        assert asker.post("keys", mixed).status_code == (404 if applications == 201 else 403)


def test_keys_are_seen_by_those_whom_they_concern() -> None:
    team, elsewhere = new_team(), new_team()
    person = new_member(team)
    own = personal_key(person, team)
    applications = new_key(new_account(team)).key
    colleague, auditor = member_of(team), member_of(team, Role.AUDITOR)
    manager, stranger = member_of(team, Role.MANAGER), member_of(elsewhere, Role.OWNER)
    asker = Asker(text=own.text)

    def sees(one: Asker, key: ApiKey) -> bool:
        is_listed = str(key.pk) in one.get(f"keys?team={team.slug}").content.decode()
        reply = one.get(f"keys/{key.pk}")
        assert reply.status_code == (200 if is_listed else 404)
        assert str(key.pk) in one.get("keys").content.decode() or not is_listed
        return is_listed

    assert sees(asker, own.key)
    assert not sees(asker, applications)
    assert not sees(colleague, own.key)
    for one in (auditor, manager):
        assert sees(one, own.key)
        assert sees(one, applications)
    assert code_of(stranger.get(f"keys?team={team.slug}")) == "not_found"
    assert code_of(stranger.get(f"keys/{own.key.pk}")) == "not_found"
    body = {"reason": "Found in a log."}
    for one, status in ((stranger, 404), (colleague, 404), (auditor, 403), (manager, 200)):
        assert one.post(f"keys/{own.key.pk}/revoke", body).status_code == status
    assert asker.get("me").status_code == 401


def test_revoking_wants_a_reason_and_keeps_the_first() -> None:
    team = new_team()
    person = new_member(team)
    asker = Asker(person=person)
    key = personal_key(person, team).key
    assert fields_of(asker.post(f"keys/{key.pk}/revoke", {"reason": " "})) == {"reason"}
    for reason in ("First.", "Second."):
        reply = asker.post(f"keys/{key.pk}/revoke", {"reason": reason})
        assert data_of(reply)["revoked_reason"] == "First."


def test_narrowing_names_models_that_are_seen() -> None:
    team = new_team()
    person = new_member(team)
    model, hidden = new_offer(), new_offer(visibility=Visibility.GRANTED)
    asker = Asker(person=person)
    made = data_of(asker.post("keys", asked(team, models=[model.name])), 201)
    assert made["models"] == [model.name]
    for name in (hidden.name, "no-such-model"):
        reply = asker.put(f"keys/{made['id']}/models", {"models": [name]})
        assert fields_of(reply) == {"models"}
    assert fields_of(asker.put(f"keys/{made['id']}/models", {"models": []})) == {"models"}
    principal = loaded(made["text"])
    assert principal is not None
    assert principal.only_models == frozenset({model.pk})


@pytest.mark.parametrize("scope", [Scope.MANAGE, Scope.ADMINISTER])
def test_key_issues_no_key_that_may_manage(scope: Scope) -> None:
    team = new_team()
    person = new_member(team)
    body = asked(team, scopes=["chat", scope])
    assert fields_of(Asker(text=personal_key(person, team).text).post("keys", body)) == {"scopes"}
    reply = Asker(person=person).post("keys", body)
    assert reply.status_code == (201 if scope is Scope.MANAGE else 400)


def test_key_begets_none_that_outlives_it_or_has_another_scope() -> None:
    team = new_team()
    person, account = new_member(team, Role.OWNER), new_account(team)
    ends_at = utc_now() + datetime.timedelta(hours=1)
    own = personal_key(person, team, Scope.CHAT, Scope.MANAGE, expires_at=ends_at)
    asker, later = Asker(text=own.text), ends_at + datetime.timedelta(seconds=1)
    for holder in ({}, {"service_account_id": str(account.pk)}):
        body = asked(team, expires_at=ends_at.isoformat(), **holder)
        past_it = body | {"expires_at": later.isoformat()}
        assert fields_of(asker.post("keys", past_it)) == {"expires_at"}
        wider = body | {"scopes": ["chat", "embeddings"]}
        assert fields_of(asker.post("keys", wider)) == {"scopes"}
        made = data_of(asker.post("keys", body), 201)
        assert datetime.datetime.fromisoformat(made["expires_at"]) == ends_at
        for refused in (past_it, wider):
            data_of(Asker(person=person).post("keys", refused), 201)
    manages = Asker(text=personal_key(person, team, Scope.MANAGE).text)
    assert fields_of(manages.post("keys", asked(team))) == {"scopes"}


def test_old_secret_of_a_rotation_begets_none_that_outlives_it() -> None:
    team = new_team()
    person = new_member(team)
    own = personal_key(person, team)
    rotate_key(own.key, overlap=datetime.timedelta(hours=1), actor=COMMAND)
    asker, soon = Asker(text=own.text), utc_now() + datetime.timedelta(minutes=50)
    assert fields_of(asker.post("keys", asked(team))) == {"expires_at"}
    assert asker.post("keys", asked(team, expires_at=soon.isoformat())).status_code == 201


@pytest.mark.parametrize(
    "networks", [None, [], ["0.0.0.0/0"], ["::/0"], ["10.1.0.0/16", "11.0.0.0/8"]]
)
def test_key_begets_none_that_works_from_more_networks(networks: list[str] | None) -> None:
    team = new_team()
    asker = Asker(text=personal_key(new_member(team), team, networks=["10.1.0.0/16"]).text)
    asker.address = "10.1.0.1"
    facts = {} if networks is None else {"networks": networks}
    assert fields_of(asker.post("keys", asked(team, **facts))) == {"networks"}
    assert asker.post("keys", asked(team, networks=["10.1.2.0/24"])).status_code == 201


def test_key_begets_none_that_works_in_other_hours() -> None:
    team = new_team()
    hours = WORK | {"days": list(DAYS), "begins": "00:00", "ends": "24:00", "zone": "UTC"}
    asker = Asker(text=personal_key(new_member(team), team, hours=hours).text)
    others: list[dict[str, Any]] = [{}, {"hours": None}, {"hours": WORK}]
    for other in others:
        assert fields_of(asker.post("keys", asked(team, **other))) == {"hours"}
    made = data_of(asker.post("keys", asked(team, hours=hours)), 201)
    assert made["hours"] == hours
    free = Asker(text=personal_key(new_member(team), team).text)
    assert data_of(free.post("keys", asked(team, hours=WORK)), 201)["hours"] == WORK


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
def test_key_begets_none_with_a_higher_limit_than_its_own(limit: str) -> None:
    team = new_team()
    asker = Asker(text=personal_key(new_member(team), team, **{limit: 5}).text)
    for higher in ({}, {limit: None}, {limit: 6}):
        assert fields_of(asker.post("keys", asked(team, **higher))) == {limit}
    assert asker.post("keys", asked(team, **{limit: 5})).status_code == 201
    unlimited = Asker(text=personal_key(new_member(team), team).text)
    assert unlimited.post("keys", asked(team, **{limit: 6})).status_code == 201


def test_narrowed_key_widens_neither_itself_nor_a_new_one() -> None:
    team = new_team()
    person = new_member(team)
    one, other = new_offer(), new_offer()
    issued = personal_key(person, team)
    narrow_key(issued.key, models=[one], actor=COMMAND)
    asker, path = Asker(text=issued.text), f"keys/{issued.key.pk}/models"
    for names in ([other.name], [one.name, other.name]):
        assert fields_of(asker.put(path, {"models": names})) == {"models"}
        assert fields_of(asker.post("keys", asked(team, models=names))) == {"models"}
    assert fields_of(asker.post("keys", asked(team))) == {"models"}
    assert asker.put(path, {"models": [one.name]}).status_code == 200
    assert asker.post("keys", asked(team, models=[one.name])).status_code == 201
    # Who signs in is bound by their role alone.
    names = [one.name, other.name]
    assert data_of(Asker(person=person).put(path, {"models": names}))["models"] == sorted(names)


def test_list_of_keys_is_paged_by_cursors_that_cannot_be_made() -> None:
    team = new_team()
    person = new_member(team)
    asker = Asker(person=person)
    made = [str(personal_key(person, team).key.pk) for _ in range(5)]
    seen, path = [], "keys?limit=2"
    for count in (2, 2, 1):
        page = data_of(asker.get(path))
        assert len(page["data"]) == count
        seen += [row["id"] for row in page["data"]]
        path = f"keys?limit=2&cursor={page['next']}"
    assert seen == made[::-1]
    assert page["next"] is None
    cursor = data_of(asker.get("keys?limit=2"))["next"]
    for forged in ("x", "", cursor + "x", cursor[:-2] + "zz", cursor.replace(":", ".")):
        reply = asker.get(f"keys?cursor={forged}")
        assert code_of(reply) == ("invalid_request" if forged == "" else "invalid_cursor")
    assert code_of(asker.get(f"grants?cursor={cursor}")) == "invalid_cursor"


def test_cursor_opens_nothing_of_another_team() -> None:
    team, elsewhere = new_team(), new_team()
    person, stranger = new_member(team), new_member(elsewhere)
    for _ in range(3):
        personal_key(person, team)
    cursor = data_of(Asker(person=person).get("keys?limit=1"))["next"]
    assert data_of(Asker(person=stranger).get(f"keys?cursor={cursor}"))["data"] == []


def test_end_that_no_calendar_of_ours_holds_is_refused() -> None:
    team = new_team()
    asker = member_of(team)
    late = (utc_now() + datetime.timedelta(days=365_000 * 7)).isoformat()
    assert fields_of(asker.post("keys", asked(team, expires_at=late))) == {"expires_at"}
