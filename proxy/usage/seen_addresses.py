"""Where calls came from lately, as networks that a list could be made of."""

import datetime
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from accounts.models import ApiKey, ServiceAccount
from portal.lib.client_address import Address, parse_address
from proxy.call import CallStatus
from proxy.models import Call, first_id_since

SEEN_FOR = datetime.timedelta(days=30)
# The newest calls are looked at, so that a busy key does not have its whole month read.
CALLS_MAX = 5_000
# More addresses than this in one /24 or /64 are told as that network.
ALONE_MAX = 4
NETWORKS_MAX = 50
_PREFIX = {4: 24, 6: 64}


@dataclass(frozen=True)
class Seen:
    """A network from which calls came, and how many of those looked at."""

    network: str
    calls: int


def seen_networks(subject: ApiKey | ServiceAccount, *, now: datetime.datetime) -> list[Seen]:
    """Return where the subject's newest calls of the last 30 days came from, the busiest first.

    Calls that were refused count for nothing: a thief's tries are not proposed.
    """
    calls = Call.objects.filter(id__gte=first_id_since(now - SEEN_FOR), team_id=subject.team_id)
    if isinstance(subject, ApiKey):
        calls = calls.filter(key_id=subject.pk)
    else:
        calls = calls.filter(service_account_id=subject.pk)
    newest = calls.exclude(status=CallStatus.REFUSED.value).order_by("-id")
    return grouped(newest.values_list("peer", flat=True)[:CALLS_MAX])


def grouped(peers: Iterable[str]) -> list[Seen]:
    """Group addresses: each by itself, or a /24 or /64 where several of one were seen."""
    counts: dict[Address, int] = {}
    for peer in peers:
        address = parse_address(peer)
        if address is not None:
            counts[address] = counts.get(address, 0) + 1
    groups: dict[str, dict[Address, int]] = {}
    for address, count in counts.items():
        prefix = _PREFIX[address.version]
        around = str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
        groups.setdefault(around, {})[address] = count
    found: list[Seen] = []
    for around, members in groups.items():
        if len(members) > ALONE_MAX:
            found.append(Seen(around, sum(members.values())))
        else:
            found += [
                Seen(str(ipaddress.ip_network(str(one))), count) for one, count in members.items()
            ]
    return sorted(found, key=lambda one: (-one.calls, one.network))[:NETWORKS_MAX]
