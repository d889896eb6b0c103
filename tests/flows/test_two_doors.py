"""One table of calls through the fast door and through the DRF views: status, headers, body, ledger and trail are the same.

What differs by its nature stands outside: when a hang-up is noticed, and headers that stand twice (WSGI joins them).
"""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.forms.models import model_to_dict
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client, override_settings

from accounts.credential import make_credential
from accounts.models import AuditEntry
from accounts.models.keys import Scope
from models_registry.models import AiModel
from proxy.api.background import background_door, stop_background_door
from proxy.models import Call
from tests.flows.answers import (
    CHAT,
    DONE,
    EMBEDDINGS,
    STREAM_HEAD,
    chat_body,
    chunk,
    completion,
    delta,
    embeddings_body,
    stream,
    usage_event,
    whole,
)
from tests.flows.conftest import FIRST_BYTE_S, IDLE_S, MAX_BODY_BYTES, CallerMaker, Catalogue
from tests.flows.house import Caller
from tests.flows.ledger import find_call
from tests.flows.scripted_upstream import Ending, Script, ScriptedUpstream
from tests.services import ROOT

JSON = "application/json"
Headers = list[tuple[str, str]]
COMPARED = (
    "content-type",
    "cache-control",
    "x-accel-buffering",
    "allow",
    "retry-after",
    "www-authenticate",
    "deprecation",
    "sunset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
)
OF_ONE_CALL = {
    "id",
    "admitted_at",
    "team_id",
    "key_id",
    "service_account_id",
    "peer",
    "request_id",
    "duration_us",
    "upstream_us",
    "first_byte_us",
}


@pytest.fixture(scope="module")
def drf_door() -> Iterator[None]:
    """The background gateway, with the time-outs that the fixture's server has."""
    stop_background_door()
    with override_settings(
        LATCHKEY_CONNECT_TIMEOUT_S=1,
        LATCHKEY_FIRST_BYTE_TIMEOUT_S=FIRST_BYTE_S,
        LATCHKEY_IDLE_TIMEOUT_S=IDLE_S,
        LATCHKEY_MAX_BODY_BYTES=MAX_BODY_BYTES,
    ):
        yield
        stop_background_door()


@dataclass(frozen=True)
class Seen:
    """What a caller sees of an answer."""

    status: int
    headers: dict[str, str | None]
    body: bytes
    request_id: str


@dataclass(frozen=True)
class Row:
    """One call of the table.

    body: made from the catalogue and the marker of the upstream's script.
    says: what the upstream does.
    """

    body: Callable[[Catalogue, str], bytes] = lambda *_: b""
    method: str = "POST"
    path: str = CHAT
    says: tuple[bytes | float, ...] = ()
    ending: Ending = Ending.CLOSE
    headers: Callable[[Caller], Headers] | None = None
    facts: tuple[tuple[str, Any], ...] = ()
    is_recorded: bool = True
    host: str = "localhost"


def chat(**members: Any) -> Callable[[Catalogue, str], bytes]:
    return lambda catalogue, marker: chat_body(catalogue.scripted_chat.name, marker, **members)


def raw(body: bytes) -> Callable[[Catalogue, str], bytes]:
    return lambda *_: body


def with_key(text: str) -> Callable[[Caller], Headers]:
    return lambda _: [("Authorization", f"Bearer {text}"), ("Content-Type", JSON)]


