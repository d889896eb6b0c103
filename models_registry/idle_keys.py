"""Looks for keys that nobody uses. What is due stands in rows, so it makes no difference how often or how late this runs."""

import datetime
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest

from accounts.key_facts import facts_of, told_of
from accounts.key_use import SIGNS_OF_LIFE
from accounts.models import ApiKey, IdleKey
from accounts.models.notifications import NotificationKind
from accounts.reminders import FIRST_WARNING, Ending, in_chunks, tell_of_endings
from accounts.ways_in.standing import usable_keys
from accounts.writes.idle_keys import disable_idle_key, remove_idle_key
from models_registry.key_policies import days_for

# A warning that comes late puts the end off: nobody hears of it later than this before.
NOTICE_MIN = datetime.timedelta(days=3)


def look_for_idle_keys(*, now: datetime.datetime) -> None:
    """Note, warn of, disable and remove what is due."""
    _forget_what_is_used(now)
    for key, alive_at in _idle(now):
        _note(key, alive_at, now=now)
    tell_of_endings(_warnings(), now=now)
    rows = IdleKey.objects.select_related("key")
    for idle in rows.filter(disables_at__lte=now, key__disabled_at=None):
        disable_idle_key(idle.key, now=now)
    for idle in rows.filter(removes_at__lte=now, key__revoked_at=None):
        remove_idle_key(idle.key, now=now)


def _standing(now: datetime.datetime) -> QuerySet[Any]:
    """Keys that could be used, with the last sign of life of each as `alive_at`."""
    return usable_keys(now=now).annotate(alive_at=Greatest(*SIGNS_OF_LIFE))


def _forget_what_is_used(now: datetime.datetime) -> None:
    """A key that was used, or that cannot be used at all, is not idle; a policy that was widened lets it be."""
    waiting = IdleKey.objects.filter(key__disabled_at=None)
    still = _standing(now).filter(alive_at__lte=F("idle__idle_since"))
    waiting.exclude(key__in=still).delete()
    if not settings.LATCHKEY_IDLE_KEY_DAYS:
        waiting.delete()


def _idle(now: datetime.datetime) -> Iterator[tuple[ApiKey, datetime.datetime]]:
    """Keys and the last sign of life of each, without a sign of life for so long that the strictest class of data would have them warned of."""
    policy = settings.LATCHKEY_IDLE_KEY_DAYS
    if not policy:
        return
    least = datetime.timedelta(days=min(policy.values()))
    found = _standing(now).filter(idle=None, alive_at__lte=now - least + _notice(least))
    found = found.select_related("team", "service_account", "person")
    for keys in in_chunks(found.order_by("pk")):
        yield from ((key, key.alive_at) for key in keys)


def _note(key: ApiKey, alive_at: datetime.datetime, *, now: datetime.datetime) -> None:
    days = days_for(key, settings.LATCHKEY_IDLE_KEY_DAYS, now=now)
    if days is None:
        return
    life = datetime.timedelta(days=days)
    if alive_at + life - _notice(life) <= now:
        ends_at = max(alive_at + life, now + NOTICE_MIN)
        rows = [IdleKey(key=key, idle_since=alive_at, disables_at=ends_at)]
        IdleKey.objects.bulk_create(rows, ignore_conflicts=True)


def _notice(life: datetime.timedelta) -> datetime.timedelta:
    """How long before the end the first warning is given."""
    return min(FIRST_WARNING, life / 2)


def _warnings() -> Iterator[Ending]:
    waiting = IdleKey.objects.filter(key__disabled_at=None).select_related(
        "key__team", "key__service_account", "key__person"
    )
    for idle in waiting.order_by("pk"):
        yield Ending(
            id=idle.key.pk,
            kind=NotificationKind.KEY_IDLE,
            since=idle.idle_since,
            ends_at=idle.disables_at,
            told=told_of(idle.key),
            facts={**facts_of(idle.key), "idle_since": idle.idle_since.isoformat()},
        )
