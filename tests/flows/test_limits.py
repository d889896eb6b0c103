"""Calls and tokens per minute of one key, over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.flows.answers import CHAT, EMBEDDINGS, chat_body, demo, embeddings_body
from tests.flows.conftest import CallerMaker, Catalogue, OpenClient
from tests.flows.house import grant, new_caller, new_team
from tests.flows.ledger import find_call, find_calls
from tests.flows.processes import RunningGateway


def test_calls_per_minute_hold_exactly_against_calls_at_once(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, requests_per_minute=7)
    with ThreadPoolExecutor(20) as pool:
        replies = list(
            pool.map(lambda _: caller.post(CHAT, chat_body(catalogue.chat.name)), range(20))
        )

    statuses = sorted(reply.status for reply in replies)
    assert statuses == [200] * 7 + [429] * 13
    for reply in replies:
        if reply.status == 429:
            assert reply.code == "limit_reached"
            assert reply.json()["error"]["param"] == "calls_per_minute"
            assert 1 <= int(reply.headers["retry-after"]) <= 61
        else:
            assert reply.headers["x-ratelimit-limit-requests"] == "7"
            assert 0 <= int(reply.headers["x-ratelimit-remaining-requests"]) < 7
    rows = find_calls(caller.key.id, count=20)
    assert sorted(row.status for row in rows) == ["answered"] * 7 + ["refused"] * 13
    assert all(row.cost_micro_usd == 0 for row in rows if row.status == "refused")


def test_the_client_raises_its_own_error_and_hears_when_to_come_back(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    client = open_client(new_caller_of(catalogue.chat, requests_per_minute=1))
    asked: dict[str, Any] = {
        "model": catalogue.chat.name,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    client.chat.completions.create(**asked)

    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**asked)
    assert refused.value.code == "limit_reached"
    assert int(refused.value.response.headers["retry-after"]) >= 1


def test_tokens_are_reserved_at_their_worst_and_settled_to_what_was_used(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, tokens_per_minute=1000)
    body = chat_body(catalogue.chat.name, demo(tokens=100), max_tokens=600)
    replies = [caller.post(CHAT, body) for _ in range(3)]

    assert [reply.status for reply in replies] == [200, 200, 200]
    rows = [find_call(reply.request_id) for reply in replies]
    # Three worst cases never fit side by side; what is left over is lent again.
    assert sum(row.reserved_tokens for row in rows) > 1000
    used = sum(row.input_tokens + row.output_tokens for row in rows)
    assert int(replies[-1].headers["x-ratelimit-limit-tokens"]) == 1000
    with ThreadPoolExecutor(8) as pool:
        more = list(pool.map(lambda _: caller.post(CHAT, body), range(8)))
    for reply in more:
        row = find_call(reply.request_id)
        used += row.input_tokens + row.output_tokens
    assert 429 in {reply.status for reply in more}
    assert used <= 1000


def test_a_call_that_can_never_fit_is_told_so(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, tokens_per_minute=100)
    reply = caller.post(CHAT, chat_body(catalogue.chat.name, max_tokens=1000))

    assert (reply.status, reply.code) == (429, "limit_reached")
    assert reply.json()["error"]["param"] == "tokens_per_minute"
    assert "never fit" in reply.json()["error"]["message"]
    assert "retry-after" not in reply.headers


def test_every_carrier_and_route_draws_on_the_same_limit(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    """A peer counted nothing where the same key came as x-api-key."""
    caller = new_caller_of(catalogue.chat, catalogue.embeddings, requests_per_minute=2)
    plain = [("X-Api-Key", caller.text), ("Content-Type", "application/json")]
    body = chat_body(catalogue.chat.name)

    assert caller.post(CHAT, body).status == 200
    embeddings = embeddings_body(catalogue.embeddings.name)
    assert caller.send("POST", EMBEDDINGS, embeddings, headers=plain).status == 200
    assert caller.send("POST", CHAT, body, headers=plain).status == 429
    assert caller.post(CHAT, body).status == 429


def test_a_call_that_never_left_gives_back_its_tokens(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, tokens_per_minute=2500)
    refused = chat_body(catalogue.chat.name, max_tokens=2000, api_base="http://127.0.0.1")
    assert [caller.post(CHAT, refused).status for _ in range(5)] == [400] * 5

    assert caller.post(CHAT, chat_body(catalogue.chat.name, max_tokens=2000)).status == 200


@pytest.mark.parametrize("claimed", [-1, 10**6, 10**15, 10**19, 10**30])
def test_an_upstream_that_lies_about_usage_stops_neither_ledger_nor_limits(
    catalogue: Catalogue, new_caller_of: CallerMaker, claimed: int
) -> None:
    liar = new_caller_of(catalogue.chat)
    honest = new_caller_of(catalogue.chat)
    question = demo(usage_completion=claimed, usage_prompt=claimed, usage_cached=claimed)
    replies = [
        liar.post(CHAT, chat_body(catalogue.chat.name, question, stream=is_stream))
        for is_stream in (False, True)
    ]
    after = honest.post(CHAT, chat_body(catalogue.chat.name))

    assert after.status == 200
    assert find_call(after.request_id).status == "answered"
    for reply in replies:
        row = find_call(reply.request_id)
        assert row.input_tokens >= row.cached_tokens >= 0
        assert row.output_tokens >= 0
        assert row.cost_micro_usd >= 0


def test_keys_of_a_team_share_the_limits_of_its_grant(
    catalogue: Catalogue, gateway: RunningGateway, committed: None
) -> None:
    team = new_team()
    grant(catalogue.chat, team, requests_per_minute=5)
    callers = [new_caller(gateway.port, team=team) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(
            pool.map(
                lambda number: callers[number % 2].post(CHAT, chat_body(catalogue.chat.name)),
                range(16),
            )
        )

    assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 11
    for reply in replies:
        if reply.status == 429:
            assert "The grant of this model" in reply.json()["error"]["message"]
        else:
            assert reply.headers["x-ratelimit-limit-requests"] == "5"


def test_a_grants_tokens_are_settled_to_what_was_used(
    catalogue: Catalogue, gateway: RunningGateway, committed: None
) -> None:
    team = new_team()
    grant(catalogue.chat, team, tokens_per_minute=1000)
    caller = new_caller(gateway.port, team=team)
    body = chat_body(catalogue.chat.name, demo(tokens=50), max_tokens=700)
    replies = [caller.post(CHAT, body) for _ in range(3)]

    assert [reply.status for reply in replies] == [200] * 3
    assert replies[-1].headers["x-ratelimit-limit-tokens"] == "1000"


def test_a_second_grant_without_limits_lifts_those_of_the_first(
    catalogue: Catalogue, gateway: RunningGateway, committed: None
) -> None:
    team = new_team()
    grant(catalogue.chat, team, requests_per_minute=1)
    grant(catalogue.chat, team)
    caller = new_caller(gateway.port, team=team)
    statuses = [caller.post(CHAT, chat_body(catalogue.chat.name)).status for _ in range(3)]

    assert statuses == [200, 200, 200]


def test_a_list_of_models_counts_as_a_call_and_stands_in_the_ledger(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, requests_per_minute=4)
    listed = caller.send("GET", "/v1/models")
    one = caller.send("GET", f"/v1/models/{catalogue.chat.name}")
    missing = caller.send("GET", "/v1/models/none")
    called = caller.post(CHAT, chat_body(catalogue.chat.name))
    refused = [caller.send("GET", "/v1/models"), caller.post(CHAT, chat_body(catalogue.chat.name))]

    assert [reply.status for reply in (listed, one, missing, called)] == [200, 200, 404, 200]
    assert listed.headers["x-ratelimit-limit-requests"] == "4"
    assert [reply.code for reply in refused] == ["limit_reached"] * 2
    assert int(refused[0].headers["retry-after"]) >= 1
    rows = find_calls(caller.key.id, count=6)
    assert [(row.kind, row.status, row.code) for row in rows] == [
        ("models", "answered", ""),
        ("models", "answered", ""),
        ("models", "refused", "model_not_found"),
        ("chat", "answered", ""),
        ("models", "refused", "limit_reached"),
        ("chat", "refused", "limit_reached"),
    ]
    assert rows[0].answer_bytes == len(listed.body)
    assert {(row.model_id, row.cost_micro_usd, row.reserved_tokens) for row in rows[:3]} == {
        (None, 0, 0)
    }


def test_no_list_of_models_passes_a_limit_that_is_reached_by_lists_at_once(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, requests_per_minute=5)
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda _: caller.send("GET", "/v1/models"), range(15)))
    assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 10
