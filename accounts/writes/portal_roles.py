"""Give people roles for the whole portal, and take them away."""

from collections.abc import Iterable

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import CustomRole, PortalAssignment, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.roles import PortalRole
from accounts.roles import (
    AnyPortalRole,
    PortalRight,
    is_administrator,
    portal_rights,
    portal_rights_of,
    portal_roles,
)
from accounts.two_person import demand_second


@transaction.atomic
def change_break_glass(person: User, *, is_break_glass: bool, actor: Actor) -> None:
    """Let an administrator sign in by password although their domain's single sign-on is enforced, or no more.

    The same again changes nothing. Raises: ValidationError for whoever is no administrator.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if person.is_break_glass == is_break_glass:
        return
    if is_break_glass and not is_administrator(person):
        raise ValidationError(
            "Only an administrator keeps a password for the day on which all else fails."
        )
    person.is_break_glass = is_break_glass
    person.save(update_fields=["is_break_glass"])
    record_audit(
        AuditTag.BREAK_GLASS_CHANGED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        is_break_glass=is_break_glass,
    )


@transaction.atomic
def give_portal_role(person: User, *, role: AnyPortalRole, actor: Actor) -> None:
    """Give somebody a role beside those they have. One that they have already is left as it is.

    actor: a person needs the right to manage roles and every right of this one, and is somebody else; for any role but
        an approver's there is a second such person.
    Raises: PermissionDenied, ValidationError.
    """
    person = _lock(person, actor)
    role = _current(role)
    _refuse_beyond_rights(person, role, actor)
    if role in portal_roles(person):
        return
    if role is PortalRole.SUPERUSER:
        person.is_superuser = True
    else:
        _row(person, role, actor).save(force_insert=True)
    _settle(person, role, actor, is_given=True)


@transaction.atomic
def take_portal_role(person: User, *, role: AnyPortalRole, actor: Actor) -> None:
    """Take a role from somebody; it counts from their next request on. One that they do not have is no matter.

    actor: as for giving it.
    Raises: PermissionDenied; ValidationError for the last superuser.
    """
    person = _lock(person, actor)
    _refuse_beyond_rights(person, role, actor)
    if role not in portal_roles(person):
        return
    if role is PortalRole.SUPERUSER:
        refuse_last_superuser(person)
        person.is_superuser = False
    else:
        same = {"role": role.value} if isinstance(role, PortalRole) else {"custom_role": role}
        PortalAssignment.objects.filter(person=person, **same).delete()
    _settle(person, role, actor, is_given=False)


def refuse_last_superuser(person: User) -> None:
    """Raises: ValidationError where nobody else could sign in as a superuser. Who asks holds the lock on all of them."""
    others = User.objects.filter(is_superuser=True, is_staff=True, is_active=True)
    if not others.exclude(pk=person.pk).exists():
        raise ValidationError(
            {"role": "This is the only superuser. Make another person a superuser first."}
        )


def lock_superusers(*people: User) -> dict[object, User]:
    """Return these people and all superusers as they are now, each kept from changing until the end.

    Always in one order: of two who unmake each other one remains, and neither waits for the other for ever.
    """
    wanted = [person.pk for person in people]
    rows = User.objects.filter(is_superuser=True) | User.objects.filter(pk__in=wanted)
    return {found.pk: found for found in rows.select_for_update(no_key=True).order_by("pk")}


def refuse_above(actor: Actor, person: User) -> None:
    """Raises: PermissionDenied where the person has a portal right that the actor has not."""
    if actor.kind != ActorKind.PERSON:
        return
    by = person_of(actor)
    theirs: set[PortalRight] = set().union(*(portal_rights_of(one) for one in portal_roles(person)))
    if theirs and (by is None or not theirs <= portal_rights(by)):
        raise PermissionDenied("This person may more in the portal than you.")


def refuse_beyond_portal(actor: Actor, rights: Iterable[PortalRight]) -> None:
    """Raises: PermissionDenied for a person who does not manage roles, or lacks one of the rights, as things are now."""
    if actor.kind != ActorKind.PERSON:
        return
    by = person_of(actor)
    own = frozenset() if by is None else portal_rights(by)
    if not {PortalRight.MANAGE_ROLES, *rights} <= own:
        raise PermissionDenied("Nobody gives or takes a right that they do not have.")


def portal_role_fact(role: AnyPortalRole) -> str:
    """The role as the audit trail names it."""
    return role.value if isinstance(role, PortalRole) else f"custom {role.pk}"


def _lock(person: User, actor: Actor) -> User:
    acting = [User(pk=one.id) for one in actor.everybody() if one.id is not None]
    return lock_superusers(person, *acting)[person.pk]


def _current(role: AnyPortalRole) -> AnyPortalRole:
    """The role as it is now, kept from being widened meanwhile. Raises: ValidationError."""
    if isinstance(role, PortalRole):
        return role
    found = CustomRole.objects.select_for_update(no_key=True).filter(pk=role.pk, team=None).first()
    if found is None:
        raise ValidationError({"role": "The portal has no such role."})
    return found


def person_of(actor: Actor) -> User | None:
    """The person who acts, as they are now."""
    return None if actor.id is None else User.objects.filter(pk=actor.id).first()


def takes_two(role: AnyPortalRole) -> bool:
    """Whether giving or taking the role takes two people: every one but an approver's does."""
    return role is not PortalRole.APPROVER


def _refuse_beyond_rights(person: User, role: AnyPortalRole, actor: Actor) -> None:
    for one in actor.everybody():
        refuse_beyond_portal(one, portal_rights_of(role))
        if one.kind == ActorKind.PERSON and one.id == person.pk:
            raise ValidationError(
                {"role": "Nobody changes their own portal roles. Ask another administrator."}
            )
    if takes_two(role):
        demand_second(actor)


def _row(person: User, role: AnyPortalRole, actor: Actor) -> PortalAssignment:
    row = PortalAssignment(person=person, given_by=actor.id)
    if isinstance(role, CustomRole):
        row.custom_role = role
    else:
        row.role = role
    return row


def _settle(person: User, role: AnyPortalRole, actor: Actor, *, is_given: bool) -> None:
    """Keep the admin open to whoever has a role left, and write the entry."""
    person.__dict__.pop("assigned_roles", None)
    person.is_staff = bool(portal_roles(person))
    person.save(update_fields=["is_staff", "is_superuser"])
    record_audit(
        AuditTag.PERSON_PORTAL_ROLE_CHANGED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        role=portal_role_fact(role),
        is_given=is_given,
    )
