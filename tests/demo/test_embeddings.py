"""Embeddings as the unmodified OpenAI client sees them."""

import math

import openai
import pytest
from openai import OpenAI

MODEL = "demo-embed"


def multiply(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_texts_that_share_words_are_nearer_than_others(client: OpenAI) -> None:
    texts = ["a key for the door", "the door and a key", "rain fell all night"]
    reply = client.embeddings.create(model=MODEL, input=texts, dimensions=512)
    first, near, far = (item.embedding for item in reply.data)
    assert [item.index for item in reply.data] == [0, 1, 2]
    assert len(first) == 512
    assert math.isclose(math.hypot(*first), 1, abs_tol=1e-6)
    assert multiply(first, near) > multiply(first, far) + 0.2
    assert reply.usage.prompt_tokens == reply.usage.total_tokens == 5 + 5 + 4


def test_floats_and_base64_are_the_same_vector(client: OpenAI) -> None:
    # The client asks for base64 and decodes it by itself where no format is named.
    plain = client.embeddings.create(model=MODEL, input="Hello", encoding_format="float")
    packed = client.embeddings.create(model=MODEL, input="Hello")
    assert len(plain.data[0].embedding) == 256
    assert plain.data[0].embedding == packed.data[0].embedding


def test_token_numbers_are_inputs_too(client: OpenAI) -> None:
    assert len(client.embeddings.create(model=MODEL, input=[1, 2, 3]).data) == 1
    reply = client.embeddings.create(model=MODEL, input=[[1, 2], [3]])
    assert len(reply.data) == 2
    assert reply.usage.prompt_tokens == 3


@pytest.mark.parametrize("wrong", ["", [], [""], [[]], [{"text": "Hello"}], [1, "Hello"]])
def test_empty_or_mixed_input_is_refused(client: OpenAI, wrong: str) -> None:
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input=wrong)


def test_directive_in_an_input_is_obeyed(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.embeddings.create(model=MODEL, input=["Hello", "[[demo status=429]]"])
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=MODEL, input="[[demo sttus=1]]")


def test_models_are_owned_by_the_demonstration(client: OpenAI) -> None:
    models = {model.id: model.owned_by for model in client.models.list()}
    assert models == dict.fromkeys(["demo-chat", MODEL], "latchkey-demonstration")
    assert client.models.retrieve(MODEL).id == MODEL
