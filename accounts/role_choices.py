"""Roles as forms and the API name them: a built-in one by its own name, one of an organisation's own by its id."""

import uuid

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts.models import CustomRole, Team
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import AnyPortalRole, AnyTeamRole

Choices = list[tuple[str, str]]


def team_role_choices(team: Team) -> Choices:
    """The roles that a member of the team can have, the built-in ones first."""
    return [*Role.choices, *_own(team.custom_roles.all())]


def any_team_role_choices() -> "list[tuple[str, str | Choices]]":
    """The built-in roles of teams, and beneath each team's name those of its own."""
    own: dict[str, Choices] = {}
    roles = CustomRole.objects.filter(team__disabled_at=None).exclude(team=None)
    for role in roles.select_related("team").order_by("team__name", "name"):
        own.setdefault(str(role.team), []).append((str(role.pk), role.name))
    return [*Role.choices, *own.items()]


def portal_role_choices() -> Choices:
    """The roles that somebody can have for the whole portal."""
    return [*PortalRole.choices, *_own(CustomRole.objects.filter(team=None))]


def read_team_role(team: Team, value: str) -> AnyTeamRole:
    """Return the role of the team that is named. Raises: ValidationError."""
    if value in Role.values:
        return Role(value)
    return _read(team.custom_roles.all(), value)


def read_portal_role(value: str) -> AnyPortalRole:
    """Return the role of the portal that is named. Raises: ValidationError."""
    if value in PortalRole.values:
        return PortalRole(value)
    return _read(CustomRole.objects.filter(team=None), value)


def value_of(role: AnyTeamRole | AnyPortalRole) -> str:
    return str(role.pk) if isinstance(role, CustomRole) else role.value


def label_of(role: AnyTeamRole | AnyPortalRole) -> str:
    return role.name if isinstance(role, CustomRole) else str(role.label)


def _own(roles: QuerySet[CustomRole]) -> Choices:
    return [(str(role.pk), role.name) for role in roles.order_by("name")]


def _read(roles: QuerySet[CustomRole], value: str) -> CustomRole:
    try:
        found = roles.filter(pk=uuid.UUID(value)).first()
    except ValueError:
        found = None
    if found is None:
        raise ValidationError({"role": "There is no such role."})
    return found
