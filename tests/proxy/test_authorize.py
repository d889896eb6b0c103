import datetime
import uuid
from typing import Any

import pytest

from portal.lib.clock import utc_now
from proxy.authorize import authorize, callable_routes
from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.leases.window import Measure, Window
from proxy.principal import Principal
from proxy.route import Route
from tests.proxy.principals import HOUR, a_grant, a_principal, a_route

MODEL = uuid.UUID(int=1)
OTHER = uuid.UUID(int=2)
SECOND = datetime.timedelta(seconds=1)


def decide(
    principal: Principal, route: Route, *, kind: CallKind = CallKind.CHAT, model: str = "chat"
) -> str:
    """Return the refusal's code, "" for yes; the list of models has to say the same."""
    now = utc_now()
    listed = list(callable_routes(principal, {"chat": route}, now=now))
    try:
        found, _ = authorize(principal, {"chat": route}, kind=kind, model=model, now=now)
    except Refusal as refusal:
        if model == "chat" and kind.value == route.kind:
            assert listed == []
        return refusal.code.code
    assert listed == [found] == [route]
    return ""


NOW = utc_now()
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"grants": {MODEL: (a_grant(),)}}, {}, {}, ""),
    ({"grants": {}}, {}, {}, "model_not_found"),
    ({"grants": {OTHER: (a_grant(),)}}, {}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(starts_at=NOW + HOUR),)}}, {}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(ends_at=NOW - SECOND),)}}, {}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(ends_at=NOW - SECOND), a_grant())}}, {}, {}, ""),
    ({"grants": {MODEL: (a_grant("embeddings"),)}}, {}, {}, "kind_not_allowed"),
    ({"grants": {MODEL: (a_grant("embeddings"), a_grant("chat"))}}, {}, {}, ""),
    ({"grants": {MODEL: (a_grant(),)}, "scopes": frozenset({"embeddings"})}, {}, {}, "kind_not_allowed"),
    ({"grants": {MODEL: (a_grant(),)}, "scopes": frozenset()}, {}, {}, "kind_not_allowed"),
    ({"grants": {MODEL: (a_grant(),)}, "only_models": frozenset({MODEL})}, {}, {}, ""),
    ({"grants": {MODEL: (a_grant(),)}, "only_models": frozenset({OTHER})}, {}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}, "only_models": frozenset()}, {}, {}, "model_not_found"),
    ({"grants": {}, "only_models": frozenset({MODEL})}, {}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}}, {"sunset_at": NOW - SECOND}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}}, {"sunset_at": NOW + HOUR}, {}, ""),
    ({"grants": {MODEL: (a_grant(),)}}, {"kind": "embeddings"}, {}, "wrong_model_kind"),
    ({"grants": {}}, {"kind": "embeddings"}, {}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}}, {}, {"kind": CallKind.EMBEDDINGS}, "wrong_model_kind"),
    ({"grants": {MODEL: (a_grant(),)}}, {}, {"model": "Chat"}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}}, {}, {"model": "chat "}, "model_not_found"),
    ({"grants": {MODEL: (a_grant(),)}}, {}, {"model": ""}, "model_not_found"),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "route", "asked", "code"), CASES)
def test_each_right_is_needed(
    principal: dict[str, Any], route: dict[str, Any], asked: dict[str, Any], code: str
) -> None:
    found = decide(a_principal(**principal), a_route(model_id=MODEL, **route), **asked)
    assert found == code


def test_a_call_spends_from_the_grant_that_allows_its_kind_and_stands() -> None:
    tight, wide = (
        Window(f"grant:{name}:requests", 5, 60, Measure.REQUESTS) for name in ("tight", "wide")
    )
    grants = (
        a_grant(ends_at=NOW - SECOND),
        a_grant("embeddings", windows=(wide,)),
        a_grant("chat", windows=(tight,)),
    )
    principal = a_principal(grants={MODEL: grants})
    _, grant = authorize(
        principal, {"chat": a_route(model_id=MODEL)}, kind=CallKind.CHAT, model="chat", now=NOW
    )
    assert grant.windows == (tight,)


def test_an_ungranted_model_is_refused_in_the_words_for_an_unknown_one() -> None:
    def refusal(model: str) -> Refusal:
        with pytest.raises(Refusal) as caught:
            authorize(a_principal(), {"chat": a_route()}, kind=CallKind.CHAT, model=model, now=NOW)
        return caught.value

    assert refusal("chat").body() == refusal("nothing").body()
    assert refusal("chat").code is Code.MODEL_NOT_FOUND
