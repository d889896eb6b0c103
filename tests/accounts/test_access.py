"""The doors: role by right, both ways; a stranger, another team and what is not there answer alike."""

import uuid
from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from accounts.access import (
    access_invitation,
    access_key,
    access_membership,
    access_service_account,
    access_team,
    keys_of,
    role_in,
    teams_of,
)
from accounts.audit import COMMAND
from accounts.models import ApiKey, Invitation, Membership, Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.invitations import invite, withdraw_invitation
from accounts.writes.keys import issue_key
from accounts.writes.teams import disable_team
from tests.accounts.rows import (
    REASON,
    new_account,
    new_key,
    new_member,
    new_name,
    new_person,
    new_team,
    tomorrow,
)
from tests.accounts.test_roles import WHO_MAY

pytestmark = pytest.mark.django_db
Door = Callable[[User], object]


def answer(door: Door, person: User) -> str:
    try:
        door(person)
    except Http404:
        return "404"
    except PermissionDenied:
        return "403"
    return "in"


def own_key(team: Team, person: User) -> ApiKey:
    return issue_key(
        team, holder=person, name="Own", scopes=[Scope.CHAT], expires_at=tomorrow(), actor=COMMAND
    ).key


def new_invitation(team: Team) -> Invitation:
    email = f"{new_name('guest')}@latchkey.test"
    return invite(team, email=email, role=Role.MEMBER, by=new_member(team, Role.OWNER))


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_team_opens_to_the_right_and_to_nobody_outside(role: Role, right: Right) -> None:
    team, other = new_team(), new_team()
    insider, outsider = new_member(team, role), new_member(other, role)
    expected = "in" if role in WHO_MAY[right] else "403"
    for by in (team.pk, team.slug):
        door = lambda person, by=by: access_team(person, by, right=right)  # noqa: E731
        assert answer(door, insider) == expected
        assert answer(door, outsider) == "404"
        assert answer(door, new_person(is_administrator=True)) == "404"
    assert (team in teams_of(insider, right=right)) == (expected == "in")
    assert team not in teams_of(outsider, right=right)


@pytest.mark.parametrize("team", [uuid.uuid4(), "no-such-team", "", "' OR 1=1 --", "%"])
def test_team_that_is_not_there_answers_like_a_strangers(team: uuid.UUID | str) -> None:
    with pytest.raises(Http404):
        access_team(new_member(new_team(), Role.OWNER), team)


def test_disabled_team_is_closed_to_its_own_members() -> None:
    team = new_team()
    owner = new_member(team, Role.OWNER)
    assert access_team(owner, team.slug) == team
    disable_team(team, actor=COMMAND, reason=REASON)
    assert answer(lambda person: access_team(person, team.slug), owner) == "404"
    assert not teams_of(owner).exists()


def test_role_is_told_to_members_alone() -> None:
    team = new_team()
    assert role_in(new_member(team, Role.AUDITOR), team).role == Role.AUDITOR
    with pytest.raises(Http404):
        role_in(new_person(), team)


@pytest.mark.parametrize("role", Role)
def test_key_is_seen_by_its_holder_and_by_who_manages_or_audits(role: Role) -> None:
    team = new_team()
    viewer = new_member(team, role)
    of_an_application, of_a_colleague = (
        new_key(new_account(team)).key,
        own_key(team, new_member(team)),
    )
    sees_all, manages = role in WHO_MAY[Right.SEE_AUDIT], role in WHO_MAY[Right.MANAGE_KEYS]
    for key in (of_an_application, of_a_colleague):
        assert (key in keys_of(viewer)) == sees_all
        see = lambda person, key=key: access_key(person, key.pk)  # noqa: E731
        change = lambda person, key=key: access_key(person, key.pk, to_change=True)  # noqa: E731
        assert answer(see, viewer) == ("in" if sees_all else "404")
        assert answer(change, viewer) == ("in" if manages else "403" if sees_all else "404")
        for outsider in (new_member(new_team(), role), new_person(is_administrator=True)):
            assert answer(see, outsider) == answer(change, outsider) == "404"
    if role in WHO_MAY[Right.ISSUE_OWN_KEYS]:
        mine = own_key(team, viewer)
        assert access_key(viewer, mine.pk, to_change=True) == mine


def test_own_key_is_gone_with_the_membership() -> None:
    team = new_team()
    person = new_member(team)
    key = own_key(team, person)
    assert access_key(person, key.pk) == key
    team.memberships.get(person=person).delete()
    assert answer(lambda somebody: access_key(somebody, key.pk), person) == "404"


@pytest.mark.parametrize("role", Role)
def test_service_account_opens_as_its_team_does(role: Role) -> None:
    account = new_account()
    right = Right.MANAGE_SERVICE_ACCOUNTS
    insider, outsider = new_member(account.team, role), new_member(new_team(), role)
    see: Door = lambda person: access_service_account(person, account.pk)  # noqa: E731
    manage: Door = lambda person: access_service_account(person, account.pk, right=right)  # noqa: E731
    assert answer(see, insider) == "in"
    assert answer(manage, insider) == ("in" if role in WHO_MAY[right] else "403")
    assert answer(see, outsider) == answer(manage, outsider) == "404"


@pytest.mark.parametrize("of", Role)
@pytest.mark.parametrize("role", Role)
def test_membership_is_managed_by_managers_and_an_owners_by_owners(role: Role, of: Role) -> None:
    team = new_team()
    insider, outsider = new_member(team, role), new_member(new_team(), role)
    found = team.memberships.get(person=new_member(team, of))
    right = Right.MANAGE_MEMBERS
    see: Door = lambda person: access_membership(person, found.pk)  # noqa: E731
    manage: Door = lambda person: access_membership(person, found.pk, right=right)  # noqa: E731
    needed = Right.MANAGE_OWNERS if of is Role.OWNER else right
    assert answer(see, insider) == "in"
    assert answer(manage, insider) == ("in" if role in WHO_MAY[needed] else "403")
    assert answer(see, outsider) == answer(manage, outsider) == "404"


@pytest.mark.parametrize("role", Role)
def test_invitation_is_opened_by_managers_and_only_while_it_is_open(role: Role) -> None:
    team = new_team()
    invitation = new_invitation(team)
    insider, outsider = new_member(team, role), new_member(new_team(), role)
    door: Door = lambda person: access_invitation(person, invitation.pk)  # noqa: E731
    assert answer(door, insider) == ("in" if role in WHO_MAY[Right.MANAGE_MEMBERS] else "403")
    assert answer(door, outsider) == "404"
    withdraw_invitation(invitation, actor=COMMAND)
    assert answer(door, insider) == "404"


@pytest.mark.parametrize("door", [access_key, access_service_account, access_invitation])
def test_id_that_is_not_there_answers_like_a_strangers(
    door: Callable[[User, uuid.UUID], object],
) -> None:
    with pytest.raises(Http404):
        door(new_member(new_team(), Role.OWNER), uuid.uuid4())


def test_membership_that_is_not_there_answers_like_a_strangers() -> None:
    last = Membership.objects.order_by("-pk").first()
    missing = 1 + (last.pk if last else 0)
    with pytest.raises(Http404):
        access_membership(new_member(new_team(), Role.OWNER), missing + 1_000_000)
