from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import User
from accounts.models.audit import AuditTag
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now


@transaction.atomic
def create_person(
    email: str, *, password: str, actor: Actor, name: str = "", is_administrator: bool = False
) -> User:
    """Make a person who can sign in; an administrator also opens the admin.

    Raises: ValidationError for a weak password or an address that is taken or no address.
    """
    person = User(email=email.strip().lower(), name=name)
    validate_password(password, person)
    person.is_staff = person.is_superuser = is_administrator
    person.set_password(password)
    person.full_clean()
    person.save()
    record_audit(
        AuditTag.PERSON_CREATED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        is_administrator=is_administrator,
    )
    return person


@transaction.atomic
def disable_person(person: User, *, actor: Actor, reason: str) -> None:
    """Keep a person from signing in and refuse their keys in every team, until they are enabled again.

    They are signed out everywhere and their running calls are cut. Disabling twice keeps the first reason.
    """
    reason = checked_reason(reason, act="the person is disabled")
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if not person.is_active:
        return
    person.is_active = False
    person.save(update_fields=["is_active"])
    _sign_out_everywhere(person)
    record_audit(
        AuditTag.PERSON_DISABLED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        reason=reason,
    )


@transaction.atomic
def enable_person(person: User, *, actor: Actor) -> None:
    """Let a person sign in and their keys call again; whoever was signed in as them before is not any more."""
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if person.is_active:
        return
    person.is_active = True
    person.save(update_fields=["is_active"])
    # A sign-in that raced the disabling may have left a session behind.
    _sign_out_everywhere(person)
    record_audit(AuditTag.PERSON_ENABLED, actor=actor, subject_kind="person", subject_id=person.id)


def _sign_out_everywhere(person: User) -> None:
    """End the person's sessions. A session tells whose it is only when it is opened, so all live ones are."""
    ours = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=utc_now()).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(person.pk)
    ]
    Session.objects.filter(pk__in=ours).delete()
