"""What was called with one key since a time, for whoever has to know what a stranger did with it."""

import datetime
import uuid

from accounts.call_source import CallsFrom, CallsOfKey, Network, is_from
from accounts.models import ApiKey
from portal.lib.clock import utc_now
from proxy.call import CallStatus
from proxy.models import Call, first_id_since

# The newest are looked at, so that a busy key does not have its whole week read.
CALLS_MAX = 5_000
PEERS_MAX = 10
KEYS_MAX = 10_000
LOOKED_BACK = datetime.timedelta(days=7)


def calls_since(key: ApiKey, since: datetime.datetime) -> CallsOfKey:
    """Return the calls with the key that were let in, by address."""
    newest = (
        Call.objects.filter(id__gte=first_id_since(since), team_id=key.team_id, key_id=key.pk)
        .exclude(status=CallStatus.REFUSED.value)
        .order_by("-id")
        .values_list("peer", "admitted_at")[: CALLS_MAX + 1]
    )
    found: dict[str, CallsFrom] = {}
    rows = list(newest)
    for peer, at in rows[:CALLS_MAX]:
        known = found.get(peer)
        # The newest come first.
        found[peer] = CallsFrom(
            peer, (known.calls if known else 0) + 1, known.last_at if known else at
        )
    peers = sorted(found.values(), key=lambda one: (-one.calls, one.peer))
    return CallsOfKey(len(rows[:CALLS_MAX]), peers[:PEERS_MAX], is_cut=len(rows) > CALLS_MAX)


def keys_from(network: Network) -> set[uuid.UUID]:
    """Return the keys that calls of the last week came with from the network, refused ones included."""
    calls = Call.objects.filter(id__gte=first_id_since(utc_now() - LOOKED_BACK))
    there = calls.filter(is_from("peer", network))
    return set(there.order_by().values_list("key_id", flat=True).distinct()[:KEYS_MAX])
