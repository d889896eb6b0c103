"""What failed elsewhere, tried here over the wire."""

import contextlib
import gzip
import json
import random
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, cast

import pytest

from accounts.audit import COMMAND
from accounts.credential import checksum, make_credential
from accounts.models import ApiKey, User
from accounts.writes.decoys import issue_decoy
from accounts.writes.keys import revoke_key
from accounts.writes.people import disable_person
from accounts.writes.teams import disable_team, remove_member
from bench.noise import chance_of
from proxy.call import POSTED, CallKind
from proxy.fast_door import MODELS
from proxy.json_outline import SLICE_BYTES
from proxy.models import Call
from proxy.refusal_log import LINES_PER_SECOND
from proxy.refusal_rows import BURST, PER_SECOND, SUM_UP_S
from tests.flows.answers import (
    CHAT,
    EMBEDDINGS,
    chat_body,
    completion,
    embeddings_body,
    whole,
)
from tests.flows.conftest import MAX_BODY_BYTES, CallerMaker, Catalogue
from tests.flows.house import Caller, in_s, new_member, new_team
from tests.flows.ledger import find_call
from tests.flows.processes import UPSTREAM_KEY, RunningGateway
from tests.flows.scripted_upstream import ScriptedUpstream
from tests.flows.wire import (
    connect,
    exchange,
    fresh_address,
    read_reply,
    receive_all,
    write_request,
)

JSON = ("Content-Type", "application/json")
# The fast door's own table, so that a path that it begins to serve is tried here by itself.
SERVED = [MODELS, *POSTED]
ROUTES = [("GET", MODELS), *(("POST", path) for path in POSTED)]
BODIES = {CallKind.CHAT: chat_body, CallKind.EMBEDDINGS: embeddings_body}


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A listener that nobody has a reason to speak to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening
        assert not select.select([listening], [], [], 0)[0], "Somebody called the canary."


DANGEROUS = [
    "api_base", "base_url", "api_key", "api_version", "extra_headers", "extra_body", "extra_query",
    "headers", "organization", "custom_llm_provider", "provider", "fallbacks", "mock_response",
    "metadata", "store", "proxy", "timeout", "callbacks", "success_callback", "user_config",
    "litellm_params", "aws_access_key_id", "vertex_credentials", "guardrails", "cache", "no-log",
    "chat_template", "chat_template_kwargs", "add_generation_prompt", "lora_request", "webhook",
    "previous_response_id", "prompt", "web_search_options", "plugins", "transforms", "route", "models",
    "__proto__", "constructor", "Model", "MODEL", "model ", " model", "model\x00", "m\u043edel", "\uff4dodel",
]  # fmt: skip


@pytest.mark.parametrize("path", POSTED)
def test_no_member_leads_a_call_elsewhere(
    catalogue: Catalogue, new_caller_of: CallerMaker, canary: socket.socket, path: str
) -> None:
    """A peer sent its provider's key to whatever address `api_base` named."""
    caller = new_caller_of(catalogue.chat, catalogue.embeddings)
    kind = POSTED[path]
    model = catalogue.embeddings if kind is CallKind.EMBEDDINGS else catalogue.chat
    url = f"http://127.0.0.1:{canary.getsockname()[1]}/v1"
    for name in DANGEROUS:
        values: list[Any] = [url, {"url": url, "Authorization": url}, [url]]
        for value in values:
            reply = caller.post(path, BODIES[kind](model.name, **{name: value}))
            assert (reply.status, reply.code) == (400, "member_not_accepted"), name
            assert UPSTREAM_KEY not in reply.body.decode()


@pytest.mark.parametrize(
    "model",
    ["http://127.0.0.1:{port}/v1", "//127.0.0.1:{port}", "demo-chat@http://127.0.0.1:{port}",
     "../../etc/passwd", "..;/", "openai/demo-chat", "demo-chat", "*", "%", "' OR 1=1 --", "\u0000"],
)  # fmt: skip
def test_a_models_name_is_only_ever_looked_up(
    catalogue: Catalogue, new_caller_of: CallerMaker, canary: socket.socket, model: str
) -> None:
    caller = new_caller_of(catalogue.chat)
    name = model.replace("{port}", str(canary.getsockname()[1]))

    assert caller.post(CHAT, chat_body(name)).code == "model_not_found"
    assert caller.post(EMBEDDINGS, embeddings_body(name)).code == "model_not_found"


