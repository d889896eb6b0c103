"""Opens again what the store may have lost: periods whose use only the ledger still knows."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import cast

from redis.exceptions import ResponseError

from proxy.leases.request import CLOSED_KEY, STATE_KEY
from proxy.leases.store import (
    LIBRARY,
    MAY_ASK_FUNCTION,
    REBUILD_FUNCTION,
    connect_waiting,
    lacks_library,
)
from proxy.leases.window import Window, require_amount


def closed_names(store_url: str) -> set[str]:
    """The `store_name`s of the periods that callers wanted and that wait for `rebuild`."""
    with connect_waiting(store_url) as client:
        names = cast("set[bytes]", client.smembers(CLOSED_KEY))
    return {name.decode("ascii", "replace") for name in names}


def forget_closed(store_url: str, names: Collection[str]) -> None:
    """Strike names out that nobody can open; whoever wants one of them puts it back."""
    if names:
        with connect_waiting(store_url) as client:
            client.srem(CLOSED_KEY, *names)


def rebuild(
    store_url: str,
    used: Mapping[Window, int],
    *,
    unended: Mapping[Window, int] = MappingProxyType({}),
) -> bool:
    """Open periods with what was used of them until now; one that is open already gets what it lacks of that.

    used: by the ledger, read after every journal was shipped, and before this is called. A call that was running when the store lost
    its writes may count twice until its period ends, and never not at all.
    unended: what calls of which the ledger knows no end used beyond that at most, of the periods that are still to be opened; in one
        that is open what their processes held stands for it.
    Returns: False while a lease of before the loss may still be spent: read the ledger again later, for these are then
        among `closed_names`.
    """
    for window, amount in used.items():
        require_amount(amount, name="used")
        require_amount(unended.get(window, 0), name="unended")
        if not window.ends_at:
            raise ValueError("only periods with an end, and fixed sums, are rebuilt")
    keys = [STATE_KEY, CLOSED_KEY, *(window.store_name for window in used)]
    figures = [
        figure
        for window, amount in used.items()
        for figure in (amount, unended.get(window, 0), window.ends_at * 1_000_000)
    ]
    return _run(store_url, REBUILD_FUNCTION, keys, figures) == 0


def may_ask_ledger(store_url: str) -> bool:
    """Whether the ledger holds all that was used before the store's loss, but for what processes hold or report themselves.

    False while a lease of before may still be spent, or any process that is heard of has calls to ship that were over.
    """
    return _run(store_url, MAY_ASK_FUNCTION, [STATE_KEY], []) == 1


def _run(store_url: str, function: str, keys: list[str], figures: list[int]) -> object:
    """Call a function of the library, put in place where it is missing."""
    with connect_waiting(store_url) as client:
        try:
            return client.fcall(function, len(keys), *keys, *figures)
        except ResponseError as error:
            if not lacks_library(error):
                raise
            # Another process may be faster.
            with suppress(ResponseError):
                client.function_load(LIBRARY)
            return client.fcall(function, len(keys), *keys, *figures)
