"""Digests: what a person chose to hear of once a day, in one mail."""

import datetime
import uuid

from django.db import transaction

from accounts.mail.headlines import headline_of
from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind, NotificationState
from accounts.writes.notifications import notify

# In UTC. What was gathered until then is sent then, or as soon as somebody looks.
HOUR = 6
LINES_MAX = 100
PEOPLE_MAX = 5_000


def make_digests(*, now: datetime.datetime) -> int:
    """Make the digests that are due and have not been made yet; return how many. Any number of processes may at once."""
    until = last_turn(now)
    gathered = Notification.objects.filter(state=NotificationState.GATHERED, created_at__lt=until)
    people = gathered.order_by("person_id").values_list("person_id", flat=True).distinct()
    return sum(_make(person_id, until) for person_id in people[:PEOPLE_MAX] if person_id)


def last_turn(now: datetime.datetime) -> datetime.datetime:
    """When digests were due last."""
    turn = now.astimezone(datetime.UTC).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return turn if turn <= now else turn - datetime.timedelta(days=1)


@transaction.atomic
def _make(person_id: uuid.UUID, until: datetime.datetime) -> bool:
    """Put one mail of what the person's rows say into the outbox. Of more than fit, the rest follows in another."""
    rows = list(
        Notification.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(person_id=person_id, state=NotificationState.GATHERED, created_at__lt=until)
        .order_by("id")[:LINES_MAX]
    )
    if not rows:
        return False
    lines = [headline_of(row).text for row in rows]
    notify(User.objects.get(pk=person_id), NotificationKind.DIGEST, count=len(lines), lines=lines)
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=NotificationState.DIGESTED
    )
    return True
