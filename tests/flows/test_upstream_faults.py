"""Whatever an upstream does: a clear error, one row, nothing leaked, and other calls go on."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from accounts.audit import COMMAND
from models_registry.writes.providers import add_provider
from tests.flows.answers import (
    CHAT,
    DONE,
    EMBEDDINGS,
    JSON_HEAD,
    STREAM_HEAD,
    chat_body,
    chunk,
    completion,
    delta,
    demo,
    embeddings_body,
    event,
    stream,
    usage_event,
    whole,
)
from tests.flows.conftest import SCRIPTED_KEY, CallerMaker, Catalogue, wait_until_listed
from tests.flows.house import Caller, new_model, unique
from tests.flows.ledger import find_call, find_calls
from tests.flows.processes import UPSTREAM_KEY, RunningGateway, RunningUpstream, worker_pids
from tests.flows.scripted_upstream import Ending, ScriptedUpstream
from tests.flows.wire import Reply


@dataclass(frozen=True)
class Fault:
    """What the demonstration is told to do, and how that comes out."""

    directive: str
    status: int
    code: str
    ledger: str


FAULTS = [
    Fault("fault=reset", 502, "upstream_cut_off", "cut_off"),
    Fault("fault=cut_head", 502, "upstream_cut_off", "cut_off"),
    Fault("fault=cut", 502, "upstream_cut_off", "cut_off"),
    Fault("fault=hang", 504, "upstream_timeout", "upstream_timeout"),
    Fault("fault=stall", 504, "upstream_timeout", "upstream_timeout"),
    Fault("fault=slow_head", 504, "upstream_timeout", "upstream_timeout"),
    Fault("first_byte_s=10", 504, "upstream_timeout", "upstream_timeout"),
    Fault("fault=garbage", 502, "upstream_nonsense", "upstream_error"),
    Fault("fault=huge", 502, "upstream_too_large", "upstream_error"),
    Fault("fault=huge_declared", 502, "upstream_too_large", "upstream_error"),
    Fault("fault=redirect", 502, "upstream_error", "upstream_error"),
    Fault("fault=gzip", 502, "upstream_nonsense", "upstream_error"),
    Fault("fault=html", 502, "upstream_nonsense", "upstream_error"),
    Fault("fault=bad_json", 502, "upstream_nonsense", "upstream_error"),
    Fault("status=400", 400, "upstream_rejected", "refused"),
    Fault("status=401", 502, "upstream_refused", "upstream_error"),
    Fault("status=403", 502, "upstream_refused", "upstream_error"),
    Fault("status=429 retry_after=7", 503, "upstream_busy", "upstream_error"),
    Fault("status=500", 502, "upstream_error", "upstream_error"),
    Fault("status=502", 502, "upstream_error", "upstream_error"),
    Fault("status=503 retry_after=100000", 503, "upstream_busy", "upstream_error"),
    Fault("fault=leak_key", 502, "upstream_error", "upstream_error"),
    Fault("fault=leak_key status=400", 400, "upstream_rejected", "refused"),
    Fault("fault=leak_key status=401", 502, "upstream_refused", "upstream_error"),
]


@pytest.mark.time_limit_s(120)
@pytest.mark.parametrize("kind", ["chat", "stream", "embeddings"])
def test_each_fault_is_told_apart_and_leaves_one_row(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    gateway: RunningGateway,
    upstream: RunningUpstream,
    kind: str,
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    workers = worker_pids(gateway.process)
    followed = upstream.redirects_followed()
    with ThreadPoolExecutor(len(FAULTS)) as pool:
        replies = list(pool.map(lambda fault: provoke(caller, catalogue, fault, kind), FAULTS))

    for fault, reply in zip(FAULTS, replies, strict=True):
        status, code = outcome(reply)
        if kind == "stream" and fault.directive in ("fault=bad_json", "fault=huge"):
            assert code == "upstream_nonsense", fault
        elif kind == "stream" and status == 200:
            assert code == fault.code, fault
        else:
            assert (status, code) == (fault.status, fault.code), fault
        assert UPSTREAM_KEY not in reply.body.decode() + str(reply.headers)
        row = find_call(reply.request_id)
        assert (row.status, row.code) == (fault.ledger, code), fault
        assert row.http_status == fault.status or kind == "stream"
    find_calls(caller.key.id, count=len(FAULTS))
    by_directive = dict(zip((fault.directive for fault in FAULTS), replies, strict=True))
    assert by_directive["status=429 retry_after=7"].headers["retry-after"] == "7"
    assert by_directive["status=503 retry_after=100000"].headers["retry-after"] == "120"
    assert upstream.redirects_followed() == followed
    assert worker_pids(gateway.process) == workers
    assert provoke(caller, catalogue, Fault("", 200, "", ""), kind).status == 200


def provoke(caller: Caller, catalogue: Catalogue, fault: Fault, kind: str) -> Reply:
    """Make a call of this kind with the fault's directive."""
    question = f"[[demo {fault.directive}]]"
    if kind == "embeddings":
        return caller.post(EMBEDDINGS, embeddings_body(catalogue.embeddings.name, question))
    is_stream = kind == "stream"
    return caller.post(CHAT, chat_body(catalogue.chat.name, question, stream=is_stream))


