"""The newest calls that somebody sees. Bounded by ids, so that only the partitions of the span are looked into.

Each team's calls stand in the order of their ids in an index, and so do each key's; those of all teams do not. So the
newest of each are asked for, and the newest of those are the newest of all.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from psycopg.errors import QueryCanceled

from accounts.models import ApiKey
from proxy.access import Sight
from proxy.call import CallStatus
from proxy.models import Adjustment, Call
from proxy.usage.span import Span

BRANCHES_MAX = 60
KEYS_MAX = 200
PATIENCE_MS = 5000


class TooSlow(Exception):
    """The calls asked for are too few among too many to be found while somebody waits."""


@dataclass(frozen=True)
class Asked:
    """Which calls of a span: those before an id, of a key, of a model, with a status."""

    span: Span
    before: uuid.UUID | None = None
    key_id: uuid.UUID | None = None
    model_id: uuid.UUID | None = None
    status: CallStatus | None = None

    @property
    def filter(self) -> Q:
        low, high = self.span.ids
        asked = Q(id__gte=low, id__lt=min(high, self.before or high))
        if self.key_id is not None:
            asked &= Q(key_id=self.key_id)
        if self.model_id is not None:
            asked &= Q(model_id=self.model_id)
        return asked if self.status is None else asked & _has_status(self.status)


def keys_seen(sight: Sight) -> list[ApiKey]:
    """Return the newest keys whose calls are seen, KEYS_MAX at most, with what they are called by alone."""
    seen = Q(team_id__in=sight.whole_teams)
    seen |= Q(team_id__in=sight.own_teams, person_id=sight.person_id)
    keys = ApiKey.objects.filter(seen).only("public_id", "name", "team_id")
    return list(keys.order_by("-id")[:KEYS_MAX])


def newest_calls(
    sight: Sight, asked: Asked, *, limit: int, keys: Sequence[ApiKey] | None = None
) -> list[Call]:
    """Return the newest of the calls asked for, newest first.

    keys: what keys_seen told, where it has been asked already.
    Raises: TooSlow.
    """
    query = newest_calls_query(
        sight, asked, limit=limit, keys=keys_seen(sight) if keys is None else keys
    )
    if query is None:
        return []
    with _limited_patience():
        return list(query)


def newest_calls_of_all(
    asked: Asked, *, limit: int, team_id: uuid.UUID | None = None
) -> list[Call]:
    """Return the newest of the calls asked for, of every team or of one: for administrators. Raises: TooSlow."""
    calls = Call.objects.filter(asked.filter)
    if team_id is not None:
        calls = calls.filter(team_id=team_id)
    with _limited_patience():
        return list(calls.order_by("-id")[:limit])


def newest_calls_query(
    sight: Sight, asked: Asked, *, limit: int, keys: Sequence[ApiKey]
) -> "QuerySet[Call] | None":
    """Return the query, or None where nothing can be seen."""
    branches = [
        Call.objects.filter(branch & asked.filter).order_by("-id")[:limit]
        for branch in _branches(sight, asked, keys)
    ]
    if len(branches) < 2:
        return branches[0] if branches else None
    return branches[0].union(*branches[1:], all=True).order_by("-id")[:limit]


def _branches(sight: Sight, asked: Asked, keys: Sequence[ApiKey]) -> list[Q]:
    """Return the parts of what is seen that each have an index of their own."""
    if not sight.whole_teams and not sight.own_teams:
        return []
    if asked.key_id is not None or (sight.own_teams and len(keys) == KEYS_MAX):
        return [sight.filter]
    mine = Q(team_id__in=sight.own_teams, person_id=sight.person_id)
    own = [key.pk for key in keys if key.team_id in sight.own_teams]
    branches = [Q(team_id=team) for team in sight.whole_teams]
    branches += [mine & Q(key_id=key) for key in own]
    return branches if len(branches) <= BRANCHES_MAX else [sight.filter]


def _has_status(status: CallStatus) -> Q:
    """Only what stands as interrupted is ever corrected, so only there the corrections are looked up."""
    corrections = Adjustment.objects.filter(call_id=OuterRef("pk"))
    if status is CallStatus.INTERRUPTED:
        return Q(status=status) & ~Q(Exists(corrections))
    late = Q(status=CallStatus.INTERRUPTED) & Q(Exists(corrections.filter(status=status)))
    return Q(status=status) | late


@contextmanager
def _limited_patience() -> Iterator[None]:
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {PATIENCE_MS}")
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from None
        raise
