"""Rotates the keys whose secrets have come of age, and warns of new secrets that nobody has fetched."""

import datetime
from collections.abc import Iterator

from django.conf import settings
from django.db.models import Q, QuerySet

from accounts.key_facts import facts_of, told_of
from accounts.models import ApiKey, HandOver
from accounts.models.notifications import NotificationKind
from accounts.reminders import Ending, in_chunks, tell_of_endings
from accounts.ways_in.standing import usable_keys
from accounts.writes.key_schedule import forget_hand_overs, rotate_by_schedule
from models_registry.key_policies import days_for


def rotate_due_keys(*, now: datetime.datetime) -> int:
    """Rotate what is due, warn of what was not fetched, forget what no longer can be; return how many were rotated."""
    forget_hand_overs(now=now)
    rotated = 0
    for key in _candidates(now):
        days = _days_of(key, now=now)
        if days is not None:
            older_than = now - datetime.timedelta(days=days)
            rotated += rotate_by_schedule(key, older_than=older_than)
    tell_of_endings(_unfetched(), now=now)
    return rotated


def _days_of(key: ApiKey, *, now: datetime.datetime) -> int | None:
    """What the key asks for or its classes of data demand, whichever comes first."""
    asked = [key.rotates_after_days, days_for(key, settings.LATCHKEY_KEY_MAX_AGE_DAYS, now=now)]
    return min((days for days in asked if days is not None), default=None)


def _candidates(now: datetime.datetime) -> Iterator[ApiKey]:
    for keys in in_chunks(_old(now).order_by("pk")):
        yield from keys


def _old(now: datetime.datetime) -> QuerySet[ApiKey]:
    """Keys that work, without an old secret, whose own one is old enough for the strictest demand or for their own."""
    policy = settings.LATCHKEY_KEY_MAX_AGE_DAYS
    aged = Q(rotates_after_days__isnull=False)
    if policy:
        oldest = now - datetime.timedelta(days=min(policy.values()))
        aged |= Q(rotated_at=None, created_at__lte=oldest) | Q(rotated_at__lte=oldest)
    alone = Q(previous_ends_at=None) | Q(previous_ends_at__lte=now)
    keys = usable_keys(now=now).select_related("team", "service_account", "person")
    return keys.filter(aged, alone)


def _unfetched() -> Iterator[Ending]:
    waiting = HandOver.objects.select_related("key__team", "key__service_account", "key__person")
    for row in waiting.order_by("pk"):
        key = row.key
        if key.previous_ends_at is not None and key.rotated_at is not None:
            yield Ending(
                id=key.pk,
                kind=NotificationKind.KEY_ROTATED,
                since=key.rotated_at,
                ends_at=key.previous_ends_at,
                told=told_of(key),
                facts={**facts_of(key)},
            )
