"""OpenAI's chat completions: what a request may say, and what its answers say of usage."""

from typing import Annotated, Any, TypeGuard

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall, Usage
from proxy.json_object import raw

PATH = b"/chat/completions"
ACCEPTED_MEMBERS = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n",
        "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
        "top_logprobs", "seed", "user", "response_format", "tools", "tool_choice", "parallel_tool_calls",
        "functions", "function_call", "reasoning_effort", "verbosity", "modalities", "prediction",
        "safety_identifier", "prompt_cache_key",
    }
)  # fmt: skip
_PLAIN_PARTS = frozenset({"text", "refusal"})
_TOKENS_PER_MESSAGE = 16
_MESSAGES_MAX = 4096
_PARTS_MAX = 1024
_TOOLS_MAX = 512
_MODALITIES_BYTES_MAX = 1024
_NOTHING = (b"null", b"[]", b"{}")
_decode_text = msgspec.json.Decoder(str).decode
# No call uses more. An upstream may claim anything, and what it claims is added up in limits and in the ledger.
_CLAIMED_TOKENS_MAX = 1_000_000_000

Tokens = Annotated[int, Meta(ge=1, le=10_000_000)]


class _Part(msgspec.Struct, gc=False):
    type: str
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: Annotated[str, Meta(max_length=20)]
    content: str | Annotated[list[_Part], Meta(max_length=_PARTS_MAX)] | None = None
    audio: msgspec.Raw | UnsetType = UNSET


class _Tool(msgspec.Struct, gc=False):
    type: str


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Decided(msgspec.Struct, gc=False):
    """The members the gateway decides on; the rest is the upstream's to judge."""

    model: Annotated[str, Meta(min_length=1, max_length=200)]
    messages: Annotated[list[_Message], Meta(min_length=1, max_length=_MESSAGES_MAX)]
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    tools: Annotated[list[_Tool], Meta(max_length=_TOOLS_MAX)] | None = None
    modalities: list[str] | None = None


_NAMES = _Decided.__struct_fields__
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    field.name: msgspec.json.Decoder(field.type) for field in msgspec.structs.fields(_Decided)
}


def read_call(members: dict[str, msgspec.Raw]) -> ParsedCall:
    """Check the deciding members' types and ranges. Raises: Refusal missing_member or unsupported_value."""
    if len(memoryview(members.get("modalities", b""))) > _MODALITIES_BYTES_MAX:
        raise Refusal(Code.UNSUPPORTED_VALUE, param="modalities", seen="It is too long.")
    decided = decide(_decoders, members, required=("model", "messages"))
    asked = [decided.get("max_tokens"), decided.get("max_completion_tokens")]
    if None not in asked:
        raise Refusal(
            Code.UNSUPPORTED_VALUE,
            param="max_tokens",
            seen="Send max_tokens or max_completion_tokens, not both.",
        )
    stream = bool(decided.get("stream"))
    options = decided.get("stream_options")
    if options is not None and not stream:
        raise Refusal(Code.UNSUPPORTED_VALUE, param="stream_options", seen="It needs stream=true.")
    messages: list[_Message] = decided["messages"]
    return ParsedCall(
        model=decided["model"],
        members=members,
        stream=stream,
        wants_usage=options is not None and bool(options.include_usage),
        output_cap=asked[0] or asked[1],
        choices=decided.get("n") or 1,
        counted_bytes=sum(len(memoryview(value)) for value in members.values())
        + _TOKENS_PER_MESSAGE * len(messages),
        reaches_out=_reaches_out(decided, messages),
    )


def decide(
    decoders: dict[str, msgspec.json.Decoder[Any]],
    members: dict[str, msgspec.Raw],
    *,
    required: tuple[str, ...],
) -> dict[str, Any]:
    """Decode the members that have a decoder; errors name the member and what it accepts, never its value."""
    for name in required:
        if name not in members:
            raise Refusal(Code.MISSING_MEMBER, param=name, seen=f"It needs {name}.")
    decided: dict[str, Any] = {}
    for name, decoder in decoders.items():
        value = members.get(name)
        if value is not None:
            try:
                decided[name] = decoder.decode(value)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise Refusal(Code.UNSUPPORTED_VALUE, param=name, seen=_said(name, error)) from None
    return decided


