"""OpenAI's embeddings: what a request may say, and what its answer says of usage."""

import re
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall
from proxy.json_object import raw
from proxy.upstreams.decider import Decider
from proxy.upstreams.openai_chat import ReportedUsage

PATH = b"/embeddings"
ACCEPTED_MEMBERS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_TOKENS_PER_INPUT = 8
# OpenAI's own bounds.
_INPUTS_MAX = 2048
_TOKEN_IDS_MAX = 300_000

TokenIds = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]


class _Decided(msgspec.Struct, gc=False):
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    dimensions: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


_decide = Decider(_Decided, required=("model", "input"))
_FIRST = re.compile(rb'"|\[[ \t\r\n]*+([-"\[0-9])')
_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
_decode_ids = msgspec.json.Decoder(list[int]).decode
_decode_lists = msgspec.json.Decoder(list[TokenIds]).decode


def read_call(body: bytes, members: dict[str, msgspec.Raw]) -> ParsedCall:
    """Check the deciding members' types and ranges. Raises: Refusal missing_member or unsupported_value."""
    decided = _decide(body, members)
    inputs, token_count = _inputs(members["input"])
    return ParsedCall(
        model=decided.model,
        members=members,
        counted_bytes=len(memoryview(members["input"])) + _TOKENS_PER_INPUT * inputs,
        counts_tokens_itself=token_count > 0,
        inputs=inputs,
    )


def prepare_members(call: ParsedCall, *, upstream_name: str) -> dict[str, msgspec.Raw]:
    return {**call.members, "model": raw(upstream_name)}


def _inputs(value: msgspec.Raw) -> tuple[int, int]:
    """Return how many inputs there are and how many of their members are token ids; the forms may not be mixed."""
    data = bytes(value)
    first = _FIRST.match(data)
    if first is None:
        raise _refused()
    try:
        return _count(data, first[1])
    except (msgspec.MsgspecError, RecursionError):
        raise _refused() from None


def _count(data: bytes, first: bytes | None) -> tuple[int, int]:
    """Count by the first member's form. Texts and lists are few by the body's own bounds; token ids are counted first."""
    if first is None:
        _decode_text(data)
        return 1, 0
    if first == b'"':
        return _bounded(len(_decode_texts(data)), 0)
    if data.count(b",") >= _TOKEN_IDS_MAX:
        raise _too_many()
    if first != b"[":
        return 1, len(_decode_ids(data))
    lists = _decode_lists(data)
    return _bounded(len(lists), sum(map(len, lists)))


def _bounded(inputs: int, token_ids: int) -> tuple[int, int]:
    if inputs > _INPUTS_MAX:
        raise _too_many()
    return inputs, token_ids


def _too_many() -> Refusal:
    return Refusal(
        Code.UNSUPPORTED_VALUE,
        param="input",
        seen=f"input holds at most {_INPUTS_MAX} inputs and {_TOKEN_IDS_MAX} token ids.",
    )


def _refused() -> Refusal:
    return Refusal(
        Code.UNSUPPORTED_VALUE,
        param="input",
        seen="input is a text, a list of texts, a list of token ids, or a list of such lists.",
    )


class Answer(msgspec.Struct, gc=False):
    """The parts of an answer that the gateway reads."""

    data: msgspec.Raw
    usage: ReportedUsage | UnsetType | None = UNSET


_decode_answer = msgspec.json.Decoder(Answer).decode


def decode_answer(body: bytes) -> Answer:
    """Read what an answer says of itself; its vectors are not looked into. Raises: MsgspecError."""
    answer = _decode_answer(body)
    if bytes(memoryview(answer.data)[:1]) != b"[":
        raise msgspec.ValidationError("data is no list")
    return answer
