"""The verdict: the gateway's own steps, asked in the gateway's own order. Nothing is decided here a second time."""

from collections.abc import Mapping, Sequence

from proxy.authenticate import check_bounds
from proxy.authorize import authorize
from proxy.errors import Code, Refusal
from proxy.explain.situation import Situation, without_addresses
from proxy.leases.refusals import LimitReached
from proxy.leases.standings import Standing
from proxy.leases.window import Window
from proxy.limit import demand_of
from proxy.limit_texts import limit_refusal


def refusal_of(found: Situation) -> Refusal | None:
    """What the gateway answers instead of a model; None where it lets the call in."""
    try:
        _ask(found)
    except Refusal as refusal:
        return refusal
    return None


def _ask(found: Situation) -> None:
    """Raises: Refusal."""
    principal, route, peer = found.principal, found.route, found.asked.peer or ""
    if found.asked.peer is None:
        principal, route = without_addresses(found)
    if not all(held for _, held in found.standing):
        raise Refusal(Code.INVALID_CREDENTIAL)
    check_bounds(principal, peer=peer, now=found.now)
    if not found.asked.model:
        return
    routes = {} if route is None else {route.name: route}
    route, grant = authorize(
        principal, routes, kind=found.kind, model=found.asked.model, now=found.now, peer=peer
    )
    if found.call is None:
        return
    wants = demand_of(grant.plan.beside(route.plan), found.call, route).wants
    reached = first_without_room(wants, found.standings or {})
    if reached is not None:
        raise limit_refusal(reached, wanted=dict(wants)[reached.window], fields=[])


def first_without_room(
    wants: Sequence[tuple[Window, int]], standings: Mapping[str, Standing]
) -> LimitReached | None:
    """The window that refuses the call: one that it can never fit, or else the one that is full for longest.

    As LeaseBook.check and the store's function find it; a test calls the gateway to hold them together.
    """
    for window, amount in wants:
        if amount > window.limit and not window.is_soft:
            return _reached(window, standings.get(window.name), retry_after_s=None)
    full = [
        (window, standings[window.name])
        for window, amount in wants
        if window.name in standings and not has_room(window, amount, standings[window.name])
    ]
    if not full:
        return None
    window, standing = max(full, key=lambda one: one[1].reset_s or 0)
    return _reached(window, standing, retry_after_s=max(1, round(standing.reset_s or 1)))


def has_room(window: Window, amount: int, standing: Standing) -> bool:
    return window.is_soft or amount <= standing.remaining


def _reached(
    window: Window, standing: Standing | None, *, retry_after_s: int | None
) -> LimitReached:
    remaining = window.limit if standing is None else standing.remaining
    return LimitReached(
        window, limit=window.limit, remaining=remaining, retry_after_s=retry_after_s
    )
