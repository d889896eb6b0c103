"""Name who agrees to requests in one's place while one is away, and take it back."""

import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.access import memberships_of
from accounts.audit import acting, record_audit
from accounts.models import Membership, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.writes.notifications import notify
from models_registry.models import ApprovalDelegation
from portal.lib.clock import days_ahead, utc_now

DAYS_MAX = 60
# The same words whether or not somebody has the address.
NO_COLLEAGUE = "Nobody in your teams has this address."


@transaction.atomic
def delegate_approvals(
    person: User, *, email: str, ends_at: datetime.datetime
) -> ApprovalDelegation:
    """Let a colleague of one of the person's teams agree in their place, instead of whoever does so far; they are told.

    Raises: ValidationError naming the field.
    """
    if not utc_now() < ends_at <= days_ahead(DAYS_MAX):
        raise ValidationError({"ends_at": f"Choose an end within {DAYS_MAX} days."})
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    delegate = _colleague(person, email)
    made, _ = ApprovalDelegation.objects.update_or_create(
        person=person,
        defaults={"delegate": delegate, "ends_at": ends_at, "created_at": utc_now()},
    )
    record_audit(
        AuditTag.APPROVALS_DELEGATED,
        actor=acting(person),
        subject_kind="person",
        subject_id=person.pk,
        delegate=str(delegate.pk),
        ends_at=ends_at.isoformat(),
    )
    notify(
        delegate,
        NotificationKind.APPROVALS_DELEGATED,
        by=person.name or person.email,
        ends_at=ends_at.isoformat(),
    )
    return made


@transaction.atomic
def end_delegation(person: User) -> None:
    """Let nobody agree in the person's place any more. Twice does nothing more."""
    found = ApprovalDelegation.objects.select_for_update().filter(person=person).first()
    if found is None:
        return
    found.delete()
    record_audit(
        AuditTag.DELEGATION_ENDED,
        actor=acting(person),
        subject_kind="person",
        subject_id=person.pk,
        delegate=str(found.delegate_id),
    )


def _colleague(person: User, email: str) -> User:
    """Somebody else who can sign in and is in one of the person's teams. Raises: ValidationError."""
    teams = memberships_of(person).filter(team__disabled_at=None).values("team_id")
    found = (
        Membership.objects.filter(team__in=teams, person__is_active=True)
        .filter(person__email__iexact=email.strip())
        .exclude(person=person)
        .select_related("person")
        .first()
    )
    if found is None:
        raise ValidationError({"email": NO_COLLEAGUE})
    return found.person
