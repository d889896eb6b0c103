"""Embeddings by feature hashing: texts that share words are near each other, on every machine."""

import math
from array import array
from base64 import b64encode
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from demo.directive import Directive, Fault
from demo.envelope import Refusal
from demo.tokens import split_tokens

DEFAULT_DIMENSIONS = 256
MAXIMUM_INPUTS = 2_048


class EmbeddingsRequest(msgspec.Struct):
    """The members that change the demonstration's vectors."""

    model: str
    input: str | list[Any]
    dimensions: Annotated[int, Meta(ge=1, le=3_072)] | None = None
    encoding_format: str | None = None


def _name_tokens(value: object) -> list[str]:
    if isinstance(value, str) and value:
        return split_tokens(value)
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return [str(item) for item in value]
    message = "input must be a text, token numbers, or a list of either, none of them empty."
    raise Refusal(400, message, param="input")


def read_inputs(request: EmbeddingsRequest) -> list[list[str]]:
    """The inputs as tokens, in order: one text, one list of token numbers, or a list of either."""
    value = request.input
    single = isinstance(value, str) or all(type(item) is int for item in value)
    inputs = [value] if single else value
    if not isinstance(inputs, list) or len(inputs) > MAXIMUM_INPUTS:
        raise Refusal(400, f"input has over {MAXIMUM_INPUTS} members.", param="input")
    return [_name_tokens(item) for item in inputs]


def read_text(request: EmbeddingsRequest) -> str:
    """The words of the input, where directives stand."""
    if isinstance(request.input, str):
        return request.input
    return " ".join(item for item in request.input if isinstance(item, str))


def embed(tokens: list[str], dimensions: int) -> "array[float]":
    """A vector of length 1: each token adds or takes 1 at a place its digest names."""
    vector = [0.0] * dimensions
    for token in tokens:
        digest = int.from_bytes(blake2b(token.strip().lower().encode(), digest_size=8).digest())
        vector[(digest >> 1) % dimensions] += 1.0 if digest & 1 else -1.0
    norm = math.hypot(*vector)
    if not norm:
        vector[0] = norm = 1.0
    return array("f", (value / norm for value in vector))


def _write_vector(vector: "array[float]", encoding_format: str | None) -> list[float] | str:
    if encoding_format == "base64":
        return b64encode(vector.tobytes()).decode()
    if encoding_format not in (None, "float"):
        message = f"encoding_format is {encoding_format!r}; it may be 'float' or 'base64'."
        raise Refusal(400, message, param="encoding_format")
    return vector.tolist()


def write_embeddings(
    request: EmbeddingsRequest, directive: Directive, headers: dict[str, str]
) -> bytes:
    """The body of an answer, with a vector for each input and the tokens they cost."""
    inputs = read_inputs(request)
    dimensions = request.dimensions or DEFAULT_DIMENSIONS
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _write_vector(embed(tokens, dimensions), request.encoding_format),
        }
        for index, tokens in enumerate(inputs)
    ]
    reply: dict[str, object] = {"object": "list", "data": data, "model": request.model}
    used = directive.usage_prompt
    used = sum(map(len, inputs)) if used is None else used
    if directive.fault is not Fault.NO_USAGE:
        usage = {"prompt_tokens": used, "total_tokens": used}
        reply["usage"] = None if directive.fault is Fault.USAGE_NULL else usage
    if directive.fault is Fault.ECHO_HEADERS:
        reply["demonstration_headers"] = headers
    body = msgspec.json.encode(reply)
    return body[: len(body) // 2] if directive.fault is Fault.BAD_JSON else body
