"""Who may do what beyond their own teams: nobody, an approver of requests, an administrator of everything."""

from django.contrib.auth.models import Permission
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction

from accounts.audit import Actor, acting, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag
from accounts.roles import is_administrator

# The registry's own permission, known here by its name alone: this layer imports nothing of that one.
_DECIDES = {"content_type__app_label": "models_registry", "codename": "decide_accessrequest"}


class PortalRole(models.TextChoices):
    """What a person is to the whole portal, beside what they are in their teams."""

    NONE = "none", "None"
    APPROVER = "approver", "Approver"
    ADMINISTRATOR = "administrator", "Administrator"


def portal_role(person: User) -> PortalRole:
    if not person.is_staff:
        return PortalRole.NONE
    return PortalRole.ADMINISTRATOR if person.is_superuser else PortalRole.APPROVER


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
def change_portal_role(person: User, *, role: PortalRole, actor: User) -> None:
    """Make somebody an approver, an administrator, or neither. The same role again changes nothing.

    actor: an administrator, and never the person: so one always remains.
    Raises: PermissionDenied, ValidationError.
    """
    # Both in one order, so that of two administrators who demote each other one remains.
    both = User.objects.select_for_update(no_key=True).order_by("pk")
    locked = {found.pk: found for found in both.filter(pk__in=[person.pk, actor.pk])}
    person, actor = locked[person.pk], locked[actor.pk]
    if not is_administrator(actor):
        raise PermissionDenied
    if actor.pk == person.pk:
        raise ValidationError(
            {"role": "Nobody changes their own portal role. Ask another administrator."}
        )
    old = portal_role(person)
    if role is old:
        return
    person.is_staff = role is not PortalRole.NONE
    person.is_superuser = role is PortalRole.ADMINISTRATOR
    person.save(update_fields=["is_staff", "is_superuser"])
    decides = Permission.objects.filter(**_DECIDES)
    person.user_permissions.set(decides if role is PortalRole.APPROVER else [])
    record_audit(
        AuditTag.PERSON_PORTAL_ROLE_CHANGED,
        actor=acting(actor),
        subject_kind="person",
        subject_id=person.id,
        role=role.value,
        old_role=old.value,
    )
