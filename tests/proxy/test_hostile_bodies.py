"""No body of the size accepted by default holds up the other calls of its process for long."""

import time
from contextlib import suppress

import pytest

from proxy.call import CallKind
from proxy.errors import Refusal
from proxy.parse import parse_body

DEFAULT_MAX_BYTES = 8 * 1024 * 1024
# 50 ms on an idle core; machines that run tests are busy ones. Before there were bounds it was up to two seconds.
BOUND_S = 0.05 * 6
CHAT = b'{"model":"m","messages":[{"role":"user","content":"a"}],'
INPUT = b'{"model":"m","input":['


def fill(start: bytes, unit: bytes, end: bytes) -> bytes:
    """As often the unit as fits."""
    return start + unit * ((DEFAULT_MAX_BYTES - len(start) - len(end)) // len(unit)) + end


CHATS = {
    "members": CHAT + b",".join(b'"%d":1' % n for n in range(700_000)) + b"}",
    "one member": fill(CHAT, b'"a":1,', b'"a":1}'),
    "long names": CHAT + b",".join(b'"%d%s":1' % (n, b"\\u0061" * 9000) for n in range(140)) + b"}",
    "texts, then brackets": fill(CHAT + b'"user":[', b'"",', b"[" * 100),
    "brackets in texts": fill(CHAT + b'"user":[', b'"[",', b'""]}'),
    "texts of escapes": fill(CHAT + b'"user":["[' + b"[" * 70, b'\\"', b'"]}'),
    "lists": fill(CHAT + b'"user":[', b"[1],", b"[1]]}"),
    "objects": fill(CHAT + b'"user":[', b'{"a":1},', b"1]}"),
    "towers": fill(CHAT + b'"user":[', b"[" * 60 + b"]" * 60 + b",", b"1]}"),
    "messages": fill(b'{"model":"m","messages":[', b'{"role":""},', b'{"role":""}]}'),
    "parts": fill(b'{"model":"m","messages":[{"role":"","content":[', b'{"type":""},', b"1]}]}"),
    "tools": fill(CHAT + b'"tools":[', b'{"type":""},', b'{"type":""}]}'),
    "modalities": fill(CHAT + b'"modalities":[', b'"",', b'""]}'),
    "a thousand deep": CHAT + b'"user":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "very deep": CHAT + b'"user":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "never closed": fill(CHAT + b'"user":', b"[", b""),
}
EMBEDDINGS = {
    "texts": fill(INPUT, b'"",', b'""]}'),
    "ids": fill(INPUT, b"1,", b"1]}"),
    "mixed": fill(INPUT + b'"",', b"1,", b"1]}"),
    "lists": fill(INPUT, b"[1],", b"[1]]}"),
    "long lists": INPUT + b",".join([b"[" + b"1," * 2000 + b"1]"] * 2000) + b"]}",
    "escapes": fill(INPUT, b'"\\"",', b'""]}'),
}


def parse_s(kind: CallKind, body: bytes) -> float:
    """Seconds of this thread, the least of three tries."""
    tries = []
    for _ in range(3):
        started = time.thread_time()
        with suppress(Refusal):
            parse_body(kind, body)
        tries.append(time.thread_time() - started)
    return min(tries)


@pytest.mark.parametrize("shape", CHATS)
def test_no_chat_takes_long_to_read(shape: str) -> None:
    assert len(CHATS[shape]) <= DEFAULT_MAX_BYTES
    assert parse_s(CallKind.CHAT, CHATS[shape]) < BOUND_S


@pytest.mark.parametrize("shape", EMBEDDINGS)
def test_no_embedding_takes_long_to_read(shape: str) -> None:
    assert len(EMBEDDINGS[shape]) <= DEFAULT_MAX_BYTES
    assert parse_s(CallKind.EMBEDDINGS, EMBEDDINGS[shape]) < BOUND_S


def refused(kind: CallKind, body: bytes) -> str:
    with pytest.raises(Refusal) as caught:
        parse_body(kind, body)
    return caught.value.code.code


@pytest.mark.parametrize(
    ("start", "unit", "end", "most"),
    [
        (b'{"model":"m","messages":[', b'{"role":"a"}', b"]}", 4096),
        (b'{"model":"m","messages":[{"role":"a","content":[', b'{"type":"text"}', b"]}]}", 1024),
        (CHAT + b'"tools":[', b'{"type":"function"}', b"]}", 512),
    ],
)
def test_a_chat_holds_so_many_and_no_more(start: bytes, unit: bytes, end: bytes, most: int) -> None:
    parse_body(CallKind.CHAT, start + b",".join([unit] * most) + end)
    more = start + b",".join([unit] * (most + 1)) + end
    assert refused(CallKind.CHAT, more) == "unsupported_value"


@pytest.mark.parametrize(
    ("unit", "most"), [(b'"\\"[,\\\\"', 2048), (b"[1, 2]", 2048), (b"7", 300_000)]
)
def test_embeddings_hold_so_many_and_no_more(unit: bytes, most: int) -> None:
    end = b" ]}"
    call = parse_body(CallKind.EMBEDDINGS, INPUT + b" " + b", ".join([unit] * most) + end)
    assert call.inputs == (1 if unit == b"7" else most)
    more = INPUT + b",".join([unit] * (most + 1)) + end
    assert refused(CallKind.EMBEDDINGS, more) == "unsupported_value"


@pytest.mark.parametrize(
    "value",
    [b"[]", b"null", b"1", b"{}", b'[1,"a"]', b'["a",1]', b"[[1],1]", b"[[]]", b"[1.5]", b"[[-1]]",
     b"[[[1]]]", b"[null]", b'["a",["b"]]', b"[true]"],
)  # fmt: skip
def test_an_input_of_no_one_form_is_refused(value: bytes) -> None:
    body = b'{"model":"m","input":' + value + b"}"
    assert refused(CallKind.EMBEDDINGS, body) == "unsupported_value"
