"""The table of rights, written out: a change of it has to be made here, too, and is seen by whoever reads the change."""

import pytest

from accounts.models import Membership
from accounts.models.teams import Role
from accounts.roles import RIGHTS, Right, is_administrator, may, roles_with
from tests.accounts.rows import new_person

OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR
WHO_MAY = {
    Right.SEE_TEAM: {OWNER, MANAGER, MEMBER, AUDITOR},
    Right.ISSUE_OWN_KEYS: {OWNER, MANAGER, MEMBER},
    Right.ASK_FOR_ACCESS: {OWNER, MANAGER, MEMBER},
    Right.SEE_USAGE: {OWNER, MANAGER, AUDITOR},
    Right.SEE_AUDIT: {OWNER, MANAGER, AUDITOR},
    Right.MANAGE_KEYS: {OWNER, MANAGER},
    Right.MANAGE_SERVICE_ACCOUNTS: {OWNER, MANAGER},
    Right.MANAGE_LIMITS: {OWNER, MANAGER},
    Right.MANAGE_MEMBERS: {OWNER, MANAGER},
    Right.MANAGE_OWNERS: {OWNER},
}


def test_table_names_every_right_and_every_role() -> None:
    assert WHO_MAY.keys() == set(Right)
    assert RIGHTS.keys() == set(Role)


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_role_has_the_rights_of_the_table_and_no_other(role: Role, right: Right) -> None:
    expected = role in WHO_MAY[right]
    assert may(Membership(role=role), right) == expected
    assert (role.value in roles_with(right)) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["is_active", "is_staff", "is_superuser"])
def test_administrator_is_active_staff_and_superuser(missing: str) -> None:
    person = new_person(is_administrator=True)
    assert is_administrator(person)
    setattr(person, missing, False)
    assert not is_administrator(person)
