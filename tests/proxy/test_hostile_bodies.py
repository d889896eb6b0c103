"""No body of the size accepted by default holds up the other calls of its process for long."""

import asyncio

import pytest

from bench.bodies import slices_s
from bench.body_shapes import CHAT, CHATS, DEFAULT_MAX_BYTES, EMBEDDINGS, INPUT
from proxy.call import CallKind
from proxy.errors import Refusal
from proxy.json_outline import SLICE_BYTES
from proxy.parse import parse_body, parse_slices
from proxy.turns import in_turns

# 50 ms on an idle core; machines that run tests are busy ones. Before there were bounds it was up to two seconds.
BOUND_S = 0.05 * 4
WHOLE_BOUND_S = 0.5


def parse_s(kind: CallKind, body: bytes) -> tuple[float, float]:
    """Seconds of this thread for the longest slice and for the whole, the least of three tries."""
    tries = [[*slices_s(kind, body)] for _ in range(3)]
    return min(map(max, tries)), min(map(sum, tries))


SHAPES = {CallKind.CHAT: CHATS, CallKind.EMBEDDINGS: EMBEDDINGS}


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for kind, bodies in SHAPES.items() for shape in bodies],
    ids=lambda value: value.value if isinstance(value, CallKind) else value,
)
def test_no_body_holds_others_up(kind: CallKind, shape: str) -> None:
    body = SHAPES[kind][shape]
    assert len(body) <= DEFAULT_MAX_BYTES
    longest, whole = parse_s(kind, body)
    assert longest < BOUND_S
    assert whole < WHOLE_BOUND_S


@pytest.mark.parametrize("shape", ["plain text", "as many parts as there may be"])
async def test_others_have_their_turn_while_a_body_is_read(shape: str) -> None:
    body, turns = CHATS[shape], 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    call = await in_turns(parse_slices(CallKind.CHAT, body))
    other.cancel()
    assert call == parse_body(CallKind.CHAT, body)
    assert turns >= len(body) // SLICE_BYTES


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
