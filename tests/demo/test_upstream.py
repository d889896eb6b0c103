"""The process: counting, framing, HTTP/1.0, pipelining and its end."""

import json
import signal

from tests.demo.conftest import KEY, Upstream, run_upstream, write_chat, write_request

PATH = "/v1/chat/completions"


def read_counts(upstream: Upstream) -> dict[str, object]:
    reply = upstream.exchange(write_request("GET", "/demo/counts"))
    counts: dict[str, object] = json.loads(reply.partition(b"\r\n\r\n")[2])
    return counts


def test_every_call_gets_a_number_until_the_counts_are_reset() -> None:
    with run_upstream() as upstream:
        for marker in ("first", "second"):
            body = write_chat(f"[[demo marker={marker}]]")
            upstream.exchange(write_request("POST", PATH, body))
        upstream.exchange(write_request("POST", PATH, b"{}", key="wrong"))
        upstream.exchange(write_request("GET", "/v1/models"))
        counts = read_counts(upstream)
        calls = counts["calls"]
        assert isinstance(calls, list)
        assert [(call["n"], call["marker"]) for call in calls] == [(1, "first"), (2, "second")]
        assert {call["outcome"] for call in calls} == {"answered"}
        upstream.exchange(write_request("POST", "/demo/reset"))
        assert read_counts(upstream) == {"total": 0, "forgotten": 0, "calls": []}


def test_pipelined_requests_are_answered_in_order(upstream: Upstream) -> None:
    slow = write_request("POST", PATH, write_chat("one [[demo delay_s=0.2]]"))
    slow = slow.replace(b"Connection: close", b"Connection: keep-alive")
    reply = upstream.exchange(slow + write_request("POST", PATH, write_chat("two")))
    assert 0 < reply.index(b"You said: one") < reply.index(b"You said: two")


def test_http_1_0_stream_is_not_chunked_and_ends_by_closing(upstream: Upstream) -> None:
    request = write_request("POST", PATH, write_chat("Hello", stream=True))
    reply = upstream.exchange(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b"transfer-encoding" not in reply
    assert reply.endswith(b"data: [DONE]\n\n")


def test_what_cannot_be_read_is_refused_in_the_envelope(upstream: Upstream) -> None:
    for request, status in [
        (b"nonsense\r\n\r\n", b"400"),
        (write_request("POST", PATH, b"{"), b"400"),
        (write_request("POST", PATH, b"[" * 100_000), b"400"),
        (write_request("GET", PATH), b"405"),
        (write_request("GET", "/elsewhere"), b"404"),
        (write_request("GET", "/v1/models", key="wrong"), b"401"),
    ]:
        head, _, body = upstream.exchange(request).partition(b"\r\n\r\n")
        assert head.split()[1] == status
        assert b"server: latchkey-demonstration-upstream" in head
        assert json.loads(body)["error"]["message"].startswith("Latchkey's demonstration")
        assert KEY.encode() not in body


def test_process_ends_well_when_it_is_told_to() -> None:
    with run_upstream() as upstream:
        upstream.process.send_signal(signal.SIGTERM)
        assert upstream.process.wait(timeout=5) == 0
