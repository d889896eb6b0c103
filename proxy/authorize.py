"""Step 3: may this principal make this kind of call to this model now. What is decided here is what is sent upstream."""

import datetime
from collections.abc import Iterator

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.principal import GrantedModel, Principal
from proxy.route import Route


def authorize(
    principal: Principal,
    routes: dict[str, Route],
    *,
    kind: CallKind,
    model: str,
    now: datetime.datetime,
    peer: str = "",
) -> tuple[Route, GrantedModel]:
    """Return the route and the grant it is called by.

    peer: the caller's address; an unknown one stands in no list.
    Raises: Refusal; a model that is not granted is refused in the words for one that does not exist.
    """
    route = routes.get(model)
    if route is None or is_past_sunset(route, now):
        raise Refusal(Code.MODEL_NOT_FOUND, param="model")
    grant = principal.grant_for(route.model_id, kind, now=now)
    if grant is None and not principal.may_call(route.model_id, now=now):
        raise Refusal(Code.MODEL_NOT_FOUND, param="model")
    if route.kind != kind:
        raise Refusal(Code.WRONG_MODEL_KIND, param="model", seen=f"It answers {route.kind} calls.")
    if grant is None or kind not in principal.scopes:
        raise Refusal(Code.KIND_NOT_ALLOWED)
    if not route.is_open_to(peer):
        raise Refusal(
            Code.ADDRESS_NOT_ALLOWED, param="model", seen="From there it may not call this model."
        )
    return route, grant


def callable_routes(
    principal: Principal, routes: dict[str, Route], *, now: datetime.datetime, peer: str = ""
) -> Iterator[Route]:
    """Every model this principal can call now, by name."""
    for name in sorted(routes):
        route = routes[name]
        kinds = principal.may_call(route.model_id, now=now) & principal.scopes
        if route.kind in kinds and not is_past_sunset(route, now) and route.is_open_to(peer):
            yield route


def is_past_sunset(route: Route, now: datetime.datetime) -> bool:
    """Whether the model's last day is over."""
    return route.sunset_at is not None and route.sunset_at <= now
