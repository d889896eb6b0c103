"""Limits of every subject and measure through a real gateway: refused at the right call, in words, within a second of a change."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accounts.audit import COMMAND
from accounts.models.teams import Role
from accounts.writes.teams import add_member
from models_registry.limit_standings import standings_of
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.models.limits import CALENDAR_PERIODS
from models_registry.periods import calendar_period
from models_registry.writes.limits import Subject, change_limit, remove_limit, set_limit
from portal.lib.clock import utc_now
from tests.flows.answers import CHAT, EMBEDDINGS, chat_body, demo, embeddings_body
from tests.flows.conftest import CallerMaker, Catalogue
from tests.flows.house import Caller, new_caller, new_member, new_model, new_team
from tests.flows.ledger import find_call
from tests.flows.processes import RunningGateway
from tests.flows.wire import Reply, connect, write_request

REQUESTS, TOKENS = LimitMeasure.REQUESTS, LimitMeasure.TOKENS
HOUR = LimitPeriod.HOUR
ACTS_WITHIN_S = 1.0
OPEN_WITHIN_S = 5.0


def limit(measure: LimitMeasure, period: LimitPeriod, amount: int, **facts: Any) -> Limit:
    options = {name: facts.pop(name) for name in ("is_soft", "zone") if name in facts}
    return set_limit(
        Subject(**facts), measure=measure, period=period, amount=amount, actor=COMMAND, **options
    )


def until(caller: Caller, body: bytes, right: Callable[[Reply], bool]) -> Reply:
    """Call until the answer is right, and fail where it is not a second after the rows changed."""
    deadline = time.monotonic() + ACTS_WITHIN_S
    while True:
        reply = caller.post(CHAT, body)
        if right(reply):
            return reply
        assert time.monotonic() < deadline, (reply.status, reply.body)
        time.sleep(0.02)


def opened(caller: Caller, body: bytes) -> Reply:
    """The first call of a period that began before the store did: it is refused until the ledger was asked."""
    deadline = time.monotonic() + OPEN_WITHIN_S
    while (reply := caller.post(CHAT, body)).status == 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return reply


def message_of(reply: Reply) -> str:
    assert (reply.status, reply.code) == (429, "limit_reached")
    return str(reply.json()["error"]["message"])


SUBJECTS: dict[str, tuple[Callable[[Caller, Catalogue], dict[str, Any]], str]] = {
    "key": (lambda caller, _: {"key": caller.key}, "This API key may use 2 calls an hour"),
    "service account": (
        lambda caller, _: {"service_account": caller.holder},
        "This service account, by all its credentials, may use 2 calls an hour",
    ),
    "team": (lambda caller, _: {"team": caller.team}, "This team may use 2 calls an hour"),
    "team on a model": (
        lambda caller, catalogue: {"team": caller.team, "model": catalogue.chat},
        "This team, with its calls of this model, may use 2 calls an hour",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SUBJECTS.values(), ids=SUBJECTS)
def test_limit_of_each_subject_refuses_the_call_that_passes_it(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    case: tuple[Callable[[Caller, Catalogue], dict[str, Any]], str],
) -> None:
    subject, words = case
    caller = new_caller_of(catalogue.chat)
    limit(REQUESTS, HOUR, 2, **subject(caller, catalogue))
    body = chat_body(catalogue.chat.name)
    replies = [caller.post(CHAT, body) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert f"{words}; 0 are left now." in message_of(replies[2])
    assert 1 <= int(replies[2].headers["retry-after"]) <= 3637
    assert ";r=0;t=" in replies[2].headers["ratelimit"]


@pytest.mark.parametrize("is_of_team", [False, True])
def test_limit_of_a_person_counts_over_teams_and_that_of_a_member_does_not(
    catalogue: Catalogue, gateway: RunningGateway, committed: None, is_of_team: bool
) -> None:
    teams = [new_team(), new_team()]
    person = new_member(teams[0])
    add_member(teams[1], person=person, role=Role.MEMBER, actor=COMMAND)
    callers = [new_caller(gateway.port, catalogue.chat, team=team, holder=person) for team in teams]
    subject = {"person": person} | ({"team": teams[0]} if is_of_team else {})
    limit(REQUESTS, HOUR, 1, **subject)
    statuses = [caller.post(CHAT, chat_body(catalogue.chat.name)).status for caller in callers]
    assert statuses == ([200, 200] if is_of_team else [200, 429])
    again = callers[0].post(CHAT, chat_body(catalogue.chat.name))
    assert "This person, by all their credentials" in message_of(again)


def test_limit_of_a_model_is_everybodys_and_is_not_told_to_everybody(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    model = new_model(catalogue.demo, "demo-chat")
    callers = [new_caller_of(model), new_caller_of(model)]
    limit(REQUESTS, HOUR, 1, model=model)
    body = chat_body(model.name)
    first = until(callers[0], body, lambda reply: reply.status == 200)
    assert "model" not in first.headers["ratelimit-policy"]
    refused = until(callers[1], body, lambda reply: reply.status == 429)
    assert "This model, with everybody's calls, may use 1 calls an hour" in message_of(refused)


def test_tightest_of_all_limits_refuses_and_nothing_is_taken_from_the_others(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    limit(REQUESTS, HOUR, 5, team=caller.team)
    limit(REQUESTS, HOUR, 3, service_account=caller.holder)
    limit(REQUESTS, LimitPeriod.DAY, 100, key=caller.key)
    limit(TOKENS, HOUR, 10**9, team=caller.team)
    replies = [caller.post(CHAT, chat_body(catalogue.chat.name)) for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 3 + [429] * 3
    left = replies[2].headers["ratelimit"]
    assert '"team-requests-hour";r=2' in left
    assert '"key-requests-day";r=97' in left


def test_input_and_output_tokens_have_limits_of_their_own(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    limit(LimitMeasure.OUTPUT_TOKENS, HOUR, 150, key=caller.key)
    body = chat_body(catalogue.chat.name, demo(tokens=100), max_tokens=100)
    replies = [caller.post(CHAT, body) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    assert "may use 150 output tokens an hour; 50 are left now. This call may need up to 100." in (
        message_of(replies[1])
    )
    # Embeddings have no output, so its limit does not hold them.
    embeddings = embeddings_body(catalogue.embeddings.name)
    assert caller.post(EMBEDDINGS, embeddings).status == 200
    small = chat_body(catalogue.chat.name, demo(tokens=20), max_tokens=50)
    assert caller.post(CHAT, small).status == 200


def test_money_is_reserved_at_its_worst_and_settled_to_the_ledgers_cost(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    # Output costs 8 micro-USD a token: one worst case fits, two at once do not, and what is used is far less.
    budget = 12_000
    limit(LimitMeasure.MICRO_USD, LimitPeriod.DAY, budget, team=caller.team)
    body = chat_body(catalogue.chat.name, demo(tokens=100), max_tokens=1000)
    replies = [caller.post(CHAT, body) for _ in range(12)]
    answered = [reply for reply in replies if reply.status == 200]
    refused = [reply for reply in replies if reply.status == 429]
    assert len(answered) >= 3
    assert refused
    cost = sum(find_call(reply.request_id).cost_micro_usd for reply in answered)
    assert cost <= budget
    assert f'"team-micro_usd-day";r={budget - cost};' in refused[-1].headers["ratelimit"]
    assert "may use $0.012 in 24 hours" in message_of(refused[0])


def test_changed_limit_acts_within_a_second_and_what_was_used_stays_counted(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    row = limit(REQUESTS, HOUR, 3, team=caller.team)
    body = chat_body(catalogue.chat.name)
    assert [caller.post(CHAT, body).status for _ in range(4)] == [200, 200, 200, 429]
    change_limit(row, amount=4, actor=COMMAND)
    until(caller, body, lambda reply: reply.status == 200)
    assert caller.post(CHAT, body).status == 429
    change_limit(row, amount=2, actor=COMMAND)
    until(caller, body, lambda reply: "may use 2 calls" in message_of(reply))
    remove_limit(row, actor=COMMAND)
    until(caller, body, lambda reply: reply.status == 200)


def test_list_of_models_counts_against_the_limits_of_calls_alone(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    limit(REQUESTS, HOUR, 1, team=caller.team)
    limit(LimitMeasure.OUTPUT_TOKENS, HOUR, 1, team=caller.team)
    assert [caller.send("GET", "/v1/models").status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("period", CALENDAR_PERIODS)
def test_calendars_period_is_spent_until_its_end(
    catalogue: Catalogue, new_caller_of: CallerMaker, period: LimitPeriod
) -> None:
    caller = new_caller_of(catalogue.chat)
    limit(REQUESTS, period, 2, team=caller.team, zone="Pacific/Auckland")
    body = chat_body(catalogue.chat.name)
    replies = [opened(caller, body), *(caller.post(CHAT, body) for _ in range(2))]
    assert [reply.status for reply in replies] == [200, 200, 429]
    end = calendar_period(period, "Pacific/Auckland", now=utc_now()).ends_at
    assert f"may use 2 calls until {end:%Y-%m-%dT%H:%M:%SZ}; 0 are left now." in message_of(
        replies[2]
    )
    wait_s = int(replies[2].headers["retry-after"])
    assert abs(wait_s - (end - utc_now()).total_seconds()) < 10
    assert f'"team-requests-{period}";q=2;w=' in replies[2].headers["ratelimit-policy"]


def test_budget_of_a_month_and_a_fixed_sum_hold_the_ledgers_cost(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    for period in (LimitPeriod.CALENDAR_MONTH, LimitPeriod.FIXED_SUM):
        caller = new_caller_of(catalogue.chat)
        row = limit(LimitMeasure.MICRO_USD, period, 5_000, team=caller.team)
        body = chat_body(catalogue.chat.name, demo(tokens=100), max_tokens=300)
        replies = [opened(caller, body), *(caller.post(CHAT, body) for _ in range(7))]
        answered = [reply for reply in replies if reply.status == 200]
        refused = [reply for reply in replies if reply.status == 429]
        assert answered
        assert refused
        cost = sum(find_call(reply.request_id).cost_micro_usd for reply in answered)
        assert 5_000 - 300 * 8 - 1_000 < cost <= 5_000
        is_sum = period is LimitPeriod.FIXED_SUM
        assert ("retry-after" in refused[0].headers) == (not is_sum)
        assert ("does not come back by itself" in message_of(refused[0])) == is_sum
        change_limit(row, amount=50_000, actor=COMMAND)
        until(caller, body, lambda reply: reply.status == 200)


def test_calls_at_once_are_held_while_they_run_and_returned_however_they_end(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.scripted_chat)
    limit(LimitMeasure.CONCURRENT, LimitPeriod.AT_ONCE, 2, service_account=caller.holder)
    slow = chat_body(catalogue.chat.name, demo(delay_s=1.5))
    fast = chat_body(catalogue.chat.name)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(caller.post, CHAT, slow) for _ in range(2)]
        time.sleep(0.7)
        refused = caller.post(CHAT, fast)
        assert "may use 2 calls at once; 0 are left now." in message_of(refused)
        assert '"service_account-concurrent-at_once";r=0' in refused.headers["ratelimit"]
        assert [one.result().status for one in running] == [200, 200]
    # Each ends in another way: answered, failed upstream, refused by a guard, and hung up in mid-stream.
    for ended in (
        fast,
        chat_body(catalogue.chat.name, demo(status=500)),
        chat_body(catalogue.chat.name, unknown_member=1),
    ):
        for _ in range(3):
            assert caller.post(CHAT, ended).status != 429
    for _ in range(3):
        hang_up(
            caller, chat_body(catalogue.chat.name, demo(chunk_delay_s=1, chunks=30), stream=True)
        )
    until(caller, fast, lambda reply: reply.status == 200)


def hang_up(caller: Caller, body: bytes) -> None:
    """Make a call, read the first bytes of its answer, and go away."""
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(write_request("POST", CHAT, body, headers=caller.headers()))
        connection.recv(64)


def test_pages_and_api_tell_how_a_limit_stands(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    row = limit(LimitMeasure.MICRO_USD, LimitPeriod.FIXED_SUM, 50_000, team=caller.team)
    calls = limit(REQUESTS, HOUR, 50, key=caller.key)
    body = chat_body(catalogue.chat.name, demo(tokens=100), max_tokens=300)
    replies = [opened(caller, body), *(caller.post(CHAT, body) for _ in range(2))]
    cost = sum(find_call(reply.request_id).cost_micro_usd for reply in replies)

    def stands() -> bool:
        found = standings_of([row, calls])
        return (found[row.pk].used, found[calls.pk].used >= 3) == (cost, True)

    # What a gateway settled is told to the store within a moment.
    deadline = time.monotonic() + 3
    while not stands():
        assert time.monotonic() < deadline, standings_of([row, calls])
        time.sleep(0.05)
    found = standings_of([row, calls])
    assert found[row.pk].held <= 50_000 - cost
    assert found[row.pk].resets_at is None
    assert found[calls.pk].resets_at is not None


def test_soft_limit_refuses_nothing_and_is_not_told(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    limit(REQUESTS, HOUR, 1, team=caller.team, is_soft=True)
    limit(TOKENS, LimitPeriod.CALENDAR_DAY, 1, team=caller.team, is_soft=True)
    replies = [caller.post(CHAT, chat_body(catalogue.chat.name)) for _ in range(4)]
    assert [reply.status for reply in replies] == [200] * 4
    assert "team" not in replies[3].headers["ratelimit-policy"]
    assert caller.send("GET", "/v1/models").status == 200
