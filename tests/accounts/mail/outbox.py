"""Rows of the outbox for tests."""

import datetime
from typing import Any

from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind, NotificationState
from accounts.writes.notifications import notify
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from tests.accounts.rows import new_person

REQUEST: dict[str, Any] = {
    "team": "Search",
    "models": ["house-chat", "house-embed"],
    "requested_by": "Ada",
    "justification": "We answer tickets.",
}


def waiting(person: User | None = None) -> Notification:
    """A mail that is due: a person is told of a request."""
    person = person or new_person()
    notify(person, NotificationKind.REQUEST_MADE, request_id=str(new_id()), **REQUEST)
    return Notification.objects.filter(person=person).latest("created_at")


def make_due(notification: Notification) -> None:
    """Let the time pass until the next try."""
    Notification.objects.filter(pk=notification.pk).update(next_try_at=utc_now())


def let_pass_since_handed_over(notification: Notification, minutes: float) -> None:
    """Let so much time pass since the mail was claimed."""
    found = Notification.objects.get(pk=notification.pk)
    assert found.handed_over_at is not None
    found.handed_over_at -= datetime.timedelta(minutes=minutes)
    found.save()


def clear_outbox() -> None:
    """Earlier tests' mail is not this one's."""
    Notification.objects.filter(state=NotificationState.WAITING).update(
        state=NotificationState.SENT
    )