def outcome(reply: Reply) -> tuple[int, str]:
    """The status with the code, which a stream that had begun says in its last event."""
    if reply.status == 200:
        return 200, json.loads(reply.events()[-1])["error"]["code"]
    return reply.status, reply.code


@pytest.mark.parametrize("fault", ["error_mid", "no_done"])
def test_a_stream_that_ends_badly_ends_with_an_error_event(
    catalogue: Catalogue, new_caller_of: CallerMaker, fault: str
) -> None:
    caller = new_caller_of(catalogue.chat)
    reply = caller.post(
        CHAT, chat_body(catalogue.chat.name, demo(fault=fault, tokens=10), stream=True)
    )

    code = {"error_mid": "upstream_error", "no_done": "upstream_cut_off"}[fault]
    assert json.loads(reply.events()[-1])["error"]["code"] == code
    assert "broken off, as the request asked" not in reply.body.decode()
    row = find_call(reply.request_id)
    assert row.code == code
    assert row.output_tokens > 0


def test_an_upstream_that_is_down_is_unreachable(
    catalogue: Catalogue, gateway: RunningGateway, new_caller_of: CallerMaker
) -> None:
    nowhere = add_provider(unique("down"), base_url="http://127.0.0.1:1/v1", actor=COMMAND)
    forbidden = add_provider(
        unique("metadata"), base_url="http://169.254.169.254/v1", actor=COMMAND
    )
    models = [new_model(nowhere, "m"), new_model(forbidden, "m")]
    wait_until_listed(gateway.port, *models)
    caller = new_caller_of(*models)
    for model in models:
        started = time.monotonic()
        reply = caller.post(CHAT, chat_body(model.name))
        assert (reply.status, reply.code) == (502, "upstream_unreachable")
        assert time.monotonic() - started < 2
        assert "169.254" not in reply.body.decode()
        row = find_call(reply.request_id)
        assert (row.status, row.cost_micro_usd) == ("upstream_error", 0)


def test_nothing_of_the_callers_head_travels_upstream(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    caller = new_caller_of(catalogue.scripted_chat)
    script = scripted.play(whole(json.dumps(completion()).encode()))
    marker = uuid.uuid4().hex
    headers = [
        *caller.headers(),
        ("X-Api-Key", caller.text),
        ("Cookie", f"session={marker}"),
        ("X-Forwarded-For", marker),
        ("OpenAI-Organization", marker),
        ("X-Custom", marker),
        ("User-Agent", marker),
        ("Accept", f"{marker}/json"),
        ("Traceparent", marker),
    ]
    body = chat_body(catalogue.scripted_chat.name, script.marker)

    assert caller.send("POST", CHAT, body, headers=headers).status == 200
    sent = script.requests[0].decode()
    assert marker not in sent
    assert caller.text not in sent
    assert caller.key.public_id not in sent
    assert sent.count(SCRIPTED_KEY) == 1


def test_headers_that_an_upstream_echoes_go_no_further(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    question = demo(fault="echo_headers")
    chat = caller.post(CHAT, chat_body(catalogue.chat.name, question))
    embedded = caller.post(EMBEDDINGS, embeddings_body(catalogue.embeddings.name, question))

    for reply in (chat, embedded):
        assert (reply.status, reply.code) == (502, "upstream_nonsense")
        assert UPSTREAM_KEY not in reply.body.decode()
        assert find_call(reply.request_id).code == "upstream_nonsense"


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_that_repeats_the_providers_key_does_not_pass(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream, is_stream: bool
) -> None:
    text = f"You sent {SCRIPTED_KEY} with it."
    answer = (
        stream(delta(text), usage_event(), DONE)
        if is_stream
        else whole(json.dumps(completion(text)).encode())
    )
    script = scripted.play(answer)
    caller = new_caller_of(catalogue.scripted_chat)
    body = chat_body(catalogue.scripted_chat.name, script.marker, stream=is_stream)
    reply = caller.post(CHAT, body)

    assert SCRIPTED_KEY not in reply.body.decode()
    assert outcome(reply)[1] == "upstream_nonsense"
    assert f"Bearer {SCRIPTED_KEY}".encode() in script.requests[0]


@pytest.mark.parametrize("size", [1, 3, len(SCRIPTED_KEY) - 1])
def test_a_stream_that_spells_the_providers_key_is_ended_before_half_of_it(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream, size: int
) -> None:
    parts = [SCRIPTED_KEY[at : at + size] for at in range(0, len(SCRIPTED_KEY), size)]
    script = scripted.play(stream(*map(delta, ["Key: ", *parts]), usage_event(), DONE))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True))

    assert outcome(reply) == (200, "upstream_nonsense")
    said = [json.loads(event).get("choices", [{}])[0] for event in reply.events()[:-1]]
    passed = "".join(choice["delta"]["content"] for choice in said)
    assert passed.startswith("Key: ")
    assert len(passed.removeprefix("Key: ")) < (len(SCRIPTED_KEY) + 1) // 2
    assert find_call(reply.request_id).code == "upstream_nonsense"