COMPLETION = whole(b'{"id":"c","model":"upstream-chat","choices":[],"usage":{}}')
STREAM = stream(delta("Good "), delta("day."), usage_event(), DONE)
TABLE: dict[str, Row] = {
    "whole answer": Row(chat(), says=(whole(json.dumps(completion()).encode()),)),
    "stream": Row(chat(stream=True), says=(STREAM,)),
    "stream with usage": Row(
        chat(stream=True, stream_options={"include_usage": True}), says=(STREAM,)
    ),
    "stream cut off": Row(
        chat(stream=True), says=(stream(delta("Good ")).removesuffix(b"0\r\n\r\n"),)
    ),
    "slow stream": Row(chat(stream=True), says=(STREAM[:-40], IDLE_S + 1), ending=Ending.CLOSE),
    "embeddings": Row(
        lambda catalogue, marker: embeddings_body(catalogue.scripted_embeddings.name, marker),
        path=EMBEDDINGS,
        says=(
            whole(
                b'{"object":"list","model":"upstream-embed","data":[],"usage":{"prompt_tokens":3}}'
            ),
        ),
    ),
    "upstream refuses": Row(chat(), says=(whole(b"{}", status=b"401 Unauthorized"),)),
    "upstream rejects": Row(
        chat(), says=(whole(b'{"error":{"message":"no"}}', status=b"400 Bad Request"),)
    ),
    "upstream nonsense": Row(chat(), says=(b"nonsense\r\n\r\n",)),
    "upstream silent": Row(chat(), says=(FIRST_BYTE_S + 1,)),
    "models": Row(method="GET", path="/v1/models"),
    "one unknown model": Row(method="GET", path="/v1/models/no-such"),
    "query": Row(chat(), path=f"{CHAT}?key=x", is_recorded=False),
    "unknown path": Row(path="/v1/nowhere", is_recorded=False),
    "bare": Row(method="GET", path="/v1/", is_recorded=False),
    "wrong method": Row(method="GET", is_recorded=False),
    "put": Row(chat(), method="PUT", is_recorded=False),
    "options": Row(method="OPTIONS", is_recorded=False),
    "no key": Row(chat(), headers=lambda _: [("Content-Type", JSON)], is_recorded=False),
    "unknown key": Row(chat(), headers=with_key(make_credential().text), is_recorded=False),
    "junk key": Row(chat(), headers=with_key("junk"), is_recorded=False),
    "other scheme": Row(
        chat(),
        headers=lambda caller: [("Authorization", f"Basic {caller.text}"), ("Content-Type", JSON)],
        is_recorded=False,
    ),
    "key in its other header": Row(
        chat(),
        says=(COMPLETION,),
        headers=lambda caller: [("x-api-key", caller.text), ("Content-Type", JSON)],
    ),
    "two keys": Row(
        chat(),
        headers=lambda caller: [*caller.headers(), ("x-api-key", make_credential().text)],
        is_recorded=False,
    ),
    **{
        f"host {host}": Row(chat(), host=host, is_recorded=False)
        for host in (
            "elsewhere.test",
            "localhost.elsewhere.test",
            "a b",
            "127.0.0.1:8000:1",
            "[::1",
        )
    },
    "host of another page": Row(method="GET", path="/v1", host="elsewhere.test", is_recorded=False),
    "no JSON": Row(raw(b"{")),
    "twins": Row(raw(b'{"model":"a","model":"b"}')),
    "empty body": Row(raw(b"")),
    "no messages": Row(raw(b'{"model":"a"}')),
    "other type": Row(
        chat(),
        headers=lambda caller: [caller.headers()[0], ("Content-Type", "text/plain")],
        is_recorded=False,
    ),
    "compressed": Row(
        chat(),
        headers=lambda caller: [*caller.headers(), ("Content-Encoding", "gzip")],
        is_recorded=False,
    ),
    "too large": Row(raw(b"x" * (MAX_BODY_BYTES + 1))),
    "unknown model": Row(raw(chat_body("no-such-model"))),
    "unknown member": Row(chat(api_base="http://127.0.0.1:9")),
    "kind not allowed": Row(chat(), facts=(("scopes", (Scope.EMBEDDINGS,)),)),
    "address not allowed": Row(chat(), facts=(("networks", ("192.0.2.0/24",)),), is_recorded=False),
    "limit": Row(chat(max_tokens=50), facts=(("tokens_per_minute", 10),)),
}


def through_fast_door(caller: Caller, row: Row, body: bytes) -> Seen:
    headers = None if row.headers is None else row.headers(caller)
    reply = caller.send(row.method, row.path, body, headers=headers, host=row.host)
    shown = {name: reply.headers.get(name) for name in COMPARED}
    return Seen(reply.status, shown, reply.body, reply.headers["x-request-id"])


def ask_django(caller: Caller, row: Row, body: bytes) -> HttpResponseBase:
    sent = dict(caller.headers() if row.headers is None else row.headers(caller))
    content_type = sent.pop("Content-Type")
    reply = Client(raise_request_exception=False).generic(
        row.method,
        row.path,
        body,
        content_type,
        headers=sent,
        # Left out by the client where the body is empty.
        CONTENT_TYPE=content_type,
        REMOTE_ADDR=caller.address,
        HTTP_HOST=row.host,
    )
    assert isinstance(reply, HttpResponseBase)
    return reply


def through_drf(caller: Caller, row: Row, body: bytes) -> Seen:
    reply = ask_django(caller, row, body)
    shown = {name: reply.headers.get(name) for name in COMPARED}
    content = b"".join(reply.streaming_content) if reply.streaming else reply.content  # type: ignore[attr-defined]
    reply.close()
    return Seen(reply.status_code, shown, content, reply.headers["x-request-id"])


def challenge_to(seen: Seen) -> str | None:
    """What a reply of this code is to carry: no error without a credential, and the same for whatever is wrong with one."""
    if seen.status not in (401, 403):
        return None
    errors = {
        "missing_credential": "",
        "invalid_credential": ', error="invalid_token"',
        "kind_not_allowed": ', error="insufficient_scope"',
        "address_not_allowed": None,
    }
    error = errors[json.loads(seen.body)["error"]["code"]]
    at = f"{settings.LATCHKEY_BASE_URL}/.well-known/oauth-protected-resource/v1"
    return None if error is None else f'Bearer resource_metadata="{at}"{error}'


