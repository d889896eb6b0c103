"""Who sees which calls and whose usage: each role both ways, and what is hidden answers like what is not there."""

import uuid
from dataclasses import dataclass

import pytest
from django.http import Http404

from accounts.access import role_in
from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.teams import Role
from accounts.writes.teams import disable_team, remove_member
from proxy.access import access_call, calls_seen_by, sight_of, usage_of
from proxy.models import Call
from tests.accounts.rows import REASON, new_member, new_person, new_team
from tests.proxy.ledger_rows import new_call

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Scene:
    team: Team
    of_an_application: Call
    of_another: Call
    elsewhere: Call


@pytest.fixture
def scene() -> Scene:
    team = new_team()
    return Scene(
        team=team,
        of_an_application=new_call(team),
        of_another=new_call(team, new_member(team)),
        elsewhere=new_call(new_team()),
    )


def sees(person: User, call: Call) -> bool:
    """Whether each door shows the call; they have to agree."""
    try:
        found = access_call(person, call.pk) == call
    except Http404:
        found = False
    listed = calls_seen_by(person).filter(pk=call.pk).exists()
    used = usage_of(person).filter(key_id=call.key_id).exists()
    assert found == listed == used
    return found


@pytest.mark.parametrize(
    ("role", "sees_all"),
    [(Role.OWNER, True), (Role.MANAGER, True), (Role.AUDITOR, True), (Role.MEMBER, False)],
)
def test_each_role_sees_the_whole_team_or_its_own_keys(
    scene: Scene, role: Role, *, sees_all: bool
) -> None:
    person = new_member(scene.team, role)
    assert sees(person, new_call(scene.team, person))
    assert sees(person, scene.of_an_application) == sees_all
    assert sees(person, scene.of_another) == sees_all
    assert not sees(person, scene.elsewhere)


@pytest.mark.parametrize("is_administrator", [False, True])
def test_who_is_in_no_team_sees_nothing_here(scene: Scene, *, is_administrator: bool) -> None:
    stranger = new_person(is_administrator=is_administrator)
    assert not sees(stranger, scene.of_another)
    assert not sees(stranger, new_call(scene.team, stranger))


def test_leaving_the_team_ends_the_sight_of_own_calls(scene: Scene) -> None:
    person = new_member(scene.team)
    own = new_call(scene.team, person)
    assert sees(person, own)
    remove_member(role_in(person, scene.team), actor=COMMAND)
    assert not sees(person, own)


def test_a_disabled_team_is_seen_by_nobody(scene: Scene) -> None:
    owner = new_member(scene.team, Role.OWNER)
    assert sees(owner, scene.of_another)
    disable_team(scene.team, actor=COMMAND, reason=REASON)
    assert not sees(owner, scene.of_another)


def test_narrowing_to_a_team_never_shows_more(scene: Scene) -> None:
    person = new_member(scene.team, Role.OWNER)
    sight = sight_of(person)
    assert sight.narrowed_to(scene.team.pk) == sight
    elsewhere = sight.narrowed_to(scene.elsewhere.team_id)
    assert not Call.objects.filter(elsewhere.filter).exists()
    assert not Call.objects.filter(sight.narrowed_to(uuid.UUID(int=0)).filter).exists()
