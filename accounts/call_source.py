"""What keys' pages and mails want to know of calls. Who keeps the ledger says how to ask; until then nothing is known."""

import datetime
import ipaddress
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from accounts.models import ApiKey


@dataclass(frozen=True)
class CallsFrom:
    """Calls from one address that were let in."""

    peer: str
    calls: int
    last_at: datetime.datetime


@dataclass(frozen=True)
class CallsOfKey:
    """What was called with a key since a time, the busiest address first.

    is_cut: there were more calls than were looked at.
    """

    calls: int
    peers: list[CallsFrom]
    is_cut: bool = False


Network = ipaddress.IPv4Network | ipaddress.IPv6Network
CallSource = Callable[[ApiKey, datetime.datetime], CallsOfKey]
NetworkSource = Callable[[Network], Collection[uuid.UUID]]
_sources: list[tuple[CallSource, NetworkSource]] = []


def answer_with(of_key: CallSource, of_network: NetworkSource) -> None:
    """Ask these from now on: what was called with a key since a time, and which keys called from a network lately."""
    _sources[:] = [(of_key, of_network)]


def is_from(column: str, network: Network) -> RawSQL:
    """Whether the text in the column is an address in the network. What is no address is not cast to one, which would fail.

    column: its name, written in the code.
    """
    sql = f"CASE WHEN {column} ~ '^[0-9a-fA-F:.]+$' THEN {column}::inet <<= %s::inet ELSE false END"
    return RawSQL(sql, [str(network)], output_field=BooleanField())  # noqa: S611 - a constant with a parameter.


def calls_of_key(key: ApiKey, *, since: datetime.datetime) -> CallsOfKey:
    return _sources[0][0](key, since) if _sources else CallsOfKey(0, [])


def keys_called_from(network: Network) -> Collection[uuid.UUID]:
    return _sources[0][1](network) if _sources else ()
