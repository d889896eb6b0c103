"""Every fault breaks exactly what it says, seen through raw sockets."""

import json
import socket
import time
from pathlib import Path

import openai
import pytest
from openai import OpenAI

import demo
from demo.directive import Fault
from demo.faults import BREAKERS
from tests.demo.conftest import KEY, Upstream, write_chat, write_request

PATH = "/v1/chat/completions"


def send(upstream: Upstream, words: str, **members: object) -> bytes:
    body = write_chat(f"Hello [[demo {words}]]", **members)
    return upstream.exchange(write_request("POST", PATH, body))


def read_until_silence(connection: socket.socket, received: bytearray) -> None:
    while data := connection.recv(65_536):
        received += data


def find_call(upstream: Upstream, marker: str) -> list[dict[str, object]]:
    reply = upstream.exchange(write_request("GET", "/demo/counts"))
    calls = json.loads(reply.partition(b"\r\n\r\n")[2])["calls"]
    return [call for call in calls if call["marker"] == marker]


def test_cut_strikes_at_every_byte_it_is_told(upstream: Upstream) -> None:
    whole = send(upstream, "chunks=1 at_byte=999999 fault=cut", stream=True)
    assert whole.endswith(b"0\r\n\r\n")
    for at_byte in range(0, len(whole) - 1, 97):
        reply = send(upstream, f"chunks=1 at_byte={at_byte} fault=cut", stream=True)
        assert len(reply) == at_byte


def test_cut_without_a_place_leaves_half_of_the_body_or_of_the_head(upstream: Upstream) -> None:
    head, _, body = send(upstream, "fault=cut").partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(body) == length // 2
    cut_head = send(upstream, "fault=cut_head")
    assert cut_head.startswith(b"HTTP/1.1 200 OK")
    assert b"\r\n\r\n" not in cut_head


def test_reset_sends_rst_before_anything_or_after_some_bytes(upstream: Upstream) -> None:
    with pytest.raises(ConnectionResetError):
        send(upstream, "fault=reset")
    address = ("127.0.0.1", upstream.port)
    with socket.create_connection(address, 5) as connection:
        body = write_chat("[[demo fault=reset at_byte=8]]")
        connection.sendall(write_request("POST", PATH, body))
        assert connection.recv(100) == b"HTTP/1.1"
        with pytest.raises(ConnectionResetError):
            connection.recv(100)


@pytest.mark.parametrize(("fault", "starts"), [("hang", b""), ("stall", b"HTTP/1.1 200")])
def test_silence_lasts_until_the_client_leaves_and_is_counted(
    upstream: Upstream, fault: str, starts: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", upstream.port), 0.3) as connection:
        body = write_chat(f"[[demo fault={fault} marker={fault}]]")
        connection.sendall(write_request("POST", PATH, body))
        received = bytearray()
        with pytest.raises(TimeoutError):
            read_until_silence(connection, received)
        assert received[:12] == starts
        assert find_call(upstream, fault)[0]["outcome"] == "open"
    deadline = time.monotonic() + 5
    while find_call(upstream, fault)[0]["outcome"] != "client_left":
        assert time.monotonic() < deadline


def test_garbage_html_gzip_and_redirect_are_what_they_say(upstream: Upstream) -> None:
    assert send(upstream, "fault=garbage").startswith(b"\x00\xff")
    assert b"content-type: text/html" in send(upstream, "fault=html")
    assert b"content-encoding: gzip" in send(upstream, "fault=gzip")
    reply = send(upstream, "fault=redirect location=http://127.0.0.1:9/elsewhere")
    assert reply.startswith(b"HTTP/1.1 307 ")
    assert b"location: http://127.0.0.1:9/elsewhere\r\n" in reply


def test_followed_redirect_is_counted(upstream: Upstream) -> None:
    upstream.exchange(write_request("GET", "/demo/redirected"))
    calls = find_call(upstream, "")
    assert "/demo/redirected" in [call["path"] for call in calls]


def test_slow_head_comes_byte_by_byte(upstream: Upstream) -> None:
    started = time.monotonic()
    assert b"demonstration model" in send(upstream, "fault=slow_head chunk_delay_s=0.002")
    assert time.monotonic() - started > 0.3


def test_huge_answers_have_the_size_that_was_asked(upstream: Upstream) -> None:
    declared = send(upstream, "fault=huge_declared size_bytes=3000000")
    assert len(declared.partition(b"\r\n\r\n")[2]) == 3_000_000
    streamed = send(upstream, "fault=huge size_bytes=3000000", stream=True)
    assert b"event-stream" in streamed
    assert b"\n\ndata" not in streamed
    assert 3_000_000 < len(streamed) < 3_010_000


def test_broken_content_stays_good_http(upstream: Upstream, client: OpenAI) -> None:
    body = send(upstream, "fault=bad_json").partition(b"\r\n\r\n")[2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    streamed = send(upstream, "fault=bad_json", stream=True)
    assert b'"choices": [{\n\n' in streamed
    assert streamed.count(b"data: [DONE]") == 1
    assert b"[DONE]" not in send(upstream, "fault=no_done", stream=True)
    with pytest.raises(openai.APIError, match="broken off"):
        list(
            client.chat.completions.create(
                model="demo-chat",
                messages=[{"role": "user", "content": "[[demo fault=error_mid]]"}],
                stream=True,
            )
        )


def test_usage_can_be_missing_null_or_a_lie(upstream: Upstream) -> None:
    def read_usage(words: str) -> object:
        return json.loads(send(upstream, words).partition(b"\r\n\r\n")[2]).get("usage", "missing")

    assert read_usage("fault=no_usage") == "missing"
    assert read_usage("fault=usage_null") is None
    lie = read_usage("usage_prompt=-5 usage_completion=7 usage_cached=3")
    assert isinstance(lie, dict)
    assert (lie["prompt_tokens"], lie["completion_tokens"], lie["total_tokens"]) == (-5, 7, 2)
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    assert b"usage" not in send(upstream, "fault=no_usage", **asked)


def test_received_headers_and_credential_are_told_on_request(upstream: Upstream) -> None:
    reply = json.loads(send(upstream, "fault=echo_headers").partition(b"\r\n\r\n")[2])
    headers = json.loads(reply["choices"][0]["message"]["content"])
    assert headers["authorization"] == f"Bearer {KEY}"
    leak = send(upstream, "fault=leak_key")
    assert leak.startswith(b"HTTP/1.1 500 ")
    assert leak.count(KEY.encode()) == 3


def test_every_fault_is_documented_and_those_of_the_wire_have_a_breaker() -> None:
    text = (Path(demo.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert [fault for fault in Fault if f"| `{fault}` |" not in text] == []
    of_the_content = {
        Fault.BAD_JSON, Fault.NO_USAGE, Fault.USAGE_NULL, Fault.NO_DONE, Fault.ERROR_MID,
        Fault.ECHO_HEADERS, Fault.LEAK_KEY,
    }  # fmt: skip
    assert set(Fault) - set(BREAKERS) == of_the_content