def recorded(seen: Seen, row: Row) -> dict[str, Any] | None:
    """The ledger's row of a call, without what is one call's alone."""
    if not row.is_recorded:
        return None
    found = model_to_dict(find_call(seen.request_id))
    return {name: value for name, value in found.items() if name not in OF_ONE_CALL}


@pytest.mark.parametrize("name", TABLE)
def test_both_doors_answer_and_record_alike(
    name: str,
    drf_door: None,
    catalogue: Catalogue,
    scripted: ScriptedUpstream,
    new_caller_of: CallerMaker,
) -> None:
    row = TABLE[name]
    script = scripted.play(*row.says, ending=row.ending)
    body = row.body(catalogue, script.marker)
    trail = AuditEntry.objects.count()
    models = (catalogue.scripted_chat, catalogue.scripted_embeddings)
    callers = [new_caller_of(*models, **dict(row.facts)) for _ in range(2)]
    made_by_set_up = AuditEntry.objects.count() - trail
    fast = through_fast_door(callers[0], row, body)
    slow = through_drf(callers[1], row, body)
    assert slow.status == fast.status
    assert slow.headers == fast.headers
    assert slow.body == fast.body
    assert fast.headers["www-authenticate"] == challenge_to(fast)
    assert uuid.UUID(slow.request_id) != uuid.UUID(fast.request_id)
    assert recorded(slow, row) == recorded(fast, row)
    assert AuditEntry.objects.count() == trail + made_by_set_up
    if not row.is_recorded:
        ids = [seen.request_id for seen in (fast, slow)]
        assert not Call.objects.filter(pk__in=ids, status="answered").exists()


def stream_row(script: Script, model: AiModel) -> tuple[Row, bytes]:
    return Row(), chat_body(model.name, script.marker, stream=True)


@pytest.mark.parametrize("is_read", [True, False])
def test_reader_who_leaves_ends_the_call(
    is_read: bool,
    drf_door: None,
    catalogue: Catalogue,
    scripted: ScriptedUpstream,
    new_caller_of: CallerMaker,
) -> None:
    script = scripted.play(STREAM_HEAD + chunk(delta("Good ")), ending=Ending.HANG)
    caller = new_caller_of(catalogue.scripted_chat)
    reply = ask_django(caller, *stream_row(script, catalogue.scripted_chat))
    assert isinstance(reply, StreamingHttpResponse)
    if is_read:
        assert b"Good " in next(iter(reply))
    assert not script.hung_up.is_set()
    reply.close()
    assert script.hung_up.wait(5)
    row = find_call(reply.headers["x-request-id"])
    assert (row.status, row.code) == ("client_gone", "client_gone")


def test_stream_comes_as_the_upstream_sends_it(
    drf_door: None,
    catalogue: Catalogue,
    scripted: ScriptedUpstream,
    new_caller_of: CallerMaker,
) -> None:
    first = STREAM_HEAD + chunk(delta("Good "))
    script = scripted.play(first, 0.7, STREAM.removeprefix(first))
    caller = new_caller_of(catalogue.scripted_chat)
    reply = ask_django(caller, *stream_row(script, catalogue.scripted_chat))
    assert isinstance(reply, StreamingHttpResponse)
    started = time.monotonic()
    pieces = iter(reply)
    assert next(pieces)
    list(pieces)
    assert time.monotonic() - started > 0.4
    reply.close()


def test_one_gateway_serves_a_process_and_another_after_it_was_stopped(drf_door: None) -> None:
    first = background_door()
    assert background_door() is first
    stop_background_door()
    assert first.loop.is_closed()
    assert background_door() is not first


ONE_CALL = """
import os, sys
import django
django.setup()
from django.test import Client
reply = Client().post(
    "/v1/chat/completions", sys.argv[2], "application/json",
    headers={"Authorization": "Bearer " + sys.argv[1]}, HTTP_HOST="localhost",
)
print(reply.status_code, reply.headers["x-request-id"])
"""


def test_process_that_ends_ships_what_it_journalled(
    catalogue: Catalogue,
    scripted: ScriptedUpstream,
    new_caller_of: CallerMaker,
    tmp_path: Any,
) -> None:
    script = scripted.play(COMPLETION)
    caller = new_caller_of(catalogue.scripted_chat)
    body = chat_body(catalogue.scripted_chat.name, script.marker).decode()
    done = subprocess.run(
        [sys.executable, "-c", ONE_CALL, caller.text, body],
        cwd=ROOT,
        env=os.environ
        | {
            "LATCHKEY_JOURNAL_DIR": str(tmp_path / "journal"),
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    status, request_id = done.stdout.split()
    assert status == "200", done.stderr
    # No other process ships this one's journal: what is there now was shipped before it ended.
    assert Call.objects.filter(pk=request_id, status="answered").exists()
    assert "Everything is settled" in done.stderr + done.stdout
