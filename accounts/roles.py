"""What each role may do in its team: one table, which every door, page and API asks."""

from enum import StrEnum

from accounts.models import Membership, User
from accounts.models.teams import Role


class Right(StrEnum):
    """One thing that a member may be allowed to do in a team."""

    SEE_TEAM = "see_team"
    ISSUE_OWN_KEYS = "issue_own_keys"
    ASK_FOR_ACCESS = "ask_for_access"
    SEE_USAGE = "see_usage"
    SEE_AUDIT = "see_audit"
    MANAGE_KEYS = "manage_keys"
    MANAGE_SERVICE_ACCOUNTS = "manage_service_accounts"
    MANAGE_LIMITS = "manage_limits"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_OWNERS = "manage_owners"


# SEE_USAGE is the whole team's; everybody sees what their own keys used. MANAGE_OWNERS is to make, change and remove owners.
RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset(Right) - {Right.MANAGE_OWNERS},
    Role.MEMBER: frozenset({Right.SEE_TEAM, Right.ISSUE_OWN_KEYS, Right.ASK_FOR_ACCESS}),
    Role.AUDITOR: frozenset({Right.SEE_TEAM, Right.SEE_USAGE, Right.SEE_AUDIT}),
}


def roles_with(right: Right) -> list[str]:
    """Return the roles that have the right, as the database stores them."""
    return [role.value for role, rights in RIGHTS.items() if right in rights]


def may(membership: Membership, right: Right) -> bool:
    return right in RIGHTS[Role(membership.role)]


def is_administrator(person: User) -> bool:
    """Whether the person administers the whole portal, in the admin and at the management API.

    Whoever acts in one team alone does not, whoever they are.
    """
    return (
        person.acts_in_team_id is None
        and person.is_active
        and person.is_staff
        and person.is_superuser
    )
