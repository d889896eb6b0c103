"""Usage and calls by the API: whose are seen, in which days, and never more by a key than in its team."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.teams import add_member
from proxy.models import Call
from tests.accounts.rows import new_member, new_person, new_team
from tests.asking_api import (
    Asker,
    administrator,
    code_of,
    data_of,
    fields_of,
    member_of,
    personal_key,
)
from tests.proxy.ledger_rows import call_with, new_call

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Scene:
    team: Team
    member: User
    own: Call
    other: Call
    elsewhere: Call


@pytest.fixture
def scene() -> Scene:
    team = new_team()
    member = new_member(team)
    own = call_with(personal_key(member, team, Scope.CHAT).key)
    return Scene(team, member, own, new_call(team), new_call(new_team()))


def listed(asker: Asker, query: str = "") -> set[str]:
    return {row["id"] for row in data_of(asker.get(f"calls{query}"))["data"]}


@pytest.mark.parametrize("role", list(Role))
def test_role_decides_whose_calls_and_usage_are_seen(scene: Scene, role: Role) -> None:
    sees_all = role is not Role.MEMBER
    asker = member_of(scene.team, role)
    if role is Role.MEMBER:
        asker = Asker(text=personal_key(scene.member, scene.team).text)
    seen = {str(scene.own.pk)} | ({str(scene.other.pk)} if sees_all else set())
    assert listed(asker) == seen
    for call in (scene.own, scene.other, scene.elsewhere):
        status = asker.get(f"calls/{call.pk}").status_code
        assert status == (200 if str(call.pk) in seen else 404)
    for by in ("day", "model", "key", "holder", "team"):
        usage = data_of(asker.get(f"usage?by={by}"))
        assert usage["total"]["calls"] == len(seen)
        assert sum(row["calls"] for row in usage["rows"]) == len(seen)
    for path in ("calls", "usage"):
        assert code_of(asker.get(f"{path}?team=no-such-team")) == "not_found"
        stranger = member_of(new_team(), role)
        assert code_of(stranger.get(f"{path}?team={scene.team.slug}")) == "not_found"
    assert listed(asker, f"?team={scene.team.slug}") == seen


def test_usage_by_key_names_more_keys_than_a_page_shows(scene: Scene) -> None:
    for _ in range(60):
        new_call(scene.team)
    usage = data_of(member_of(scene.team, Role.OWNER).get("usage?by=key"))
    assert len(usage["rows"]) == usage["total"]["calls"] == 62
    assert usage["more"] == 0


def test_key_sees_its_team_alone(scene: Scene) -> None:
    add_member(
        Team.objects.get(pk=scene.elsewhere.team_id),
        person=scene.member,
        role=Role.OWNER,
        actor=COMMAND,
    )
    by_key = Asker(text=personal_key(scene.member, scene.team).text)
    by_session = Asker(person=scene.member)
    assert listed(by_session) == {str(scene.own.pk), str(scene.elsewhere.pk)}
    assert listed(by_key) == {str(scene.own.pk)}
    assert code_of(by_key.get(f"calls/{scene.elsewhere.pk}")) == "not_found"
    assert data_of(by_session.get("usage"))["total"]["calls"] == 2
    assert data_of(by_key.get("usage"))["total"]["calls"] == 1


def test_calls_are_filtered_and_paged(scene: Scene) -> None:
    asker = member_of(scene.team, Role.OWNER)
    more = [new_call(scene.team) for _ in range(3)]
    wanted = sorted(str(call.pk) for call in (scene.own, scene.other, *more))[::-1]
    found, query = [], "?limit=2"
    while query:
        page = data_of(asker.get(f"calls{query}"))
        found += [row["id"] for row in page["data"]]
        query = f"?limit=2&cursor={page['next']}" if page["next"] else ""
    assert found == wanted
    assert listed(asker, f"?key_id={scene.own.key_id}") == {str(scene.own.pk)}
    assert listed(asker, f"?key_id={scene.elsewhere.key_id}") == set()
    assert listed(asker, f"?status={scene.own.status}") == set(wanted)
    assert listed(asker, "?status=failed") == set()
    assert listed(asker, "?model=no-such-model") == set()
    assert listed(asker, "?first=2020-01-01&last=2020-01-31") == set()
    assert code_of(asker.get("calls?cursor=x")) == "invalid_cursor"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("first=2026-01-01", "last"),
        ("last=2026-01-01", "first"),
        ("first=2026-02-01&last=2026-01-01", "first"),
        ("first=0001-01-01&last=0001-01-02", "first"),
        ("first=9999-12-31&last=9999-12-31", "first"),
        ("first=2020-01-01&last=2026-01-01", "last"),
        ("first=2026-1-1&last=2026-01-02", "first"),
        ("first=yesterday&last=2026-01-02", "first"),
        ("first=2026-02-30&last=2026-03-01", "first"),
        ("by=nothing", "by"),
        ("status=nothing", "status"),
        ("key_id=1", "key_id"),
        ("team=%00", "team"),
    ],
)
def test_question_without_bounds_is_refused(scene: Scene, query: str, field: str) -> None:
    asker = member_of(scene.team, Role.OWNER)
    name = query.split("=", maxsplit=1)[0]
    for path in ("usage", "calls"):
        if (name, path) in {("by", "calls"), ("status", "usage"), ("key_id", "usage")}:
            continue
        assert fields_of(asker.get(f"{path}?{query}")) == {field}


def test_all_calls_are_for_administrators(scene: Scene) -> None:
    chief = administrator()
    owner = Asker(person=new_member(scene.team, Role.OWNER))
    for path in ("admin/calls", f"admin/calls/{scene.own.pk}"):
        assert code_of(owner.get(path)) == "forbidden"
        assert code_of(member_of(scene.team, Role.OWNER).get(path)) == "scope_missing"
        assert chief.get(path).status_code == 200
    ids = {row["id"] for row in data_of(chief.get("admin/calls?limit=100"))["data"]}
    assert {str(call.pk) for call in (scene.own, scene.other, scene.elsewhere)} <= ids
    of_team = data_of(chief.get(f"admin/calls?team_id={scene.team.pk}"))["data"]
    assert {row["id"] for row in of_team} == {str(scene.own.pk), str(scene.other.pk)}
    assert code_of(chief.get(f"admin/calls/{uuid.uuid4()}")) == "not_found"


def test_administrator_who_manages_by_a_key_sees_no_more_than_a_member(scene: Scene) -> None:
    person = new_person(is_administrator=True)
    add_member(scene.team, person=person, role=Role.MEMBER, actor=COMMAND)
    assert listed(Asker(text=personal_key(person, scene.team, Scope.MANAGE).text)) == set()


def test_call_tells_what_it_cost_and_no_word_of_it(scene: Scene) -> None:
    found: dict[str, Any] = data_of(member_of(scene.team, Role.OWNER).get(f"calls/{scene.own.pk}"))
    assert found["input_tokens"] == scene.own.input_tokens
    assert found["cost_micro_usd"] == scene.own.cost_micro_usd
    assert found["person_id"] == str(scene.member.pk)
    assert not {"prompt", "messages", "answer", "content"} & set(found)
