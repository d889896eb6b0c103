from typing import Literal

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, acting, record_audit
from accounts.models import User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.notifications import NotificationKind
from accounts.oauth.writes import end_tokens_of_person
from accounts.writes.notifications import notify, notify_address, send_after_commit
from accounts.writes.portal_roles import lock_superusers, refuse_above, refuse_last_superuser
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now


@transaction.atomic
def create_person(
    email: str,
    *,
    password: str,
    actor: Actor | None,
    name: str = "",
    is_administrator: bool = False,
) -> User:
    """Make a person who can sign in; an administrator also opens the admin.

    actor: None where the person does it themself, by an invitation.
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
        actor=actor or acting(person),
        subject_kind="person",
        subject_id=person.id,
        is_administrator=is_administrator,
    )
    return person


class _NobodyThere(Exception):
    """Undoes what was only written to take as long as for somebody."""


@transaction.atomic
def ask_for_reset(email: str) -> None:
    """Have a link to a new password sent to whoever signs in with this address.

    For an address without a person the same is written and taken back, so that the answer comes neither sooner nor later.
    """
    email = email.strip().lower()
    person = User.objects.filter(email=email, is_active=True).first()
    try:
        with transaction.atomic():
            if person is None:
                notify_address(email, NotificationKind.PASSWORD_RESET)
                raise _NobodyThere
            notify(person, NotificationKind.PASSWORD_RESET)
    except _NobodyThere:
        # The waking of whoever sends went with what was taken back.
        send_after_commit()


@transaction.atomic
def change_password(
    person: User, *, password: str, through: Literal["page", "reset"], token: str = ""
) -> User:
    """Set a new password. Every session of the person ends with the old one, as sessions are bound to it.

    token: that of a reset link; of two who use one at the same moment the second is refused.
    Returns: the person as they are now, for the session that is to go on.
    Raises: ValidationError for a weak password and a token that is used up.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    if through == "reset" and not default_token_generator.check_token(person, token):
        raise ValidationError("This link has been used, or has ended. Ask for another one.")
    validate_password(password, person)
    person.set_password(password)
    person.save(update_fields=["password"])
    record_audit(
        AuditTag.PASSWORD_CHANGED,
        actor=acting(person),
        subject_kind="person",
        subject_id=person.id,
        through=through,
    )
    return person


@transaction.atomic
def disable_person(person: User, *, actor: Actor, reason: str) -> None:
    """Keep a person from signing in and refuse their keys in every team, until they are enabled again.

    They are signed out everywhere, their OAuth tokens end for good, and their running calls are cut. Disabling twice keeps the first reason.
    Raises: PermissionDenied where they may more in the portal than the actor; ValidationError for the last superuser, whom
    only a command on the host disables.
    """
    reason = checked_reason(reason, act="the person is disabled")
    person = lock_superusers(person)[person.pk]
    refuse_above(actor, person)
    if not person.is_active:
        return
    if person.is_superuser and actor.kind == ActorKind.PERSON:
        refuse_last_superuser(person)
    person.is_active = False
    person.save(update_fields=["is_active"])
    _sign_out_everywhere(person)
    end_tokens_of_person(person)
    record_audit(
        AuditTag.PERSON_DISABLED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        reason=reason,
    )


@transaction.atomic
def enable_person(person: User, *, actor: Actor) -> None:
    """Let a person sign in and their keys call again; whoever was signed in as them before is not any more.

    Raises: PermissionDenied where they may more in the portal than the actor.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    refuse_above(actor, person)
    if person.is_active:
        return
    person.is_active = True
    person.save(update_fields=["is_active"])
    # A sign-in or a refresh that raced the disabling may have left a session or a token behind.
    _sign_out_everywhere(person)
    end_tokens_of_person(person)
    record_audit(AuditTag.PERSON_ENABLED, actor=actor, subject_kind="person", subject_id=person.id)


def _sign_out_everywhere(person: User) -> None:
    """End the person's sessions. A session tells whose it is only when it is opened, so all live ones are."""
    ours = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=utc_now()).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(person.pk)
    ]
    Session.objects.filter(pk__in=ours).delete()
    UserSession.objects.filter(user=person).delete()
