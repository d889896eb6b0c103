"""The table of rights, written out: a change of it has to be made here, too, and is seen by whoever reads the change."""

import re

import pytest

from accounts.models import Membership
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import (
    PORTAL_RIGHTS,
    RIGHTS,
    PortalRight,
    Right,
    is_administrator,
    may,
    portal_rights,
    with_right,
)
from tests.accounts.rows import (
    new_holder,
    new_member,
    new_person,
    new_portal_role,
    new_team,
    new_team_role,
)
from tests.services import ROOT

OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR
WHO_MAY = {
    Right.SEE_TEAM: {OWNER, MANAGER, MEMBER, AUDITOR},
    Right.CALL_MODELS: {OWNER, MANAGER, MEMBER},
    Right.ISSUE_OWN_KEYS: {OWNER, MANAGER, MEMBER},
    Right.ASK_FOR_ACCESS: {OWNER, MANAGER, MEMBER},
    Right.SEE_USAGE: {OWNER, MANAGER, AUDITOR},
    Right.SEE_AUDIT: {OWNER, MANAGER, AUDITOR},
    Right.MANAGE_KEYS: {OWNER, MANAGER},
    Right.MANAGE_SERVICE_ACCOUNTS: {OWNER, MANAGER},
    Right.MANAGE_LIMITS: {OWNER, MANAGER},
    Right.MANAGE_MEMBERS: {OWNER, MANAGER},
    Right.MANAGE_OWNERS: {OWNER},
    Right.MANAGE_ROLES: {OWNER},
}
APPROVER, SECURITY, REGISTRY_ADMIN, SUPERUSER = PortalRole
WHO_MAY_IN_THE_PORTAL = {
    PortalRight.DECIDE_REQUESTS: {APPROVER, SUPERUSER},
    PortalRight.SEE_REGISTRY: {SECURITY, REGISTRY_ADMIN, SUPERUSER},
    PortalRight.MANAGE_REGISTRY: {REGISTRY_ADMIN, SUPERUSER},
    PortalRight.MANAGE_GRANTS: {REGISTRY_ADMIN, SUPERUSER},
    PortalRight.MANAGE_LIMITS: {REGISTRY_ADMIN, SUPERUSER},
    PortalRight.SEE_PEOPLE: {SECURITY, REGISTRY_ADMIN, SUPERUSER},
    PortalRight.MANAGE_PEOPLE: {SECURITY, SUPERUSER},
    PortalRight.MANAGE_TEAMS: {SUPERUSER},
    PortalRight.REVOKE_KEYS: {SECURITY, SUPERUSER},
    PortalRight.REPORT_LEAKS: {SECURITY, SUPERUSER},
    PortalRight.SEE_CALLS: {SECURITY, SUPERUSER},
    PortalRight.SEE_AUDIT: {SECURITY, SUPERUSER},
    PortalRight.MANAGE_MAIL: {SUPERUSER},
    PortalRight.MANAGE_ROLES: {SUPERUSER},
}


def test_table_names_every_right_and_every_role() -> None:
    assert WHO_MAY.keys() == set(Right)
    assert RIGHTS.keys() == set(Role)
    assert WHO_MAY_IN_THE_PORTAL.keys() == set(PortalRight)
    assert PORTAL_RIGHTS.keys() == set(PortalRole)


@pytest.mark.parametrize("role", Role)
def test_role_has_the_rights_of_the_table_and_no_other(role: Role) -> None:
    expected = {right for right, roles in WHO_MAY.items() if role in roles}
    assert {right for right in Right if may(Membership(role=role), right)} == expected


@pytest.mark.django_db
def test_rows_are_found_by_the_rights_that_their_roles_have() -> None:
    team = new_team()
    own = new_team_role(team, Right.SEE_USAGE)
    members = {role: new_member(team, role) for role in (*Role, own)}
    for right in Right:
        found = set(team.memberships.filter(with_right(right)).values_list("person_id", flat=True))
        roles = {*WHO_MAY[right], *({own} if right in {Right.SEE_TEAM, Right.SEE_USAGE} else ())}
        assert found == {members[role].pk for role in roles}, right


@pytest.mark.django_db
@pytest.mark.parametrize("role", PortalRole)
def test_portal_role_has_the_rights_of_the_table_and_no_other(role: PortalRole) -> None:
    expected = {right for right, roles in WHO_MAY_IN_THE_PORTAL.items() if role in roles}
    person = new_holder(role)
    assert portal_rights(person) == expected
    person.acts_in_team_id = person.pk
    assert not portal_rights(person)


@pytest.mark.django_db
def test_several_roles_add_up_and_what_is_no_right_any_more_allows_nothing() -> None:
    own = new_portal_role(PortalRight.SEE_AUDIT)
    own.rights.append("drop_tables")
    own.save()
    person = new_holder(PortalRole.APPROVER, own)
    assert portal_rights(person) == {PortalRight.DECIDE_REQUESTS, PortalRight.SEE_AUDIT}


def told(head: str) -> dict[str, set[str]]:
    """A table of docs/roles.md as rights by the roles that have them."""
    text = (ROOT / "docs" / "roles.md").read_text(encoding="utf-8")
    lines = text[text.index(head) :].splitlines()
    names = [cell.strip(" `") for cell in lines[0].split("|")[2:-2]]
    table = {}
    for line in lines[2:]:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not cells:
            break
        right = re.sub("`", "", cells[0])
        table[right] = {name for name, cell in zip(names, cells[1:], strict=False) if cell == "●"}
    return table


def test_documentation_shows_both_tables_as_they_are() -> None:
    of_teams = {right.value: {role.value for role in roles} for right, roles in WHO_MAY.items()}
    assert told("| In a team |") == of_teams
    of_portal = {
        right.value: {role.value for role in roles}
        for right, roles in WHO_MAY_IN_THE_PORTAL.items()
    }
    assert told("| In the portal |") == of_portal


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["is_active", "is_staff", "is_superuser"])
def test_administrator_is_active_staff_and_superuser(missing: str) -> None:
    person = new_person(is_administrator=True)
    assert is_administrator(person)
    setattr(person, missing, False)
    assert not is_administrator(person)
