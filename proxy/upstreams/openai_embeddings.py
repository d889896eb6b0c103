"""OpenAI's embeddings: what a request may say, and what its answer says of usage."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall
from proxy.json_object import raw
from proxy.upstreams.openai_chat import ReportedUsage, decide

PATH = b"/embeddings"
ACCEPTED_MEMBERS = frozenset({"model", "input", "encoding_format", "dimensions", "user"})
_TOKENS_PER_INPUT = 8

TokenIds = Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1)]


class _Decided(msgspec.Struct, gc=False):
    model: Annotated[str, Meta(min_length=1, max_length=200)]
    dimensions: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    field.name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(_Decided)
}
_decode_input = msgspec.json.Decoder(str | list[str | int | TokenIds]).decode


def read_call(members: dict[str, msgspec.Raw]) -> ParsedCall:
    """Check the deciding members' types and ranges. Raises: Refusal missing_member or unsupported_value."""
    decided = decide(_decoders, members, required=("model", "input"))
    inputs, token_count = _inputs(members["input"])
    return ParsedCall(
        model=decided["model"],
        members=members,
        counted_bytes=len(bytes(members["input"])) + _TOKENS_PER_INPUT * inputs,
        counts_tokens_itself=token_count > 0,
        inputs=inputs,
    )


def prepare_members(call: ParsedCall, *, upstream_name: str) -> dict[str, msgspec.Raw]:
    return {**call.members, "model": raw(upstream_name)}


def _inputs(value: msgspec.Raw) -> tuple[int, int]:
    """Return how many inputs there are and how many of their members are token ids; the forms may not be mixed."""
    try:
        decoded = _decode_input(value)
    except (msgspec.MsgspecError, RecursionError):
        raise _refused() from None
    if isinstance(decoded, str):
        return 1, 0
    kinds = {type(item) for item in decoded}
    if len(kinds) != 1:
        raise _refused()
    if kinds == {str}:
        return len(decoded), 0
    if kinds == {int}:
        return 1, len(decoded)
    return len(decoded), sum(len(item) for item in decoded if isinstance(item, list))


def _refused() -> Refusal:
    return Refusal(
        Code.UNSUPPORTED_VALUE,
        param="input",
        seen="input is a text, a list of texts, a list of token ids, or a list of such lists.",
    )


class Answer(msgspec.Struct, gc=False):
    """The parts of an answer that the gateway reads."""

    data: list[msgspec.Raw]
    usage: ReportedUsage | UnsetType | None = UNSET


decode_answer = msgspec.json.Decoder(Answer).decode
