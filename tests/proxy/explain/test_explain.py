"""In every situation the first rule that does not hold is the one that the gateway refuses by; tests/flows asks a real one."""

import datetime
import ipaddress
import uuid
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.ways_in.networks import hours_over, lists_over
from accounts.ways_in.standing import Stand
from models_registry.models import AiModel, ModelStatus
from portal.lib.clock import utc_now
from proxy.call import CallKind
from proxy.explain.answer import State
from proxy.explain.explain import explain
from proxy.explain.situation import Question, Situation
from proxy.leases.standings import Standing
from proxy.leases.window import Measure, Window
from proxy.parse import parse_body
from tests.proxy.principals import HOUR, a_grant, a_principal, a_route

NOW = utc_now()
DAY = datetime.timedelta(days=1)
MODEL = AiModel(id=uuid.UUID(int=1), name="chat", kind="chat", status=ModelStatus.PUBLISHED)
BODY = b'{"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}'
HERE, ELSEWHERE = ["192.0.2.0/24"], ["198.51.100.0/24"]
EVER = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "zone": "UTC"}
OPEN = EVER | {"begins": "00:00", "ends": "24:00"}
lists = st.sampled_from([[], HERE, ELSEWHERE])


@st.composite
def hours(draw: st.DrawFn) -> dict[str, Any] | None:
    """None, all day, or the hours of the day that are not now."""
    closed = EVER | {"begins": "00:00", "ends": "12:00"}
    if NOW.hour < 12:
        closed = EVER | {"begins": "12:00", "ends": "24:00"}
    return draw(st.sampled_from([None, OPEN, closed]))


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    is_person = draw(st.booleans())
    team = Team(name="Crew", networks=draw(lists), hours=draw(hours()))
    account = None if is_person else ServiceAccount(name="app", team=team, networks=draw(lists))
    person = User(email="ada@latchkey.test") if is_person else None
    key = ApiKey(
        team=team,
        service_account=account,
        person=person,
        networks=draw(lists),
        hours=draw(hours()),
        expires_at=NOW + DAY,
        revoked_at=NOW,
        revoked_reason="Gone.",
    )
    exists = draw(st.booleans())
    key._state.adding = not exists
    of_holder = (
        (Stand.PERSON_ENABLED, Stand.IN_TEAM, Stand.ROLE_CALLS)
        if is_person
        else (Stand.ACCOUNT_ENABLED,)
    )
    of_key = (Stand.NOT_REVOKED, Stand.NOT_ENDED) if exists else ()
    likely = st.sampled_from([True] * 9 + [False])
    standing = tuple((one, draw(likely)) for one in (*of_key, Stand.TEAM_ENABLED, *of_holder))

    windows = tuple(
        Window(f"key:{number}:{measure}", draw(st.sampled_from([1, 50, 10**6])), 60, measure)
        for number, measure in enumerate(
            draw(st.lists(st.sampled_from([*Measure][:5]), max_size=3))
        )
    )
    grants = tuple(
        a_grant(
            draw(st.sampled_from(["chat", "embeddings"])),
            windows=windows,
            starts_at=NOW + draw(st.sampled_from([-2, -1, 1])) * HOUR,
            ends_at=NOW + draw(st.sampled_from([-1, 2, 3])) * HOUR,
        )
        for _ in range(draw(st.integers(0, 2)))
    )
    # A key that is none yet has neither a list of its own nor fewer kinds than calls have.
    only, scopes = None, {"chat", "embeddings"}
    if exists:
        only = draw(st.sampled_from([None, frozenset({MODEL.pk}), frozenset()]))
        scopes = draw(st.sets(st.sampled_from(["chat", "embeddings"])))
    bounded = [one for one in (key, account, team) if one is not None]
    principal = a_principal(
        scopes=frozenset(scopes),
        networks=lists_over(*(one.networks for one in bounded)),
        hours=hours_over(*(one.hours for one in bounded)),
        grants={MODEL.pk: grants} if grants else {},
        only_models=only,
        expires_at=NOW + DAY,
    )
    route = draw(
        st.sampled_from(
            [
                None,
                a_route(model_id=MODEL.pk),
                a_route(model_id=MODEL.pk),
                a_route(model_id=MODEL.pk, sunset_at=NOW),
                a_route(model_id=MODEL.pk, networks=(ipaddress.ip_network(ELSEWHERE[0]),)),
            ]
        )
    )
    kind = draw(st.sampled_from([CallKind.CHAT, CallKind.CHAT, CallKind.EMBEDDINGS]))
    granted = principal.grant_for(MODEL.pk, kind, now=NOW)
    is_counted = route is not None and granted is not None and kind is CallKind.CHAT
    used = draw(st.sampled_from([0, 40, 10**6]))
    standings = {
        window.name: Standing(window.limit, min(used, window.limit), 0, 3.0) for window in windows
    }
    return Situation(
        asked=Question(
            key=key,
            model=draw(st.sampled_from(["chat", "chat", "chat", ""])),
            kind=kind,
            peer=draw(st.sampled_from([None, "", "192.0.2.7", "203.0.113.1"])),
        ),
        now=NOW,
        kind=kind,
        standing=standing,
        principal=principal,
        model=draw(st.sampled_from([MODEL, MODEL, MODEL, None])) if route is None else MODEL,
        route=route,
        granted=granted if is_counted else None,
        call=parse_body(CallKind.CHAT, BODY) if is_counted else None,
        standings=draw(st.sampled_from([standings, None])),
    )


@given(situations())
def test_first_rule_that_does_not_hold_is_the_one_that_refuses(found: Situation) -> None:
    said = explain(found)
    failed = said.first_failed
    assert (failed is None) == said.is_allowed
    if failed is not None and said.refusal is not None:
        assert failed.code is said.refusal.code
        assert failed.remedy
    assert all(not one.remedy for one in said.checked if one.state is not State.NOT_HELD)
