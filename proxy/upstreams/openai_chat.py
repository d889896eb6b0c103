"""OpenAI's chat completions: what a request may say, and what its answers say of usage."""

from typing import Annotated, TypeGuard

import msgspec
from msgspec import UNSET, Meta, UnsetType

from proxy.errors import Code, Refusal
from proxy.exchange import ParsedCall, Usage
from proxy.json_object import decode_members, raw
from proxy.upstreams.decider import Decider

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


_decide = Decider(_Decided, required=("model", "messages"))


def read_call(body: bytes, members: dict[str, msgspec.Raw]) -> ParsedCall:
    """Check the deciding members' types and ranges. Raises: Refusal missing_member or unsupported_value."""
    if len(memoryview(members.get("modalities", b""))) > _MODALITIES_BYTES_MAX:
        raise Refusal(Code.UNSUPPORTED_VALUE, param="modalities", seen="It is too long.")
    decided = _decide(body, members)
    if decided.max_tokens is not None and decided.max_completion_tokens is not None:
        raise Refusal(
            Code.UNSUPPORTED_VALUE,
            param="max_tokens",
            seen="Send max_tokens or max_completion_tokens, not both.",
        )
    stream = decided.stream is True
    options = decided.stream_options
    if options is not None and not stream:
        raise Refusal(Code.UNSUPPORTED_VALUE, param="stream_options", seen="It needs stream=true.")
    return ParsedCall(
        model=decided.model,
        members=members,
        stream=stream,
        wants_usage=options is not None and options.include_usage is True,
        output_cap=decided.max_tokens or decided.max_completion_tokens,
        choices=decided.n or 1,
        counted_bytes=sum([len(memoryview(value)) for value in members.values()])
        + _TOKENS_PER_MESSAGE * len(decided.messages),
        reaches_out=_reaches_out(decided),
    )


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
        members["stream_options"] = _asking_for_usage(members.get("stream_options"))
    return members


def _asking_for_usage(options: msgspec.Raw | None) -> msgspec.Raw:
    """The caller's options of a stream, and usage asked for whatever they say of it."""
    given = {} if options is None or bytes(options) == b"null" else decode_members(options)
    return raw({**given, "include_usage": True})


def _reaches_out(decided: _Decided) -> bool:
    """Whether any part names content that is not in the body: an image's address, a file's id, a hosted tool."""
    for tool in decided.tools or ():
        if tool.type != "function":
            return True
    for kind in decided.modalities or ():
        if kind != "text":
            return True
    for message in decided.messages:
        content = message.content
        if message.audio is not UNSET and is_given(message.audio):
            return True
        if isinstance(content, list) and any(part.type not in _PLAIN_PARTS for part in content):
            return True
    return False


def is_given(member: msgspec.Raw | UnsetType) -> TypeGuard[msgspec.Raw]:
    """Whether a member is there and not null. `Raw | None` would not do: msgspec then takes null alone."""
    return member is not UNSET and bytes(member) != b"null"


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | float | None = None
    reasoning_tokens: int | float | None = None
    audio_tokens: int | float | None = None


class ReportedUsage(msgspec.Struct, gc=False):
    """An answer's usage as upstreams report it: some write 12.0, and some null."""

    prompt_tokens: int | float | None = 0
    completion_tokens: int | float | None = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def to_usage(self) -> Usage:
        """Return it with every count at least 0 and the parts at most their whole, whatever was claimed.

        Where parts claim more than their whole, audio counts first, being the dearest.
        """
        input_tokens, output_tokens = _bounded(self.prompt_tokens), _bounded(self.completion_tokens)
        prompt, completion = self.prompt_tokens_details, self.completion_tokens_details
        cached = heard = reasoning = spoken = 0
        if prompt is not None:
            heard = min(_bounded(prompt.audio_tokens), input_tokens)
            cached = min(_bounded(prompt.cached_tokens), input_tokens - heard)
        if completion is not None:
            spoken = min(_bounded(completion.audio_tokens), output_tokens)
            reasoning = min(_bounded(completion.reasoning_tokens), output_tokens - spoken)
        return Usage(
            input_tokens,
            cached,
            output_tokens,
            reasoning,
            input_audio_tokens=heard,
            output_audio_tokens=spoken,
        )


def _bounded(claimed: float | None) -> int:
    if type(claimed) is int and 0 <= claimed <= _CLAIMED_TOKENS_MAX:
        return claimed
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
