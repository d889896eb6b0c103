"""Make, change and remove roles of an organisation's own: of a team by its owners, of the portal by administrators."""

from collections.abc import Iterable
from typing import TypeVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import CustomRole, Membership, Team
from accounts.models.audit import ActorKind, AuditTag
from accounts.roles import (
    PortalRight,
    Right,
    portal_rights_of,
    rights_of,
    team_rights_of,
)
from accounts.two_person import demand_second
from accounts.writes.portal_roles import refuse_beyond_portal

ROLES_PER_TEAM_MAX = 50
AnyRight = TypeVar("AnyRight", Right, PortalRight)


@transaction.atomic
def make_team_role(
    team: Team, *, name: str, rights: Iterable[Right], actor: Actor, description: str = ""
) -> CustomRole:
    """Make a role of the team. Seeing the team belongs to every one.

    actor: a person has to manage the team's roles and have every right that the role gets.
    Raises: PermissionDenied; ValidationError naming the field.
    """
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    wanted = {Right.SEE_TEAM, *rights}
    _refuse_beyond_team(team, wanted, actor)
    if team.custom_roles.count() >= ROLES_PER_TEAM_MAX:
        raise ValidationError({"name": f"A team has at most {ROLES_PER_TEAM_MAX} roles."})
    return _make(CustomRole(team=team), name, description, wanted, actor)


@transaction.atomic
def change_team_role(
    role: CustomRole, *, name: str, rights: Iterable[Right], actor: Actor, description: str = ""
) -> None:
    """Change a role of a team; whoever has it may what it allows from their next request on.

    Changing nothing is not audited.
    Raises: PermissionDenied where it has or gets a right that the actor has not; ValidationError naming the field.
    """
    found = _locked(role)
    wanted = {Right.SEE_TEAM, *rights}
    _refuse_beyond_team(_team_of(found), wanted | team_rights_of(found), actor)
    _change(found, name, description, wanted, actor)


@transaction.atomic
def make_portal_role(
    *, name: str, rights: Iterable[PortalRight], actor: Actor, description: str = ""
) -> CustomRole:
    """Make a role of the whole portal.

    actor: a person has to manage roles and have every right that the role gets, and so has a second one.
    Raises: PermissionDenied; ValidationError naming the field.
    """
    wanted = set(rights)
    _refuse_beyond_portal(wanted, actor)
    demand_second(actor)
    return _make(CustomRole(), name, description, wanted, actor)


@transaction.atomic
def change_portal_role(
    role: CustomRole,
    *,
    name: str,
    rights: Iterable[PortalRight],
    actor: Actor,
    description: str = "",
) -> None:
    """Change a role of the portal, as change_team_role does a team's. To widen it takes two."""
    found = _locked(role)
    wanted, old = set(rights), portal_rights_of(found)
    _refuse_beyond_portal(wanted | old, actor)
    if not wanted <= old:
        demand_second(actor)
    _change(found, name, description, wanted, actor)


@transaction.atomic
def remove_role(role: CustomRole, *, actor: Actor) -> None:
    """Remove a role that nobody has any more. Removing twice does nothing more.

    Raises: PermissionDenied; ValidationError while somebody has it, or a group of single sign-on brings it.
    """
    found = CustomRole.objects.select_for_update().select_related(None).filter(pk=role.pk).first()
    if found is None:
        return
    if found.team_id is None:
        _refuse_beyond_portal(portal_rights_of(found), actor)
    else:
        _refuse_beyond_team(_team_of(found), team_rights_of(found), actor)
    if found.memberships.exists() or found.portal_assignments.exists():
        raise ValidationError("Somebody has this role. Give them another one first.")
    if found.sign_on_mappings.exists():
        raise ValidationError(
            "A group of single sign-on brings people into this role. An administrator maps it elsewhere first."
        )
    record_audit(
        AuditTag.ROLE_REMOVED,
        actor=actor,
        subject_kind="role",
        subject_id=found.id,
        team_id=found.team_id,
        name=found.name,
    )
    found.delete()


def _refuse_beyond_team(team: Team, rights: Iterable[Right], actor: Actor) -> None:
    """Hold a person to what they may in the team themselves, whatever they are to the portal."""
    if actor.kind != ActorKind.PERSON:
        return
    membership = (
        Membership.objects.select_related("custom_role")
        .filter(team=team, person_id=actor.id, person__is_active=True)
        .first()
    )
    own = frozenset() if membership is None else rights_of(membership)
    if not {Right.MANAGE_ROLES, *rights} <= own:
        raise PermissionDenied("Nobody gives a right that they do not have.")


def _refuse_beyond_portal(rights: Iterable[PortalRight], actor: Actor) -> None:
    for one in actor.everybody():
        refuse_beyond_portal(one, rights)


def _make(
    role: CustomRole, name: str, description: str, rights: set[AnyRight], actor: Actor
) -> CustomRole:
    role.name, role.description = name.strip(), description.strip()
    role.rights = _stored(rights)
    role.full_clean()
    role.save(force_insert=True)
    record_audit(
        AuditTag.ROLE_MADE,
        actor=actor,
        subject_kind="role",
        subject_id=role.id,
        team_id=role.team_id,
        name=role.name,
        rights=role.rights,
    )
    return role


def _change(
    found: CustomRole, name: str, description: str, rights: set[AnyRight], actor: Actor
) -> None:
    wanted = {
        "name": name.strip(),
        "description": description.strip(),
        "rights": _stored(rights),
    }
    changed = [field for field, value in wanted.items() if getattr(found, field) != value]
    if not changed:
        return
    old = found.rights
    for field in changed:
        setattr(found, field, wanted[field])
    found.full_clean()
    found.save(update_fields=changed)
    record_audit(
        AuditTag.ROLE_CHANGED,
        actor=actor,
        subject_kind="role",
        subject_id=found.id,
        team_id=found.team_id,
        changed=changed,
        rights=found.rights,
        old_rights=old,
    )


def _stored(rights: Iterable[AnyRight]) -> list[str]:
    """As a row holds them, in one order. Raises: ValidationError where there is none."""
    stored = sorted(right.value for right in rights)
    if not stored:
        raise ValidationError({"rights": "A role allows at least one thing."})
    return stored


def _team_of(role: CustomRole) -> Team:
    if role.team is None:
        raise PermissionDenied
    return role.team


def _locked(role: CustomRole) -> CustomRole:
    """Return the role as it is now. Raises: ValidationError where it was removed."""
    found = CustomRole.objects.select_for_update(no_key=True).filter(pk=role.pk).first()
    if found is None:
        raise ValidationError("This role was removed meanwhile.")
    return found