def test_the_model_dispatched_is_the_model_authorised(
    catalogue: Catalogue, new_caller_of: CallerMaker, scripted: ScriptedUpstream
) -> None:
    """A peer let `?model=` pass its allow-list."""
    caller = new_caller_of(catalogue.scripted_chat)
    ours, other = catalogue.scripted_chat.name, catalogue.scripted_drain.name
    marker = scripted.play().marker
    messages = f'"messages":[{{"role":"user","content":"{marker}"}}]'

    def code_of(members: str, target: str = CHAT, **headers: str) -> tuple[int, str]:
        sent = [
            *caller.headers(),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        reply = caller.send(
            "POST", target, ("{" + members + "," + messages + "}").encode(), headers=sent
        )
        return reply.status, reply.code

    two_ways = [
        f'"model":"{ours}","model":"{other}"',
        f'"model":"{other}","model":"{ours}"',
        f'"model":"{ours}","\\u006dodel":"{other}"',
        f'"\\u006d\\u006F\\u0064\\u0065\\u006c":"{other}","model":"{ours}"',
        f'"model":"{ours}","model":"{ours}"',
    ]
    assert {code_of(members) for members in two_ways} == {(400, "duplicate_member")}
    for lookalike in (
        ours.upper(),
        f"{ours} ",
        f" {ours}",
        f"{ours}\\u0000",
        f"{ours}\\u200b",
        ours[:-1],
    ):
        assert code_of(f'"model":"{lookalike}"') == (404, "model_not_found"), lookalike
    for odd in (
        f'["{ours}"]',
        f'{{"id":"{ours}"}}',
        "null",
        "1",
        "true",
        '""',
        '"' + "m" * 300 + '"',
    ):
        status, code = code_of(f'"model":{odd}')
        assert (status, code) == (400, "unsupported_value"), odd
    assert code_of(f'"\\u006dodel":"{other}"') == (404, "model_not_found")
    assert code_of(f'"model":"{ours}"', f"{CHAT}?model={other}") == (400, "query_not_accepted")
    assert code_of(f'"model":"{other}"', f"{CHAT}?model={ours}") == (400, "query_not_accepted")
    assert (
        code_of(f'"model":"{ours}"', f"/v1/engines/{other}/chat/completions")[1] == "unknown_path"
    )
    assert code_of(f'"model":"{other}"', X_Model=ours, Model=ours) == (404, "model_not_found")


def test_keys_that_share_any_beginning_are_strangers(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    """A peer remembered callers under the first 20 characters of their token."""
    caller = new_caller_of(catalogue.chat)
    assert caller.post(CHAT, chat_body(catalogue.chat.name)).status == 200
    body = chat_body(catalogue.chat.name)
    for length in range(len(caller.text)):
        forged = (caller.text[:length] + make_credential().text[length:])[:-6]
        forged += checksum(forged)
        if forged == caller.text:
            continue
        headers = [("Authorization", f"Bearer {forged}"), JSON]
        request = write_request("POST", CHAT, body, headers=headers)
        reply = read_reply(exchange(caller.port, request, address=fresh_address()))
        assert (reply.status, reply.code) == (401, "invalid_credential"), length


HOSTS = ["localhost", "127.0.0.1", "testserver", "LOCALHOST", "localhost:1"]
BAD_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "localhost@evil",
    "localhost/v1/models?",
    "",
    "localhost:x",
]
FORWARDED = [
    ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Prefix", "/admin"), ("Forwarded", "for=127.0.0.1;host=evil"), ("X-Original-URL", "/health/live"),
    ("X-Rewrite-URL", "/health/live"), ("X-HTTP-Method-Override", "GET"), ("X-Real-IP", "127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"),
    [*ROUTES, ("GET", "/"), ("GET", "/health/live"), ("GET", "/sign-in/"), ("GET", "/nothing")],
)
def test_neither_host_nor_forwarding_headers_change_a_decision(
    catalogue: Catalogue, new_caller_of: CallerMaker, method: str, path: str
) -> None:
    """A crafted Host led a peer's authorisation to another route."""
    caller = new_caller_of(catalogue.chat)
    body = chat_body(catalogue.chat.name) if method == "POST" else b""
    for headers in (caller.headers(), [JSON]):
        plain = caller.send(method, path, body, headers=headers).status
        same = {
            caller.send(method, path, body, headers=headers, host=host).status for host in HOSTS
        }
        same |= {
            caller.send(method, path, body, headers=[*headers, one]).status for one in FORWARDED
        }
        same |= {caller.send(method, f"http://localhost{path}", body, headers=headers).status}
        assert same == {plain}
        for host in BAD_HOSTS:
            reply = caller.send(method, path, body, headers=headers, host=host)
            assert reply.status in (400, 421), (host, reply.status)
        two = caller.send(method, path, body, headers=[*headers, ("Host", "evil.example")])
        assert two.status in (400, 421)
    none = f"{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()
    assert read_reply(exchange(caller.port, none)).status in (400, 421)


def test_both_carriers_decide_alike_and_a_query_is_refused(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller, other = new_caller_of(catalogue.chat), new_caller_of(catalogue.chat)
    body = chat_body(catalogue.chat.name)
    for method, path in ROUTES:
        for text in (caller.text, "lk_junk"):
            told = [
                caller.send(method, path, b"", headers=[JSON, one]).status
                for one in (("Authorization", f"Bearer {text}"), ("X-Api-Key", text))
            ]
            assert told[0] == told[1], (path, told)
            assert (told[0] == 401) == (text == "lk_junk"), (path, told)

    def status(*headers: tuple[str, str], target: str = CHAT) -> tuple[int, str]:
        reply = caller.send("POST", target, body, headers=[JSON, *headers])
        return reply.status, "" if reply.status == 200 else reply.code

    bearer, plain = ("Authorization", f"Bearer {caller.text}"), ("X-Api-Key", caller.text)
    invalid, malformed = (401, "invalid_credential"), (400, "malformed_request")
    assert status(bearer) == status(plain) == status(bearer, plain) == (200, "")
    assert status(("authorization", f"bearer {caller.text}")) == (200, "")
    assert status(bearer, ("X-Api-Key", other.text)) == invalid
    assert status(("Authorization", f"Bearer {other.text}"), ("X-Api-Key", "lk_junk")) == invalid
    assert status(("Authorization", f"Basic {caller.text}"), plain) == invalid
    assert status(("Authorization", ""), plain) == invalid
    assert status(bearer, bearer) == malformed
    assert status(plain, plain) == malformed
    assert status() == (401, "missing_credential")
    for name in ("key", "api_key", "api-key", "access_token", "token"):
        assert status(target=f"{CHAT}?{name}={caller.text}") == (400, "query_not_accepted")
        assert status((name, caller.text)) == (401, "missing_credential")
    assert status(("Cookie", f"api_key={caller.text}")) == (401, "missing_credential")


PATHS = [
    *SERVED, *(f"{path}/" for path in SERVED), "/v1", "/v1/", "/v1/models/x", "/v1/models/..", "/v1/models/%2e%2e/%2e%2e/health",
    "/v1/completions", "/v1/responses", "/v1/files",
    "/v1/../health/live", "/v1/..;/health/live", "/v1/%2e%2e/sign-in/", "/v1//models", "/v1/models;/../x", "/v1/\\..\\",
    "/v1/models/%00", "/v1/models/%ff", "/v1/models/..%2f..%2fetc%2fpasswd", "/v1/./models", "/v1/chat/../models",
    "/%761/models", "/v1%2Fmodels",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_is_answered_without_a_key(
    catalogue: Catalogue, new_caller_of: CallerMaker, path: str
) -> None:
    caller = new_caller_of(catalogue.chat)
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"):
        reply = caller.send(method, path, headers=[JSON])
        assert reply.status in (400, 401, 404, 405), (method, reply.status)
    if path not in (MODELS, f"{MODELS}/", "/v1%2Fmodels", "/%761/models"):
        assert caller.send("GET", path).status in (400, 404, 405)


def test_no_page_is_answered_without_a_session(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    public = {"/", "/sign-in/", "/health/live", "/health/ready"}
    for path in [
        *public,
        "/sign-out/",
        "/admin/",
        "/accounts/",
        "/api/",
        "/static/../manage.py",
        "/.env",
        "/o/token/",
    ]:
        reply = caller.send("GET", path)
        assert reply.status == 200 if path in public else reply.status in (301, 302, 403, 404, 405)
        assert caller.text not in reply.body.decode()


MALFORMED = {
    "nothing": (b"", 400, "malformed_body"),
    "array": (b"[]", 400, "malformed_body"),
    "open": (b'{"model":"m"', 400, "malformed_body"),
    "two": (b"{}{}", 400, "malformed_body"),
    "latin-1": ('{"model":"é"}'.encode("latin-1"), 400, "malformed_body"),
    "utf-16": ('{"model":"m"}'.encode("utf-16"), 400, "malformed_body"),
    "deep": (b'{"messages":' + b"[" * 1000 + b"]" * 1000 + b"}", 400, "nested_too_deep"),
    "deeper": (b'{"messages":' + b"[" * 100_000, 400, "nested_too_deep"),
    "large and deep": (
        b'{"user":"' + b'\\"[' * 200_000 + b'","messages":' + b"[" * 65 + b"]" * 65 + b"}",
        400,
        "nested_too_deep",
    ),
    "twice": (b'{"n":12,"n":1}', 400, "duplicate_member"),
    "no model": (b'{"messages":[{"role":"user","content":"a"}]}', 400, "missing_member"),
    "no messages": (b'{"model":"m"}', 400, "missing_member"),
    "huge number": (
        b'{"model":"m","messages":[{"role":"user"}],"n":1e999}',
        400,
        "unsupported_value",
    ),
    "surrogate": (
        b'{"model":"\\ud800","messages":[{"role":"user","content":"a"}]}',
        400,
        "malformed_body",
    ),
    "negative": (
        b'{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":-1}',
        400,
        "unsupported_value",
    ),
    "too large": (b'{"a":"' + b"a" * MAX_BODY_BYTES + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_malformed_body_is_refused_as_what_it_is(
    catalogue: Catalogue, new_caller_of: CallerMaker, name: str, is_chunked: bool
) -> None:
    caller = new_caller_of(catalogue.chat)
    caller.post(CHAT, chat_body(catalogue.chat.name))
    body, status, code = MALFORMED[name]
    started = time.monotonic()
    if is_chunked:
        head = "".join(f"{name}: {value}\r\n" for name, value in caller.headers())
        request = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{head}\r\n".encode()
        request += (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        request = write_request("POST", CHAT, body, headers=caller.headers())
    with connect(caller.port, address=caller.address) as connection:
        connection.sendall(request)
        reply = read_reply(receive_all(connection))

    assert (reply.status, reply.code) == (status, code)
    assert time.monotonic() - started < 1.0
    row = find_call(reply.request_id)
    assert (row.status, row.code) == ("refused", code)


def test_a_large_body_that_is_read_in_slices_arrives_whole(
    catalogue: Catalogue, scripted: ScriptedUpstream, new_caller_of: CallerMaker
) -> None:
    script = scripted.play(whole(json.dumps(completion()).encode()))
    question = script.marker + '\\"[é' * 60_000
    body = chat_body(catalogue.scripted_chat.name, question)
    assert 2 * SLICE_BYTES < len(body) < MAX_BODY_BYTES
    assert new_caller_of(catalogue.scripted_chat).post(CHAT, body).status == 200

    sent = json.loads(script.requests[0].partition(b"\r\n\r\n")[2])
    assert sent["messages"] == json.loads(body)["messages"]


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    head = write_request("POST", CHAT, headers=caller.headers()).replace(
        b"Content-Length: 0", b"Content-Length: %d" % (10 * MAX_BODY_BYTES)
    )
    reply = read_reply(exchange(caller.port, head, address=caller.address))
    assert (reply.status, reply.code) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("Content-Encoding", "gzip"), JSON], "compressed_body"),
        ([("Content-Encoding", "br"), JSON], "compressed_body"),
        ([("Content-Type", "text/plain")], "wrong_content_type"),
        ([("Content-Type", "application/x-www-form-urlencoded")], "wrong_content_type"),
        ([("Content-Type", "multipart/form-data; boundary=x")], "wrong_content_type"),
        ([("Content-Type", "application/json; charset=utf-16")], "wrong_content_type"),
        ([("Content-Type", "application/jsonp")], "wrong_content_type"),
        ([], "wrong_content_type"),
    ],
)
def test_other_forms_of_body_are_refused(
    catalogue: Catalogue, new_caller_of: CallerMaker, headers: list[tuple[str, str]], code: str
) -> None:
    caller = new_caller_of(catalogue.chat)
    body = gzip.compress(chat_body(catalogue.chat.name))
    sent = [("Authorization", f"Bearer {caller.text}"), *headers]
    reply = caller.send("POST", CHAT, body, headers=sent)
    assert (reply.status, reply.code) == (415, code)


# Whoever is still writing when the refusal is sent may find the connection reset instead.
@pytest.mark.parametrize(
    ("count", "answers"), [(150, [b"HTTP/1.1 431"]), (10_000, [b"HTTP/1.1 431", b""])]
)
def test_too_many_headers_are_refused_at_once(
    catalogue: Catalogue, new_caller_of: CallerMaker, count: int, answers: list[bytes]
) -> None:
    caller = new_caller_of(catalogue.chat)
    headers = [*caller.headers(), *((f"X-{number}", "a") for number in range(count))]
    request = write_request("POST", CHAT, chat_body(catalogue.chat.name), headers=headers)
    started = time.monotonic()
    received = b""
    with (
        connect(caller.port, address=caller.address) as connection,
        contextlib.suppress(ConnectionError),
    ):
        connection.sendall(request)
        received = receive_all(connection)
    assert time.monotonic() - started < 1.0
    assert received[:12] in answers, received[:80]
    assert caller.post(CHAT, chat_body(catalogue.chat.name)).status == 200


def test_a_huge_header_is_refused(catalogue: Catalogue, new_caller_of: CallerMaker) -> None:
    caller = new_caller_of(catalogue.chat)
    reply = caller.send("GET", "/v1/models", headers=[*caller.headers(), ("X-Long", "a" * 9000)])
    assert reply.status in (400, 431)


FRAMINGS = {
    "both": "Content-Length: 5\r\nTransfer-Encoding: chunked",
    "both, the other way": "Transfer-Encoding: chunked\r\nContent-Length: 5",
    "two lengths": "Content-Length: 5\r\nContent-Length: 6",
    "a list of lengths": "Content-Length: 5, 6",
    "a signed length": "Content-Length: +5",
    "a negative length": "Content-Length: -1",
    "not chunked at the end": "Transfer-Encoding: chunked, gzip",
    "unknown coding": "Transfer-Encoding: xchunked",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "a space before the colon": "Transfer-Encoding : chunked",
    "a folded line": "X-A: b\r\n Content-Length: 5",
    "hexadecimal": "Content-Length: 0x5",
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_ambiguous_framing_smuggles_no_second_request(
    catalogue: Catalogue, new_caller_of: CallerMaker, name: str
) -> None:
    """RFC 9112, 6.1: refused, or read by its chunks with the connection closed after the answer."""
    caller = new_caller_of(catalogue.chat)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n{FRAMINGS[name]}\r\n"
    head += "".join(f"{header}: {value}\r\n" for header, value in caller.headers()) + "\r\n"
    smuggled = write_request("GET", "/v1/models", headers=caller.headers())
    with connect(caller.port, address=caller.address, timeout_s=5) as connection:
        connection.sendall(head.encode() + b"0\r\n\r\n" + smuggled)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            received = receive_all(connection)
    assert received.count(b"HTTP/1.1 ") == 1, received
    assert received.startswith(b"HTTP/1.1 400"), received


ROUNDS = 30
TRIES = 3


def wrong_secret_of(text: str) -> str:
    """A key with the same public id and another secret, whose checksum is right."""
    forged = text[:16] + make_credential().text[16:-6]
    return forged + checksum(forged)


def keys_that_ended(
    new_caller: Callable[[], Caller], end: Callable[[Caller], None]
) -> Iterator[str]:
    """Keys whose right has ended in this way: new ones each time, as a gateway remembers what it refused."""
    callers = [new_caller() for _ in range(ROUNDS)]
    for caller in callers:
        end(caller)
    yield from (caller.text for caller in callers)


def person_of(caller: Caller) -> User:
    assert isinstance(caller.holder, User)
    return caller.holder


def expire(caller: Caller) -> None:
    ApiKey.objects.filter(pk=caller.key.pk).update(expires_at=in_s(-1))


@pytest.mark.time_limit_s(120)
@pytest.mark.parametrize("route", [("POST", CHAT), ("GET", "/api/v1/me")])
def test_no_key_that_is_refused_is_told_from_an_unknown_one_by_time(
    catalogue: Catalogue, new_caller_of: CallerMaker, route: tuple[str, str]
) -> None:
    caller = new_caller_of(catalogue.chat)
    ends: dict[str, Callable[[Caller], None]] = {
        "revoked": lambda one: revoke_key(one.key, actor=COMMAND, reason="For this test."),
        "ended": expire,
        "of a disabled team": lambda one: disable_team(one.team, actor=COMMAND, reason="A test."),
        "of a deleted account": lambda one: cast(Any, one.holder.delete()),
    }
    ends_of_people: dict[str, Callable[[Caller], None]] = {
        "of a disabled person": lambda one: disable_person(
            person_of(one), actor=COMMAND, reason="A test."
        ),
        "of a person who left": lambda one: remove_member(
            person_of(one).memberships.get(), actor=COMMAND
        ),
    }

    def personal_caller() -> Caller:
        team = new_team()
        return new_caller_of(team=team, holder=new_member(team))

    def differing() -> dict[str, int]:
        """The kinds whose median differs from an unknown key's by more than chance, and by how many microseconds."""
        ended = {kind: list(keys_that_ended(new_caller_of, end)) for kind, end in ends.items()}
        ended |= {
            kind: list(keys_that_ended(personal_caller, end))
            for kind, end in ends_of_people.items()
        }
        unknown = [make_credential().text for _ in range(2 * ROUNDS)]
        kinds = ended | {
            "unknown": unknown[:ROUNDS],
            "unknown again": unknown[ROUNDS:],
            "wrong": [wrong_secret_of(caller.text) for _ in range(ROUNDS)],
            "decoy": [issue_decoy(name="A test", actor=COMMAND).text for _ in range(ROUNDS)],
            "wrong of a revoked one": [wrong_secret_of(text) for text in ended["revoked"]],
        }
        time.sleep(0.7)
        times = refusal_times(caller.port, route, kinds)
        medians = {kind: median(some) for kind, some in times.items()}
        # Two runs of one thing, cut many ways: what their medians differ by is what two medians differ by chance.
        both = times["unknown"] + times["unknown again"]
        base, noise_s = median(both), chance_of(both)
        print(
            {k: round((m - base) * 1e6) for k, m in medians.items()},
            round(noise_s * 1e6),
            round(base * 1e6),
        )
        return {
            kind: round((one - base) * 1e6)
            for kind, one in medians.items()
            if abs(one - base) > noise_s
        }

    # A difference that is there is there again; what another process does to one measurement is not.
    told = differing()
    for _ in range(TRIES - 1):
        if told:
            again = differing()
            told = {kind: us for kind, us in again.items() if kind in told}
    assert not told


def refusal_times(
    port: int, route: tuple[str, str], kinds: dict[str, list[str]]
) -> dict[str, list[float]]:
    """Seconds until each key was refused, the kinds in turn and in an order that changes."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(ROUNDS):
        for kind in random.sample(list(kinds), len(kinds)):
            headers = [("Authorization", f"Bearer {kinds[kind][number]}"), JSON]
            body = b"{}" if route[0] == "POST" else b""
            request = write_request(*route, body, headers=headers)
            with connect(port) as connection:
                started = time.perf_counter()
                connection.sendall(request)
                reply = read_reply(receive_all(connection))
                times[kind].append(time.perf_counter() - started)
            assert (reply.status, b'"invalid_credential"' in reply.body) == (401, True)
    return times


def test_an_unknown_caller_leaves_no_row_and_a_known_one_does(
    catalogue: Catalogue, new_caller_of: CallerMaker
) -> None:
    caller = new_caller_of(catalogue.chat)
    stranger = caller.send("POST", CHAT, b"{}", headers=[JSON])
    refused = caller.post(CHAT, b"{")

    assert find_call(refused.request_id).code == "malformed_body"
    assert not Call.objects.filter(id=uuid.UUID(stranger.request_id)).exists()


def test_a_caller_who_is_refused_for_ever_fills_neither_ledger_nor_log(
    catalogue: Catalogue, gateway: RunningGateway, new_caller_of: CallerMaker
) -> None:
    caller, other = new_caller_of(catalogue.chat), new_caller_of(catalogue.chat)
    started = time.monotonic()
    refused = [caller.post(CHAT, b"{") for _ in range(300)]
    most = BURST + PER_SECOND * (time.monotonic() - started) + 1
    answered = caller.post(CHAT, chat_body(catalogue.chat.name))
    assert {reply.code for reply in refused} == {"malformed_body"}
    assert answered.status == 200

    find_call(answered.request_id)
    assert find_call(other.post(CHAT, b"{").request_id).code == "malformed_body"
    rows = Call.objects.filter(key_id=caller.key.pk, status="refused").count()
    assert BURST <= rows <= most
    told = sum(reply.request_id in gateway.log() for reply in refused)
    # Lines are counted by whole seconds, of which the time may begin and end within one.
    assert told <= most + LINES_PER_SECOND * (time.monotonic() - started + 2)
    deadline = time.monotonic() + SUM_UP_S + 5
    while str(caller.key.pk) not in gateway.log():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = [json.loads(line) for line in gateway.log().splitlines() if str(caller.key.pk) in line]
    assert sum(line["count"] for line in lines) == 300 - rows
