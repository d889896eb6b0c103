"""What each role may do: two tables, one for teams and one for the whole portal, which every door, page and API asks.

A custom role is a set of the same rights under a name of its own. What stands in no table is not allowed. docs/roles.md
shows both tables, and a test holds them together.
"""

from enum import StrEnum

from django.db.models import Q

from accounts.models import CustomRole, Membership, User
from accounts.models.roles import PortalRole
from accounts.models.teams import Role


class Right(StrEnum):
    """One thing that a member may be allowed to do in a team."""

    SEE_TEAM = "see_team"
    CALL_MODELS = "call_models"
    ISSUE_OWN_KEYS = "issue_own_keys"
    ASK_FOR_ACCESS = "ask_for_access"
    SEE_USAGE = "see_usage"
    SEE_AUDIT = "see_audit"
    MANAGE_KEYS = "manage_keys"
    MANAGE_SERVICE_ACCOUNTS = "manage_service_accounts"
    MANAGE_LIMITS = "manage_limits"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_OWNERS = "manage_owners"
    MANAGE_ROLES = "manage_roles"


# SEE_USAGE is the whole team's; everybody sees what their own keys used. CALL_MODELS is with credentials of one's own.
# MANAGE_OWNERS is to change the team itself; owners alone have it, so that nobody else makes, changes or removes one.
RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.MANAGER: frozenset(Right) - {Right.MANAGE_OWNERS, Right.MANAGE_ROLES},
    Role.MEMBER: frozenset(
        {Right.SEE_TEAM, Right.CALL_MODELS, Right.ISSUE_OWN_KEYS, Right.ASK_FOR_ACCESS}
    ),
    Role.AUDITOR: frozenset({Right.SEE_TEAM, Right.SEE_USAGE, Right.SEE_AUDIT}),
}


class PortalRight(StrEnum):
    """One thing that somebody may be allowed to do in the whole portal: in the admin and at the management API."""

    DECIDE_REQUESTS = "decide_requests"
    SEE_REGISTRY = "see_registry"
    MANAGE_REGISTRY = "manage_registry"
    MANAGE_GRANTS = "manage_grants"
    MANAGE_LIMITS = "manage_limits"
    SEE_PEOPLE = "see_people"
    MANAGE_PEOPLE = "manage_people"
    MANAGE_TEAMS = "manage_teams"
    REVOKE_KEYS = "revoke_keys"
    REPORT_LEAKS = "report_leaks"
    SEE_CALLS = "see_calls"
    SEE_AUDIT = "see_audit"
    MANAGE_MAIL = "manage_mail"
    MANAGE_ROLES = "manage_roles"


PORTAL_RIGHTS: dict[PortalRole, frozenset[PortalRight]] = {
    PortalRole.APPROVER: frozenset({PortalRight.DECIDE_REQUESTS}),
    PortalRole.SECURITY: frozenset(
        {
            PortalRight.SEE_REGISTRY,
            PortalRight.SEE_PEOPLE,
            PortalRight.MANAGE_PEOPLE,
            PortalRight.REVOKE_KEYS,
            PortalRight.REPORT_LEAKS,
            PortalRight.SEE_CALLS,
            PortalRight.SEE_AUDIT,
        }
    ),
    PortalRole.REGISTRY_ADMIN: frozenset(
        {
            PortalRight.SEE_REGISTRY,
            PortalRight.MANAGE_REGISTRY,
            PortalRight.MANAGE_GRANTS,
            PortalRight.MANAGE_LIMITS,
            PortalRight.SEE_PEOPLE,
        }
    ),
    PortalRole.SUPERUSER: frozenset(PortalRight),
}
AnyPortalRole = PortalRole | CustomRole
AnyTeamRole = Role | CustomRole


# Whoever has one of these gives on what others may do, or holds what is the whole team's.
_LEADING = RIGHTS[Role.OWNER] - RIGHTS[Role.MEMBER] - RIGHTS[Role.AUDITOR]


def leads(rights: frozenset[Right]) -> bool:
    """Whether they are an owner's or a manager's, in whole or in part, whatever the role is called."""
    return bool(rights & _LEADING)


def rights_of(membership: Membership) -> frozenset[Right]:
    """What the member may do in the team."""
    if membership.custom_role is not None:
        return team_rights_of(membership.custom_role)
    return RIGHTS.get(Role(membership.role), frozenset()) if membership.role else frozenset()


def team_rights_of(role: AnyTeamRole) -> frozenset[Right]:
    """What a role of a team allows. What a row names that is no right any more allows nothing."""
    if isinstance(role, Role):
        return RIGHTS[role]
    if role.team_id is None:
        return frozenset()
    return frozenset(right for right in Right if right.value in role.rights)


def may(membership: Membership, right: Right) -> bool:
    return right in rights_of(membership)


def with_right(right: Right) -> Q:
    """The memberships that have the right."""
    roles = [role.value for role, rights in RIGHTS.items() if right in rights]
    return Q(custom_role=None, role__in=roles) | Q(custom_role__rights__contains=[right.value])


def portal_rights_of(role: AnyPortalRole) -> frozenset[PortalRight]:
    """What a role of the portal allows."""
    if isinstance(role, PortalRole):
        return PORTAL_RIGHTS[role]
    if role.team_id is not None:
        return frozenset()
    return frozenset(right for right in PortalRight if right.value in role.rights)


def portal_roles(person: User) -> list[AnyPortalRole]:
    """The roles that the person has for the whole portal, whether or not they act for it now."""
    rows = [row.custom_role or PortalRole(row.role) for row in person.assigned_roles]
    return [PortalRole.SUPERUSER, *rows] if person.is_superuser else rows


def has_portal_role(person: User) -> bool:
    """Whether the person has, or had the flags of, any role for the whole portal, whether or not they act for it now."""
    return person.is_staff or bool(portal_roles(person))


def portal_rights(person: User) -> frozenset[PortalRight]:
    """What the person may do in the whole portal. Whoever acts in one team alone may nothing, whoever they are."""
    if person.acts_in_team_id is not None or not (person.is_active and person.is_staff):
        return frozenset()
    if person.is_superuser:
        return PORTAL_RIGHTS[PortalRole.SUPERUSER]
    return frozenset().union(*(portal_rights_of(role) for role in portal_roles(person)))


def holds(person: User, right: PortalRight) -> bool:
    return right in portal_rights(person)


def is_administrator(person: User) -> bool:
    """Whether the person is a superuser who acts for the whole portal, and may everything there."""
    return person.is_superuser and bool(portal_rights(person))
