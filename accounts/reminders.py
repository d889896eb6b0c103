"""What ends soon is told in time: 14, 3 and 1 days before, each once, however often and late anybody looks."""

import datetime
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from django.db import transaction

from accounts.models import Membership, Notification, User
from accounts.models.notifications import NotificationKind
from accounts.roles import Right, with_right
from accounts.writes.notifications import Fact, notify
from accounts.writes.webhooks import teams_with_webhooks, tell_webhooks

DAYS_BEFORE = (1, 3, 14)
FIRST_WARNING = datetime.timedelta(days=DAYS_BEFORE[-1])
CHUNK = 500
Row = TypeVar("Row")


@dataclass(frozen=True)
class Ending:
    """Something that ends, and who is to know.

    since: from when on it could be used. team_id: whose webhooks hear of it; None for what is a person's own.
    """

    id: uuid.UUID
    kind: NotificationKind
    since: datetime.datetime
    ends_at: datetime.datetime
    told: Sequence[User]
    facts: dict[str, Fact]
    team_id: uuid.UUID | None = None


def warning_due(
    ends_at: datetime.datetime, *, since: datetime.datetime, now: datetime.datetime
) -> int | None:
    """Return how many days before the end the latest warning stands whose time has come; earlier ones lapse with it.

    None, too, for what could not yet be used at that time: whoever made it chose its end.
    """
    left = ends_at - now
    for days in DAYS_BEFORE:
        if datetime.timedelta(0) < left <= datetime.timedelta(days=days):
            return days if ends_at - since > datetime.timedelta(days=days) else None
    return None


def tell_of_endings(endings: Iterable[Ending], *, now: datetime.datetime) -> int:
    """Put the warnings that are due and were not given yet into the outbox; return how many."""
    return sum(_tell_once(chunk, now) for chunk in in_chunks(endings))


def in_chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def keepers_of(team_ids: set[uuid.UUID]) -> dict[uuid.UUID, list[User]]:
    """Who looks after each team's keys and grants: its owners and managers."""
    keepers: dict[uuid.UUID, list[User]] = {team_id: [] for team_id in team_ids}
    memberships = Membership.objects.select_related("person").filter(
        with_right(Right.MANAGE_KEYS), team__in=team_ids, person__is_active=True
    )
    for membership in memberships:
        keepers[membership.team_id].append(membership.person)
    return keepers


def _tell_once(endings: list[Ending], now: datetime.datetime) -> int:
    wanted: dict[str, tuple[User, Ending, int]] = {}
    teams: dict[str, tuple[uuid.UUID, Ending, int]] = {}
    listening = teams_with_webhooks(ending.team_id for ending in endings)
    for ending in endings:
        days = warning_due(ending.ends_at, since=ending.since, now=now)
        if days is not None:
            # An end that was moved is another end.
            name = f"{ending.kind.value}:{ending.id}:{ending.ends_at:%Y%m%dT%H%M%S}:{days}"
            wanted |= {f"{name}:{person.pk}": (person, ending, days) for person in ending.told}
            if ending.team_id is not None and ending.team_id in listening:
                teams[name] = (ending.team_id, ending, days)
    told = Notification.objects.filter(once__in=wanted).values_list("once", flat=True)
    new = wanted.keys() - set(told)
    with transaction.atomic():
        for once in sorted(new):
            person, ending, days = wanted[once]
            facts = ending.facts | {"ends_at": ending.ends_at.isoformat(), "days": days}
            notify(person, ending.kind, once=once, **facts)
        for once, (team_id, ending, days) in teams.items():
            facts = ending.facts | {"ends_at": ending.ends_at.isoformat(), "days": days}
            tell_webhooks(team_id, ending.kind, once=once, **facts)
    return len(new)
