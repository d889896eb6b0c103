"""Put what people are to be told into the outbox, in the writer's transaction."""

from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind

Fact = str | int | bool | None | list[str]


def notify(person: User, kind: NotificationKind, *, once: str | None = None, **facts: Fact) -> None:
    """Have the person told; a task sends it after the commit.

    once: a name under which this is told a single time, however often it is asked for.
    facts: ids and plain values the mail is written from; never a secret.
    """
    if person.is_active:
        _enqueue(person=person, email=person.email, kind=kind, once=once, facts=facts)


def notify_address(email: str, kind: NotificationKind, **facts: Fact) -> None:
    """Have somebody told who is not a person here yet."""
    _enqueue(person=None, email=email, kind=kind, once=None, facts=facts)


def _enqueue(
    *,
    person: User | None,
    email: str,
    kind: NotificationKind,
    once: str | None,
    facts: dict[str, Fact],
) -> None:
    row = Notification(person=person, email=email, kind=kind, once=once, facts=facts)
    # What is told once and stands already is left as it is, also when two ask at the same moment.
    Notification.objects.bulk_create([row], ignore_conflicts=once is not None)