LEAKS = {
    "whole": SCRIPTED_KEY,
    "cut short": SCRIPTED_KEY[:12] + "…",
    "its end": "…" + SCRIPTED_KEY[-10:],
    "in capitals": SCRIPTED_KEY.upper(),
}


@pytest.mark.parametrize("form", LEAKS)
def test_a_refusal_that_repeats_the_providers_key_loses_its_words(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream, form: str
) -> None:
    body = json.dumps({"error": {"message": f"Key {LEAKS[form]} is wrong."}}).encode()
    head = JSON_HEAD + b"x-debug: " + SCRIPTED_KEY.encode() + b"\r\n"
    script = scripted.play(whole(body, status=b"400 Bad Request", headers=head))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker))

    assert (reply.status, reply.code) == (400, "upstream_rejected")
    assert LEAKS[form] not in reply.body.decode()
    assert SCRIPTED_KEY not in str(reply.headers)


def test_an_upstreams_words_pass_where_they_help(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    body = json.dumps({"error": {"message": "temperature must be at most 2"}}).encode()
    script = scripted.play(whole(body, status=b"422 Unprocessable"))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker))

    assert "temperature must be at most 2" in reply.json()["error"]["message"]


NONSENSE = {
    "an array": whole(b"[]"),
    "a number": whole(b"1"),
    "nothing": whole(b""),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "half": whole(json.dumps(completion()).encode()[:40]),
    "deep": whole(b'{"choices":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "wrong types": whole(b'{"choices":7,"model":"m"}'),
    "usage of another type": whole(b'{"choices":[],"usage":"a lot"}'),
    "latin-1": whole('{"choices":[{"message":{"content":"é"}}]}'.encode("latin-1")),
    "no type": whole(json.dumps(completion()).encode(), headers=b""),
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    "old": b"HTTP/0.9 200 OK\r\n\r\n{}",
    "a stream": stream(delta("a"), DONE),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_named_and_passes_nothing_on(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream, name: str
) -> None:
    script = scripted.play(NONSENSE[name])
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker))

    assert reply.status == 502
    assert reply.code in ("upstream_nonsense", "upstream_error", "upstream_cut_off")
    assert find_call(reply.request_id).status in ("upstream_error", "cut_off")


BAD_EVENTS = {
    "not json": event("nonsense"),
    "array": event("[]"),
    "deep": event("[" * 100_000),
    "bytes": b"data: \xff\xfe\n\n",
    "wrong types": event('{"choices":{}}'),
    "error": event('{"error":{"message":"the GPU at 10.0.0.7 is on fire"}}'),
    "error as text": event('{"error":"10.0.0.7"}'),
}


@pytest.mark.parametrize("name", BAD_EVENTS)
def test_a_bad_event_ends_a_stream_with_an_error_and_is_not_passed_on(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream, name: str
) -> None:
    script = scripted.play(stream(delta("Good "), BAD_EVENTS[name], delta("day."), DONE))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = caller.post(CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=True))

    good, error = reply.events()
    assert json.loads(good)["choices"][0]["delta"]["content"] == "Good "
    expected = "upstream_error" if name.startswith("error") else "upstream_nonsense"
    assert json.loads(error)["error"]["code"] == expected
    assert "10.0.0.7" not in reply.body.decode()
    assert find_call(reply.request_id).output_tokens > 0


def test_other_calls_go_on_while_an_upstream_hangs(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    hanging = scripted.play(ending=Ending.HANG)
    flooding = scripted.play(STREAM_HEAD, *([chunk(b": keep-alive\n\n")] * 50), ending=Ending.HANG)
    caller = new_caller_of(catalogue.scripted_chat, catalogue.chat)
    with ThreadPoolExecutor(40) as pool:
        stuck = [
            pool.submit(
                caller.post,
                CHAT,
                chat_body(catalogue.scripted_chat.name, script.marker, stream=True),
            )
            for script in (hanging, flooding)
            for _ in range(15)
        ]
        time.sleep(0.2)
        times = []
        for _ in range(20):
            started = time.monotonic()
            assert caller.post(CHAT, chat_body(catalogue.chat.name)).status == 200
            times.append(time.monotonic() - started)
        codes = [outcome(one.result())[1] for one in stuck]

    assert sorted(times)[10] < 0.5
    assert codes == ["upstream_timeout"] * 30
    find_calls(caller.key.id, count=50)
