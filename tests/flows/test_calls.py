"""One call, from the unmodified client to the ledger and back."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from accounts.models import AuditEntry, KeyUse
from proxy.exchange import Usage
from proxy.meter import cost_micro_usd
from proxy.route import Price
from tests.flows.answers import (
    CHAT,
    DONE,
    EMBEDDINGS,
    SECRET_PROMPT,
    chat_body,
    completion,
    delta,
    demo,
    embeddings_body,
    event,
    stream,
    usage_event,
    whole,
)
from tests.flows.conftest import CallerMaker, Catalogue, OpenClient
from tests.flows.house import PRICES, new_model
from tests.flows.ledger import find_call
from tests.flows.processes import RunningGateway, RunningUpstream
from tests.flows.scripted_upstream import ScriptedUpstream

PRICE = Price(PRICES["price_input"], PRICES["price_cached_input"], PRICES["price_output"])


def ask(client: OpenAI, model: str, question: str = "Hello", **members: Any) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=model, messages=messages, **members)


def test_a_whole_answer_reaches_the_client_and_the_ledger(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    caller = new_caller_of(catalogue.chat, purpose="nightly summaries")
    raw = open_client(caller).chat.completions.with_raw_response.create(
        model=catalogue.chat.name, messages=[{"role": "user", "content": "Hello"}]
    )
    answer = raw.parse()

    assert "Hello" in (answer.choices[0].message.content or "")
    assert answer.model == catalogue.chat.name
    assert answer.usage is not None
    row = find_call(raw.headers["x-request-id"])
    assert (row.team_id, row.key_id, row.model_id) == (
        caller.team.id,
        caller.key.id,
        catalogue.chat.id,
    )
    assert (row.service_account_id, row.person_id) == (caller.holder.id, None)
    assert row.provider_id == catalogue.demo.id
    assert (row.status, row.http_status, row.code) == ("answered", 200, "")
    assert (row.kind, row.stream, row.peer) == ("chat", False, "127.0.0.1")
    assert row.purpose == "nightly summaries"
    assert (row.input_tokens, row.output_tokens) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert not row.usage_estimated
    usage = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens)
    assert row.cost_micro_usd == cost_micro_usd(usage, PRICE) > 0
    assert row.reserved_tokens >= row.input_tokens + row.output_tokens
    assert row.duration_us >= row.upstream_us >= row.first_byte_us > 0
    assert row.request_id == str(row.id)
    use = KeyUse.objects.get(key=caller.key)
    assert (use.last_used_at, use.last_peer) == (row.admitted_at, "127.0.0.1")


def test_a_stream_arrives_piece_by_piece_and_is_metered_by_the_upstreams_word(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    caller = new_caller_of(catalogue.chat)
    with open_client(caller).chat.completions.with_streaming_response.create(
        model=catalogue.chat.name,
        messages=[{"role": "user", "content": demo(tokens=12)}],
        stream=True,
    ) as raw:
        request_id = raw.headers["x-request-id"]
        chunks = list(raw.parse())

    assert {chunk.model for chunk in chunks} == {catalogue.chat.name}
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)
    pieces = [chunk.choices[0].delta.content for chunk in chunks]
    assert len([piece for piece in pieces if piece]) == 12
    row = find_call(request_id)
    assert (row.status, row.stream, row.output_tokens) == ("answered", True, 12)
    assert row.input_tokens > 0
    assert not row.usage_estimated


def test_reasoning_and_audio_are_priced_apart_and_the_row_keeps_their_prices(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    apart: dict[str, Any] = {
        "price_reasoning": 9_000_000,
        "price_audio_input": 40_000_000,
        "price_audio_output": 0,
    }
    model = new_model(catalogue.demo, "demo-chat", **apart)
    client = open_client(new_caller_of(model))
    used = demo(
        usage_prompt=1000, usage_cached=300, usage_audio_in=200,
        usage_completion=500, usage_reasoning=150, usage_audio_out=50,
    )  # fmt: skip
    for is_stream in (False, True):
        raw = client.chat.completions.with_raw_response.create(
            model=model.name, messages=[{"role": "user", "content": used}], stream=is_stream
        )
        if is_stream:
            list(raw.parse())
        row = find_call(raw.headers["x-request-id"])
        assert (row.input_audio_tokens, row.output_audio_tokens) == (200, 50)
        assert (row.cached_tokens, row.reasoning_tokens) == (300, 150)
        assert row.cost_micro_usd == 500 * 2 + 150 + 200 * 40 + 300 * 8 + 150 * 9
        assert {name: getattr(row, f"{name}_micro_usd_per_million") for name in apart} == apart


def test_usage_is_told_in_a_stream_to_whoever_asks(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    client = open_client(new_caller_of(catalogue.chat))
    chunks = list(
        ask(client, catalogue.chat.name, stream=True, stream_options={"include_usage": True})
    )

    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0


def test_the_gateway_asks_for_usage_and_hides_the_members_it_brought(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    """Some servers add usage to every chunk once they are asked for it."""
    first = delta("Good ", usage=None)
    second = delta("day.", usage={"prompt_tokens": 7, "completion_tokens": 2})
    script = scripted.play(stream(first, second, usage_event(7, 3), DONE))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True))

    *events, done = reply.events()
    assert done == "[DONE]"
    assert [sorted(json.loads(text)) for text in events] == [["choices", "id", "model"]] * 2
    sent = json.loads(script.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["stream_options"] == {"include_usage": True}
    row = find_call(reply.request_id)
    assert (row.input_tokens, row.output_tokens, row.usage_estimated) == (7, 3, False)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("fault", ["no_usage", "usage_null"])
def test_usage_that_the_upstream_omits_is_counted_here(
    catalogue: Catalogue, new_caller_of: CallerMaker, is_stream: bool, fault: str
) -> None:
    caller = new_caller_of(catalogue.chat)
    question = "Hello " + demo(fault=fault, tokens=20)
    reply = caller.post(CHAT, chat_body(catalogue.chat.name, question, stream=is_stream))

    assert reply.status == 200
    row = find_call(reply.request_id)
    assert (row.status, row.usage_estimated) == ("answered", True)
    assert 0 < row.input_tokens <= row.reserved_tokens
    # A stream's events show at least one token each; a whole answer shows only its length.
    assert 20 <= row.output_tokens <= 40 if is_stream else 5 <= row.output_tokens <= 40


def test_embeddings_reach_the_client_and_the_ledger(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    caller = new_caller_of(catalogue.embeddings)
    raw = open_client(caller).embeddings.with_raw_response.create(
        model=catalogue.embeddings.name, input=["one", "two words"]
    )
    answer = raw.parse()

    assert [len(entry.embedding) for entry in answer.data] == [256, 256]
    assert answer.model == catalogue.embeddings.name
    row = find_call(raw.headers["x-request-id"])
    assert (row.kind, row.status) == ("embeddings", "answered")
    assert (row.input_tokens, row.output_tokens) == (answer.usage.prompt_tokens, 0)
    assert row.cost_micro_usd > 0


def test_the_asynchronous_client_is_answered_alike(
    catalogue: Catalogue, new_caller_of: CallerMaker, gateway: RunningGateway
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    hello: list[Any] = [{"role": "user", "content": "Hello"}]

    async def call() -> None:
        async with AsyncOpenAI(
            base_url=gateway.base_url, api_key=caller.text, max_retries=0, timeout=20
        ) as client:
            answer = await client.chat.completions.create(model=catalogue.chat.name, messages=hello)
            chunks = await client.chat.completions.create(
                model=catalogue.chat.name, messages=hello, stream=True
            )
            pieces = [chunk.choices[0].delta.content or "" async for chunk in chunks]
            vectors = await client.embeddings.create(model=catalogue.embeddings.name, input="Hello")
            listed = [model.id async for model in client.models.list()]
        assert "".join(pieces) == answer.choices[0].message.content
        assert len(vectors.data) == 1
        assert listed == sorted([catalogue.chat.name, catalogue.embeddings.name])

    asyncio.run(call())


def test_the_list_shows_what_the_caller_may_use_and_nothing_else(
    catalogue: Catalogue, new_caller_of: CallerMaker, open_client: OpenClient
) -> None:
    caller = new_caller_of(catalogue.chat)
    client = open_client(caller)

    assert [model.id for model in client.models.list()] == [catalogue.chat.name]
    one = client.models.retrieve(catalogue.chat.name)
    assert (one.id, one.object, one.owned_by) == (
        catalogue.chat.name,
        "model",
        "latchkey-demonstration",
    )
    ungranted = caller.send("GET", f"/v1/models/{catalogue.chat_drain.name}")
    unknown = caller.send("GET", "/v1/models/no-such-model")
    assert (ungranted.status, ungranted.json()) == (404, unknown.json())


def test_the_model_has_its_upstream_name_there_and_its_public_name_here(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    for is_stream in (False, True):
        answer = (
            stream(delta("Good day."), usage_event(), DONE)
            if is_stream
            else whole(json.dumps(completion()).encode())
        )
        script = scripted.play(answer)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=is_stream)
        reply = caller.post(CHAT, body)

        sent = json.loads(script.requests[0].partition(b"\r\n\r\n")[2])
        assert sent["model"] == "upstream-chat"
        assert catalogue.scripted_chat.name.encode() not in script.requests[0]
        assert b"upstream-chat" not in reply.body
        assert catalogue.scripted_chat.name.encode() in reply.body


@pytest.mark.parametrize(
    "written",
    [
        b'"model" : "upstream-chat"',
        b'"model":"upstream-chat-2026-01-01"',
        b'"model":null',
        b'"usage":null,"model":"upstream-chat"',
    ],
)
def test_the_public_name_stands_however_the_upstream_writes_its_own(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    scripted: ScriptedUpstream,
    written: bytes,
) -> None:
    chunk = b'{"id":"c",%s,"choices":[{"index":0,"delta":{"content":"a"}}]}' % written
    script = scripted.play(stream(event(chunk.decode()), DONE))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True))

    assert json.loads(reply.events()[0])["model"] == catalogue.scripted_chat.name


TOOL_CALLS = [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]


def test_tool_calls_pass_streamed_and_whole_and_are_counted(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    given, none = {"tool_calls": TOOL_CALLS}, {"content": "a", "tool_calls": None}
    chunks = [event({"choices": [{"delta": one}], "error": None}) for one in (none, given)]
    choice = {"message": {"role": "assistant", "content": None, "tool_calls": TOOL_CALLS}}
    answers = {
        True: stream(*chunks, DONE),
        False: whole(json.dumps({"choices": [choice], "error": None}).encode()),
    }
    for is_stream, answer in answers.items():
        script = scripted.play(answer)
        body = chat_body(catalogue.scripted_chat.name, script.marker, stream=is_stream)
        reply = caller.post(CHAT, body)

        assert reply.status == 200
        assert b"upstream_" not in reply.body
        assert b'"arguments"' in reply.body
        row = find_call(reply.request_id)
        assert (row.status, row.usage_estimated) == ("answered", True)
        assert row.output_tokens >= 10


def test_an_event_of_several_lines_stays_one_event(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    """A line that lost its `data:` would be read as a field of its own."""
    lines = b'data: {"id":"c","choices":[{"index":0,\r\ndata: "delta":{"content":"a"}}]}\r\n\r\n'
    comment = b": keep-alive\n\nevent: message\nid: 7\nretry: 1\n\n"
    script = scripted.play(stream(comment, lines, DONE))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True))

    first, done = reply.events()
    assert json.loads(first)["choices"][0]["delta"] == {"content": "a"}
    assert done == "[DONE]"


def test_neither_prompt_nor_answer_nor_key_stands_in_the_log_or_the_audit_trail(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    gateway: RunningGateway,
    upstream: RunningUpstream,
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    marker = uuid.uuid4().hex
    question = f"{SECRET_PROMPT} {marker} {demo(marker=marker)}"
    replies = [
        caller.post(CHAT, chat_body(catalogue.chat.name, question)),
        caller.post(CHAT, chat_body(catalogue.chat.name, question, stream=True)),
        caller.post(EMBEDDINGS, embeddings_body(catalogue.embeddings.name, question)),
        caller.post(CHAT, chat_body("no-such-model", question)),
    ]

    assert [reply.status for reply in replies] == [200, 200, 200, 404]
    rows = [find_call(reply.request_id) for reply in replies]
    log = gateway.log()
    # Everything the log can say is said here, so that silence cannot pass for discretion.
    assert replies[0].request_id in log
    for secret in (marker, SECRET_PROMPT, caller.text):
        assert secret not in log
        assert all(secret not in str(vars(row)) for row in rows)
        assert not AuditEntry.objects.filter(facts__icontains=secret).exists()
    assert len(upstream.calls(marker)) == 3


def test_each_calls_id_is_its_own_and_travels_both_ways(
    catalogue: Catalogue, new_caller_of: CallerMaker, upstream: RunningUpstream
) -> None:
    caller = new_caller_of(catalogue.chat)
    marker = uuid.uuid4().hex
    replies = [
        caller.send(
            "POST",
            CHAT,
            chat_body(catalogue.chat.name, demo(marker=marker)),
            headers=[*caller.headers(), ("X-Request-Id", "chosen-by-the-caller")],
        )
        for _ in range(2)
    ]

    ids = [reply.request_id for reply in replies]
    assert len(set(ids)) == 2
    assert "chosen-by-the-caller" not in ids
    assert [call["request_id"] for call in upstream.calls(marker)] == ids
    assert [uuid.UUID(one).version for one in ids] == [7, 7]
