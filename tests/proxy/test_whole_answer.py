"""A whole answer is read alike however large it is, holds nothing up for long, and repeats no credential."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.json_outline import SLICE_BYTES
from proxy.running_call import RunningCall
from proxy.whole_answer import PARTS_MAX, VALUES_MAX, read_slices, text_pieces
from tests.proxy.principals import a_head, a_principal, a_route

SECRET = "sk-upstream-Qm4Zt8Wc2Vb6Nx1K"
ROUTE = a_route(credential=SECRET)
PAD = "x" * (SLICE_BYTES + 7)
JSON_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


class Read:
    """An answer as it was read: what the caller gets, what was noted, and how long each slice took."""

    def __init__(self, body: bytes, *, kind: CallKind = CallKind.CHAT) -> None:
        self.slices_s: list[float] = []
        self.body = asyncio.run(self._read(body, kind))

    async def _read(self, body: bytes, kind: CallKind) -> bytes:
        self.running = RunningCall(a_head(kind=kind), a_principal())
        slices = read_slices(self.running, body, ROUTE)
        while True:
            started = time.thread_time()
            try:
                next(slices)
            except StopIteration as done:
                read: bytes = done.value
                return read
            finally:
                self.slices_s.append(time.thread_time() - started)


def completion(*messages: dict[str, Any], **members: Any) -> bytes:
    choices = [{"index": at, "message": message} for at, message in enumerate(messages)]
    body = {"model": "upstream", "choices": choices} | members
    return json.dumps(body, ensure_ascii=False).encode()


def refused(body: bytes, *, kind: CallKind = CallKind.CHAT) -> Code:
    with pytest.raises(Refusal) as caught:
        Read(body, kind=kind)
    return caught.value.code


MESSAGES: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Good day."},
    {"role": "assistant", "content": 'a\\n"é研😀\u0007'},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": "{}"}}]},
    {"reasoning": "Because.", "reasoning_content": "Because.", "content": "Yes."},
    {"reasoning_content": "Because.", "content": ["a", {"b": "c"}]},
]


@pytest.mark.parametrize("message", MESSAGES, ids=str)
def test_large_answer_counts_like_a_small_one(message: dict[str, Any]) -> None:
    small = Read(completion(message))
    large = Read(completion(message, system_fingerprint=PAD))
    assert large.running.output_bytes == small.running.output_bytes > 0
    assert large.running.output_events == small.running.output_events == 1
    assert len(large.slices_s) > len(small.slices_s) == 1
    for read in (small, large):
        assert json.loads(read.body)["model"] == ROUTE.name
        assert json.loads(read.body)["choices"][0]["message"] == message


@pytest.mark.parametrize("text", ["a", "é", "研", "😀", '"', "\\", "\n", "\u0007"])
@pytest.mark.parametrize("is_escaped", [False, True])
def test_long_text_counts_by_what_it_says(text: str, is_escaped: bool) -> None:
    long = text * (3 * SLICE_BYTES // len(text.encode()))
    body = json.dumps({"choices": [{"message": {"content": long}}]}, ensure_ascii=is_escaped)
    read = Read(body.encode())
    assert read.running.output_bytes == len(long.encode())


def test_usage_that_is_reported_is_noted_of_a_large_answer() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 5}
    for body, kind in (
        (completion({"content": PAD}, usage=usage), CallKind.CHAT),
        (json.dumps({"data": [PAD], "usage": usage}).encode(), CallKind.EMBEDDINGS),
    ):
        noted = Read(body, kind=kind).running.usage
        assert noted is not None
        assert noted.input_tokens == 3


HALF = SECRET[:14]


def echoes() -> Iterator[tuple[str, bytes]]:
    for offset in (*range(-len(SECRET), 3), SLICE_BYTES // 2):
        whole = "x" * (2 * SLICE_BYTES + offset) + SECRET + PAD
        yield f"whole at {offset}", completion({"content": "a"}, fingerprint=whole)
        half = "x" * (SLICE_BYTES + offset) + HALF + PAD
        yield f"half at {offset}", completion({"content": half})
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    yield (
        "escaped",
        b'{"choices":[{"message":{"content":"%b%b"}}]}'
        % (
            PAD.encode(),
            escaped.encode(),
        ),
    )
    arguments = {"tool_calls": [{"function": {"arguments": PAD + HALF}}]}
    yield "in a call of a tool", completion(arguments)


@pytest.mark.parametrize(("where", "body"), [*echoes()], ids=lambda value: str(value)[:30])
def test_large_answer_that_repeats_the_credential_is_refused(where: str, body: bytes) -> None:
    assert refused(body) is Code.UPSTREAM_NONSENSE, where
    harmless = body.replace(SECRET.encode(), b"y" * len(SECRET)).replace(HALF.encode(), b"y" * 14)
    if where != "escaped":
        assert Read(harmless).body


@given(JSON_TEXT, st.integers(1, 9))
def test_pieces_of_a_text_say_the_same_one_after_the_other(text: str, size: int) -> None:
    for written in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
        pieces = [
            msgspec.json.decode(piece) for piece in text_pieces(written.encode(), piece_bytes=size)
        ]
        assert "".join(pieces) == text


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80"])
@pytest.mark.parametrize("place", ["first", "last", "at the seam"])
def test_large_answer_that_is_not_utf_8_is_nonsense(bad: bytes, place: str) -> None:
    before = {"first": 0, "last": len(PAD), "at the seam": SLICE_BYTES - 30}[place]
    good = b'{"choices":[],"x":"%b%b"}' % (b"x" * before, PAD.encode())
    assert Read(good).body
    assert refused(good[: 19 + before] + bad + good[19 + before :]) is Code.UPSTREAM_NONSENSE


def fill(start: bytes, unit: bytes, end: bytes) -> bytes:
    return start + unit * ((8 * 1024 * 1024 - len(start) - len(end)) // len(unit)) + end


CROWDS = {
    "choices": fill(b'{"choices":[', b"{},", b"{}]}"),
    "names of a message": fill(b'{"choices":[{"message":{', b'"a":1,', b'"a":1}}]}'),
    "names at the top": fill(b'{"choices":[],', b'"a":1,', b'"a":1}'),
    "deep": fill(b'{"choices":[],"x":', b"[", b""),
    "calls of tools": fill(b'{"choices":[{"message":{"tool_calls":[', b"{},", b"{}]}}]}"),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_answer_of_too_many_parts_is_nonsense(crowd: str) -> None:
    assert refused(CROWDS[crowd]) is Code.UPSTREAM_NONSENSE


def test_answer_of_too_many_values_is_nonsense() -> None:
    for count, is_accepted in ((VALUES_MAX, True), (VALUES_MAX + 10, False)):
        body = b'{"data":[%b1]}' % (b"1," * count)
        if is_accepted:
            assert Read(body, kind=CallKind.EMBEDDINGS).body
        else:
            assert refused(body, kind=CallKind.EMBEDDINGS) is Code.UPSTREAM_NONSENSE


def test_log_probabilities_may_be_many() -> None:
    token = b'{"token":"a","logprob":-0.12,"top_logprobs":[{"token":"a","logprob":-0.12}]},'
    body = fill(b'{"choices":[{"message":{"content":"a"},"logprobs":{"content":[', token, b"1]}}]}")
    assert body.count(b"{") > PARTS_MAX
    assert Read(body).running.output_bytes == 1


def test_no_list_of_vectors_is_nonsense_and_any_list_is_one() -> None:
    for data in ("{}", "1", "null", '"a"'):
        assert refused(b'{"data":%b}' % data.encode(), kind=CallKind.EMBEDDINGS) is (
            Code.UPSTREAM_NONSENSE
        )
    assert Read(b'{"data": [1, {}]}', kind=CallKind.EMBEDDINGS).body
    assert Read(fill(b'{"data":[', b"1,", b"1]}"), kind=CallKind.EMBEDDINGS).body