def prepare_members(
    call: ParsedCall, *, upstream_name: str, cap_member: str, output_cap: int
) -> dict[str, msgspec.Raw]:
    """The members as the upstream gets them: its own name for the model, the output capped, usage asked for."""
    members = dict(call.members)
    members["model"] = raw(upstream_name)
    members.pop("max_tokens", None)
    members.pop("max_completion_tokens", None)
    members[cap_member] = raw(output_cap)
    if call.stream:
        members["stream_options"] = raw({"include_usage": True})
    return members


def _reaches_out(decided: dict[str, Any], messages: list[_Message]) -> bool:
    """Whether any part names content that is not in the body: an image's address, a file's id, a hosted tool."""
    if any(tool.type != "function" for tool in decided.get("tools") or ()):
        return True
    if any(kind != "text" for kind in decided.get("modalities") or ()):
        return True
    return any(
        is_given(message.audio)
        or (
            isinstance(message.content, list)
            and any(part.type not in _PLAIN_PARTS for part in message.content)
        )
        for message in messages
    )


def is_given(member: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """Whether a member is there and not null. `Raw | None` would not do: msgspec then takes null alone."""
    return member is not UNSET and bytes(member) != b"null"


def _said(name: str, error: Exception) -> str:
    """Quote the decoder, which says which type it expected and where; it quotes names and types, not values."""
    return f"{name}: {error}."[:300]


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | float | None = None
    reasoning_tokens: int | float | None = None


class ReportedUsage(msgspec.Struct, gc=False):
    """An answer's usage as upstreams report it: some write 12.0, and some null."""

    prompt_tokens: int | float | None = 0
    completion_tokens: int | float | None = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def to_usage(self) -> Usage:
        """Return it with every count at least 0 and every part at most its whole, whatever was claimed."""
        input_tokens, output_tokens = _bounded(self.prompt_tokens), _bounded(self.completion_tokens)
        cached = (self.prompt_tokens_details or _Details()).cached_tokens
        reasoning = (self.completion_tokens_details or _Details()).reasoning_tokens
        return Usage(
            input_tokens=input_tokens,
            cached_tokens=min(_bounded(cached), input_tokens),
            output_tokens=output_tokens,
            reasoning_tokens=min(_bounded(reasoning), output_tokens),
        )


def _bounded(claimed: float | None) -> int:
    return int(min(max(0, claimed or 0), _CLAIMED_TOKENS_MAX))


Said = dict[str, msgspec.Raw]


def text_bytes(said: Said) -> int:
    """Bytes of whatever a delta or a message carries beside its role, under names known here or not.

    Some servers say their reasoning twice, under an old and a new name.
    """
    total = 0
    for name, value in said.items():
        if name != "role" and not (name == "reasoning_content" and "reasoning" in said):
            total += _bytes_of(bytes(value))
    return total


def _bytes_of(value: bytes) -> int:
    if not value.isascii():
        # Raw members are not looked into, and what is not UTF-8 must not pass as text.
        value.decode("utf-8")
    if not value.startswith(b'"'):
        return 0 if value in _NOTHING else len(value)
    return len(plain_bytes(value))


def plain_bytes(text: bytes) -> bytes:
    """Return what a JSON text stands for."""
    return text[1:-1] if b"\\" not in text else _decode_text(text).encode("utf-8", "replace")


class Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: Said | None = None
    message: Said | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One streamed event, or a whole answer: the parts that the gateway reads."""

    choices: list[Choice] = []
    usage: ReportedUsage | UnsetType | None = UNSET
    error: msgspec.Raw | UnsetType = UNSET


decode_chunk = msgspec.json.Decoder(Chunk).decode
