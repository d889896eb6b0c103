"""A person's key calls models while their role in the team lets it, and each change of a role reaches the gateways."""

from collections.abc import Callable

import pytest

from accounts.audit import COMMAND, acting
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.roles import Right
from accounts.writes.custom_roles import change_team_role
from accounts.writes.teams import change_member_role
from tests.accounts.rows import new_member, new_name, new_team, new_team_role
from tests.accounts.test_change_log import noting
from tests.asking_api import Asker, data_of, personal_key
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
CALLER = frozenset({Right.CALL_MODELS, Right.ISSUE_OWN_KEYS})


def become(member: User, team: Team, role: Role) -> None:
    change_member_role(team.memberships.get(person=member), role=role, actor=COMMAND)


def test_key_of_whoever_may_call_no_longer_is_refused_and_manages_what_is_left() -> None:
    team = new_team()
    member = new_member(team)
    text = personal_key(member, team, Scope.CHAT, Scope.MANAGE).text
    assert loaded(text) is not None
    with noting() as noted:
        become(member, team, Role.AUDITOR)
    assert ("person", member.pk) in noted
    assert loaded(text) is None
    [mine] = data_of(Asker(text=text).get("me"))["teams"]
    assert (mine["role"], "see_audit" in mine["rights"]) == ("auditor", True)
    become(member, team, Role.MANAGER)
    assert loaded(text) is not None


def test_narrower_role_of_the_teams_own_ends_the_calls_of_whoever_has_it() -> None:
    team = new_team()
    role = new_team_role(team, *CALLER)
    member = new_member(team, role)
    text = personal_key(member, team, Scope.CHAT, Scope.MANAGE).text
    assert loaded(text) is not None
    with noting() as noted:
        change_team_role(
            role, name=new_name("role"), rights=CALLER - {Right.CALL_MODELS}, actor=COMMAND
        )
    # Whatever is loaded of the team is loaded anew.
    assert noted == {("team", team.pk)}
    assert loaded(text) is None


def asked(member: User, owner: User) -> list[Callable[[], object]]:
    team = owner.memberships.get().team
    return [
        lambda: Asker(person=member).get(f"teams/{team.slug}/audit"),
        lambda: Asker(person=member).client.get(f"/teams/{team.slug}/audit/"),
    ]


def test_page_and_api_know_a_changed_role_at_the_next_request() -> None:
    team = new_team()
    owner, role = new_member(team, Role.OWNER), new_team_role(team, Right.SEE_AUDIT)
    member = new_member(team, role)
    pages = asked(member, owner)
    assert [page().status_code for page in pages] == [200, 200]  # type: ignore[attr-defined]
    change_team_role(role, name="Less", rights=[Right.SEE_USAGE], actor=acting(owner))
    assert [page().status_code for page in pages] == [403, 403]  # type: ignore[attr-defined]
