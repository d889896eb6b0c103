"""What the document says of calls. Bodies are OpenAI's, whose own documents tell the rest; what is accepted stands here."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers

from accounts.api.fields import Given
from proxy.errors import Code
from proxy.upstreams import openai_chat, openai_embeddings

Handler = TypeVar("Handler", bound=Callable[..., Any])
_KEYS: list[dict[str, list[str]]] = [{"apiKey": []}, {"apiKeyHeader": []}]
_WORD = {"type": "string", "minLength": 1, "maxLength": 200}
_WHOLE = {"type": "integer", "minimum": 1, "maximum": 10_000_000}


class InferenceErrorDetailGiven(Given):
    message = serializers.CharField()
    type = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    code = serializers.ChoiceField(
        choices=[code.code for code in Code], help_text="Stable; docs/errors.md explains each."
    )


class InferenceErrorGiven(Given):
    """An error in the form that OpenAI's clients read."""

    error = InferenceErrorDetailGiven()


_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"type": "string", "enum": ["system", "user", "assistant", "tool"]},
        "content": {"type": "string"},
    },
}
_CHAT = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {name: {} for name in sorted(openai_chat.ACCEPTED_MEMBERS)}
    | {
        "model": _WORD,
        "messages": {"type": "array", "minItems": 1, "maxItems": 4096, "items": _MESSAGE},
        "stream": {"type": "boolean"},
        "max_tokens": _WHOLE,
        "max_completion_tokens": _WHOLE,
        "n": {"type": "integer", "minimum": 1, "maximum": 128},
    },
}
_EMBEDDINGS = {
    "type": "object",
    "required": ["model", "input"],
    "properties": {name: {} for name in sorted(openai_embeddings.ACCEPTED_MEMBERS)}
    | {"model": _WORD, "input": {"oneOf": [_WORD, {"type": "array", "items": _WORD}]}},
}
_MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": {"type": "string"},
        "object": {"type": "string", "enum": ["model"]},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
    },
}
_MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {
        "object": {"type": "string", "enum": ["list"]},
        "data": {"type": "array", "items": _MODEL},
    },
}
_ANSWER = {"type": "object", "description": "As the model answers it, in OpenAI's form."}


def describe_chat(handler: Handler) -> Handler:
    return _described(
        handler,
        "create_chat_completion",
        "Call a chat model.",
        "Answer messages, as one body or, with `stream`, as server-sent events.",
        takes=_CHAT,
        gives={
            (200, "application/json"): OpenApiResponse(_ANSWER, description="The answer."),
            (200, "text/event-stream"): OpenApiResponse(
                {"type": "string"}, description="Its events, the last of which is `[DONE]`."
            ),
        },
        example={"model": "qwen3-32b", "messages": [{"role": "user", "content": "Hello"}]},
    )


def describe_embeddings(handler: Handler) -> Handler:
    return _described(
        handler,
        "create_embeddings",
        "Call an embeddings model.",
        "Turn texts into vectors.",
        takes=_EMBEDDINGS,
        gives={(200, "application/json"): OpenApiResponse(_ANSWER, description="The vectors.")},
        example={"model": "bge-m3", "input": ["An invoice", "A reminder"]},
    )


def describe_models(name: str, summary: str) -> Callable[[Handler], Handler]:
    gives = _MODELS if name.startswith("list") else _MODEL

    def describe(handler: Handler) -> Handler:
        return _described(
            handler,
            name,
            summary,
            "Answer what this credential can call now, and nothing of what else there is.",
            gives={(200, "application/json"): OpenApiResponse(gives, description=summary)},
        )

    return describe


def _described(
    handler: Handler,
    name: str,
    summary: str,
    description: str,
    *,
    gives: dict[Any, Any],
    takes: dict[str, Any] | None = None,
    example: dict[str, Any] | None = None,
) -> Handler:
    examples = (
        [] if example is None else [OpenApiExample("Request", value=example, request_only=True)]
    )
    declared: Handler = extend_schema(
        operation_id=name,
        summary=summary,
        description=f"{description} Unmodified OpenAI clients call this with `/v1` as their base URL.",
        tags=["inference"],
        auth=_KEYS,  # type: ignore[arg-type]
        request=None if takes is None else {"application/json": takes},
        responses=gives | _refusals(),
        examples=examples,
    )(handler)
    return declared


def _refusals() -> dict[Any, Any]:
    by_status: dict[int, list[Code]] = {}
    for code in Code:
        if code is not Code.CLIENT_GONE:
            by_status.setdefault(code.http_status, []).append(code)
    return {
        (str(status), "application/json"): OpenApiResponse(
            InferenceErrorGiven, description=" · ".join(f"`{code.code}`" for code in codes)
        )
        for status, codes in sorted(by_status.items())
    }
