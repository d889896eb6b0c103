"""Put what people are to be told into the outbox, in the writer's transaction."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.mail.task import send_due_mail
from accounts.models import Notification, NotificationChoice, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import (
    ALWAYS_AT_ONCE,
    Delivery,
    NotificationKind,
    NotificationState,
)
from portal.lib.clock import utc_now

WAKE_LIFE_S = 30
_FIRST_STATES = {
    Delivery.AT_ONCE: NotificationState.WAITING,
    Delivery.DAILY: NotificationState.GATHERED,
    Delivery.PORTAL: NotificationState.KEPT,
}
Fact = str | int | bool | None | list[str]


def notify(person: User, kind: NotificationKind, *, once: str | None = None, **facts: Fact) -> None:
    """Have the person told as they chose; a task sends what is to be sent after the commit.

    once: a name under which this is told a single time, however often it is asked for.
    facts: ids and plain values the mail is written from; never a secret.
    """
    if person.is_active:
        delivery = delivery_of(person, kind)
        _enqueue(
            person=person, email=person.email, kind=kind, once=once, facts=facts, delivery=delivery
        )


def notify_address(email: str, kind: NotificationKind, **facts: Fact) -> None:
    """Have somebody told who is not a person here yet."""
    _enqueue(person=None, email=email, kind=kind, once=None, facts=facts)


def delivery_of(person: User, kind: NotificationKind) -> Delivery:
    """How the person is told of the kind: as they chose, where that is theirs to choose."""
    if kind in ALWAYS_AT_ONCE:
        return Delivery.AT_ONCE
    chosen = NotificationChoice.objects.filter(person=person, kind=kind).first()
    return Delivery.AT_ONCE if chosen is None else Delivery(chosen.delivery)


@transaction.atomic
def choose_deliveries(
    person: User, chosen: Mapping[NotificationKind, Delivery], *, actor: Actor
) -> None:
    """Keep how the person wants to hear of each kind from now on. Changing nothing writes nothing.

    Raises: ValidationError for a kind that is told at once whatever anybody chose.
    """
    if chosen.keys() & ALWAYS_AT_ONCE:
        raise ValidationError("This kind is always told at once.")
    # Two forms of one person wait for each other.
    User.objects.select_for_update().get(pk=person.pk)
    changed = sorted(kind for kind, how in chosen.items() if how is not delivery_of(person, kind))
    for kind in changed:
        NotificationChoice.objects.update_or_create(
            person=person, kind=kind, defaults={"delivery": chosen[kind]}
        )
    if changed:
        record_audit(
            AuditTag.NOTIFICATIONS_CHOSEN,
            actor=actor,
            subject_kind="person",
            subject_id=person.pk,
            changed=[f"{kind.value}: {chosen[kind].value}" for kind in changed],
        )


@transaction.atomic
def send_again(notification: Notification, *, actor: Actor) -> None:
    """Have a mail sent whose sending was interrupted or has failed. One that was interrupted may arrive twice.

    Raises: ValidationError for a mail that was sent or will be by itself.
    """
    notification = Notification.objects.select_for_update().get(pk=notification.pk)
    if notification.state not in (NotificationState.UNCERTAIN, NotificationState.FAILED):
        raise ValidationError(
            f"This mail is {notification.get_state_display().lower()}; only an uncertain or a failed one is sent again."
        )
    notification.state, notification.tries = NotificationState.WAITING, 0
    notification.next_try_at, notification.fault = utc_now(), ""
    notification.save(update_fields=["state", "tries", "next_try_at", "fault"])
    record_audit(
        AuditTag.MAIL_SENT_AGAIN,
        actor=actor,
        subject_kind="notification",
        subject_id=notification.id,
        kind=notification.kind,
    )
    send_after_commit()


def _enqueue(
    *,
    person: User | None,
    email: str,
    kind: NotificationKind,
    once: str | None,
    facts: dict[str, Fact],
    delivery: Delivery = Delivery.AT_ONCE,
) -> None:
    state = _FIRST_STATES[delivery]
    row = Notification(person=person, email=email, kind=kind, once=once, facts=facts, state=state)
    # What is told once and stands already is left as it is, also when two ask at the same moment.
    Notification.objects.bulk_create([row], ignore_conflicts=once is not None)
    if delivery is Delivery.AT_ONCE:
        send_after_commit()


def send_after_commit() -> None:
    """Wake the task that sends. Where the broker is away, beat's next run sends, and what was committed stands."""
    waiting = transaction.get_connection().run_on_commit
    # However many are told in a transaction, it is woken once. A hook goes with the savepoint it was added in, and so
    # do those that came after it.
    if not any(hook is _wake for _, hook, _ in waiting):
        transaction.on_commit(_wake, robust=True)


def _wake() -> None:
    # One that is late finds the work done by beat's.
    send_due_mail.apply_async(retry=False, expires=WAKE_LIFE_S)
