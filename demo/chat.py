"""Chat completions: what was asked, the demonstration's answer to it, and its two wire forms."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from demo.directive import Directive, Fault, strip_directives
from demo.envelope import Refusal
from demo.tokens import (
    TOKENS_PER_MESSAGE,
    TOKENS_PER_PART_WITHOUT_TEXT,
    TOKENS_PER_REPLY,
    count_tokens,
    split_tokens,
)

GREETING = "This is Latchkey's demonstration model."
FILLER = [" demons", "tratio", "n"]
ECHOED_CHARACTERS = 500

PositiveCount = Annotated[int, Meta(ge=1)]


class Message(msgspec.Struct):
    """One message, as far as the demonstration reads it."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The message's words, parts joined."""
        if isinstance(self.content, str):
            return self.content
        return " ".join(str(part["text"]) for part in self.content or () if "text" in part)

    def count(self) -> int:
        """The message's share of the prompt's tokens."""
        tokens = TOKENS_PER_MESSAGE + count_tokens(self.text())
        if isinstance(self.content, list):
            without_text = sum("text" not in part for part in self.content)
            tokens += TOKENS_PER_PART_WITHOUT_TEXT * without_text
        return tokens


class StreamOptions(msgspec.Struct):
    """Whether the stream ends with a chunk of usage."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct):
    """The members that change the demonstration's answer; all others are accepted and ignored."""

    model: str
    messages: Annotated[list[Message], Meta(min_length=1)]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = 1
    max_tokens: PositiveCount | None = None
    max_completion_tokens: PositiveCount | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    response_format: dict[str, Any] | None = None

    def question(self) -> str:
        """The last user message, where directives stand too."""
        for message in reversed(self.messages):
            if message.role == "user":
                return message.text()
        return ""


class Answer(NamedTuple):
    """The demonstration's words for one request; every choice gets the same."""

    tokens: list[str]
    finish_reason: str
    prompt_tokens: int


def _limit_stop(text: str, stop: str | list[str] | None) -> str:
    sequences = [stop] if isinstance(stop, str) else stop or []
    ends = [text.find(sequence) for sequence in sequences if sequence]
    return text[: min((end for end in ends if end >= 0), default=len(text))]


def _write_text(request: ChatRequest, directive: Directive, headers: dict[str, str]) -> str:
    if directive.fault is Fault.ECHO_HEADERS:
        return msgspec.json.encode(headers).decode()
    said = strip_directives(request.question())[:ECHOED_CHARACTERS]
    if (request.response_format or {}).get("type") in ("json_object", "json_schema"):
        reply = {"demonstration": True, "model": request.model, "you_said": said}
        return msgspec.json.encode(reply).decode()
    return f"{GREETING} You said: {said}" if said else f"{GREETING} You said nothing."


def _set_length(tokens: list[str], length: int) -> list[str]:
    missing = max(0, length - len(tokens))
    return (tokens + FILLER * (missing // len(FILLER) + 1))[:length]


def compose_answer(request: ChatRequest, directive: Directive, headers: dict[str, str]) -> Answer:
    """Decide the words: greeting and echo, a directive's length, then stop and the token limits."""
    tokens = split_tokens(_limit_stop(_write_text(request, directive, headers), request.stop))
    wanted = directive.tokens or directive.chunks
    if wanted:
        tokens = _set_length(tokens, wanted)
    limits = [limit for limit in (request.max_tokens, request.max_completion_tokens) if limit]
    limit = min(limits, default=len(tokens))
    prompt_tokens = TOKENS_PER_REPLY + sum(message.count() for message in request.messages)
    reason = "length" if limit < len(tokens) else "stop"
    return Answer(tokens[:limit], reason, prompt_tokens)


def _count_usage(
    request: ChatRequest, answer: Answer, directive: Directive
) -> dict[str, object] | None:
    if directive.fault is Fault.USAGE_NULL:
        return None
    prompt, completion = directive.usage_prompt, directive.usage_completion
    prompt = answer.prompt_tokens if prompt is None else prompt
    completion = len(answer.tokens) * (request.n or 1) if completion is None else completion
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {
            "cached_tokens": directive.usage_cached or 0,
            "audio_tokens": directive.usage_audio_in or 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": directive.usage_reasoning or 0,
            "audio_tokens": directive.usage_audio_out or 0,
        },
    }


def _start_object(request: ChatRequest, number: int, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-demonstration-{number}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": "fp_demonstration",
    }


def write_completion(
    request: ChatRequest, answer: Answer, directive: Directive, number: int
) -> bytes:
    """The body of an answer that is not streamed."""
    message = {"role": "assistant", "content": "".join(answer.tokens), "refusal": None}
    reply = _start_object(request, number, "chat.completion")
    reply["choices"] = [
        {
            "index": index,
            "message": message,
            "logprobs": None,
            "finish_reason": answer.finish_reason,
        }
        for index in range(request.n or 1)
    ]
    if directive.fault is not Fault.NO_USAGE:
        reply["usage"] = _count_usage(request, answer, directive)
    body = msgspec.json.encode(reply)
    return body[: len(body) // 2] if directive.fault is Fault.BAD_JSON else body


def _group_tokens(tokens: list[str], chunks: int) -> Iterator[str]:
    count = min(chunks or len(tokens), len(tokens))
    for number in range(count):
        start, end = number * len(tokens) // count, (number + 1) * len(tokens) // count
        yield "".join(tokens[start:end])


def _write_deltas(
    request: ChatRequest, answer: Answer, directive: Directive
) -> Iterator[tuple[int, dict[str, object], str | None]]:
    choices = range(request.n or 1)
    for index in choices:
        yield index, {"role": "assistant", "content": "", "refusal": None}, None
    for text in _group_tokens(answer.tokens, directive.chunks):
        for index in choices:
            yield index, {"content": text}, None
    for index in choices:
        yield index, {}, answer.finish_reason


def _event(payload: object) -> bytes:
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def _break_event(fault: Fault | None) -> tuple[bytes, bool]:
    if fault is Fault.BAD_JSON:
        return b'data: {"id": "chatcmpl-demonstration", "choices": [{\n\n', False
    return b"data: " + Refusal(500, "broken off, as the request asked.").encode() + b"\n\n", True


def write_events(
    request: ChatRequest, answer: Answer, directive: Directive, number: int
) -> Iterator[tuple[bytes, bool]]:
    """The events of a streamed answer, each with whether `chunk_delay_s` comes before it."""
    fault = directive.fault
    asked = request.stream_options is not None and request.stream_options.include_usage
    include_usage = asked and fault is not Fault.NO_USAGE
    base = _start_object(request, number, "chat.completion.chunk")
    if include_usage:
        base["usage"] = None
    breaks = fault in (Fault.BAD_JSON, Fault.ERROR_MID)
    half = len(answer.tokens) // 2
    for position, (index, delta, reason) in enumerate(_write_deltas(request, answer, directive)):
        if breaks and position == half:
            broken, final = _break_event(fault)
            yield broken, False
            if final:
                return
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield _event(base | {"choices": [choice]}), "content" in delta and "role" not in delta
    if include_usage:
        usage = _count_usage(request, answer, directive)
        yield _event(base | {"choices": [], "usage": usage}), False
    if fault is not Fault.NO_DONE:
        yield b"data: [DONE]\n\n", False
