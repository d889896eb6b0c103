"""Sums of usage, kept for a minute or until anything was counted anew.

Whoever turns from calls to tokens and to cost asks for the same sums again and again, and with thousands of keys in daily
use they take a few hundred milliseconds. Whoever counts a day writes its rows anew, with ids that never were before, so
that the highest id tells whether the roll-up is what it was. Where two count at once and the later ids are committed
first, the sums are a minute late, and never more.
"""

import contextlib
import hashlib

from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from proxy.access import Sight
from proxy.usage.span import Span
from proxy.usage.summary import KEYS_MAX, Summary, summarise

KEPT_S = 60
# Goes up with any change of what Summary holds: two versions may stand beside one another.
SHAPE = 1


def kept_summary(sight: Sight, span: Span, *, keys_max: int = KEYS_MAX) -> Summary:
    """What `summarise` returns, counted once. Without the cache it is counted each time."""
    name = summary_name(sight, span, keys_max=keys_max, counted=_last_counted())
    try:
        found = cache.get(name)
    except RedisError:
        return summarise(sight, span, keys_max=keys_max)
    if isinstance(found, Summary):
        return found
    summary = summarise(sight, span, keys_max=keys_max)
    with contextlib.suppress(RedisError):
        cache.set(name, summary, timeout=KEPT_S)
    return summary


def summary_name(sight: Sight, span: Span, *, keys_max: int, counted: int) -> str:
    """Names all that the sums depend on: what is seen, of which days, as it was last counted."""
    seen = [sorted(map(str, teams)) for teams in (sight.whole_teams, sight.own_teams)]
    # Two owners of a team see the same; of somebody's own keys only they see the sums.
    person = str(sight.person_id) if sight.own_teams else ""
    facts = (SHAPE, *seen, person, str(span.first), str(span.last), keys_max, counted)
    return f"usage-summary:{hashlib.sha256(repr(facts).encode()).hexdigest()}"


def _last_counted() -> int:
    # Read before the sums are: what is counted in between makes them newer than their name, never older.
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM proxy_usageday")
        row = cursor.fetchone()
    return int(row[0]) if row else 0
