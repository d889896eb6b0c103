"""Chat completions as the unmodified OpenAI client sees them."""

import asyncio
import json
import time

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from demo.tokens import count_tokens
from tests.demo.conftest import KEY, Upstream


def ask(client: OpenAI, question: str, **members: object) -> ChatCompletion:
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(  # type: ignore[call-overload, no-any-return]
        model="demo-chat", messages=messages, **members
    )


def stream(client: OpenAI, question: str, **members: object) -> list[ChatCompletionChunk]:
    return list(ask(client, question, stream=True, **members))  # type: ignore[arg-type]


def join(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    deltas = [choice for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(choice.delta.content or "" for choice in deltas)


def test_answer_says_that_it_is_a_demonstration_and_counts_its_tokens(client: OpenAI) -> None:
    reply = ask(client, "Hello there")
    content = reply.choices[0].message.content
    assert content == "This is Latchkey's demonstration model. You said: Hello there"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 3 + 3 + 2
    assert reply.usage.completion_tokens == count_tokens(content)


def test_stream_has_role_content_reason_and_usage_only_when_asked(client: OpenAI) -> None:
    chunks = stream(client, "Hello")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert join(chunks) == ask(client, "Hello").choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert not any(chunk.usage for chunk in chunks)
    counted = stream(client, "Hello", stream_options={"include_usage": True})
    assert counted[-1].choices == []
    assert counted[-1].usage is not None
    assert counted[-1].usage.completion_tokens == count_tokens(join(counted))
    assert not any(chunk.usage for chunk in counted[:-1])


def test_every_choice_is_answered_and_paid_for(client: OpenAI) -> None:
    reply = ask(client, "Hello", n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert reply.usage is not None
    assert reply.usage.completion_tokens % 3 == 0
    chunks = stream(client, "Hello", n=2)
    assert join(chunks, 0) == join(chunks, 1) == reply.choices[0].message.content


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_token_limit_ends_the_answer_for_its_length(client: OpenAI, name: str) -> None:
    reply = ask(client, "Hello", **{name: 4})
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 4
    chunks = stream(client, "Hello", **{name: 4})
    assert chunks[-1].choices[0].finish_reason == "length"


def test_stop_sequence_ends_the_answer_before_itself(client: OpenAI) -> None:
    reply = ask(client, "Hello", stop=["never", " model"])
    assert reply.choices[0].message.content == "This is Latchkey's demonstration"
    assert reply.choices[0].finish_reason == "stop"


def test_json_mode_answers_with_json_and_tools_with_plain_words(client: OpenAI) -> None:
    reply = ask(client, 'Say "yes"', response_format={"type": "json_object"})
    content = json.loads(reply.choices[0].message.content or "")
    assert content == {"demonstration": True, "model": "demo-chat", "you_said": 'Say "yes"'}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    assert ask(client, "Look", tools=[tool]).choices[0].finish_reason == "stop"


def test_parts_of_a_message_are_read_and_an_image_has_a_price(client: OpenAI) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}
    parts = [{"type": "text", "text": "Hello"}, image]
    reply = ask(client, parts)  # type: ignore[arg-type]
    assert (reply.choices[0].message.content or "").endswith("You said: Hello")
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == 3 + 3 + 1 + 85


def test_length_of_the_answer_is_as_directed(client: OpenAI) -> None:
    chunks = stream(client, "[[demo chunks=50]]", stream_options={"include_usage": True})
    assert len([chunk for chunk in chunks if chunk.choices]) == 50 + 2
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 50
    grouped = stream(client, "[[demo chunks=3 tokens=50]]")
    assert (len(grouped), count_tokens(join(grouped))) == (3 + 2, 50)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_directed_status_raises_the_clients_own_error(
    client: OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        ask(client, f"[[demo status={status} retry_after=3]]")
    assert raised.value.status_code == status
    assert raised.value.response.headers["retry-after"] == "3"
    assert "demonstration upstream" in raised.value.message


def test_wrong_key_unknown_model_and_bad_members_are_refused(
    client: OpenAI, upstream: Upstream
) -> None:
    with pytest.raises(openai.AuthenticationError) as unknown:
        ask(client.with_options(api_key="wrong"), "Hello")
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="gpt", messages=[{"role": "user", "content": ""}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError):
        ask(client, "Hello", n=0)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="demo-chat", messages=[])


def test_pauses_are_kept_before_the_head_the_body_and_each_chunk(client: OpenAI) -> None:
    for words, least_s in [
        ("delay_s=0.3", 0.3),
        ("first_byte_s=0.3", 0.3),
        ("chunks=3 chunk_delay_s=0.1", 0.3),
    ]:
        started = time.monotonic()
        stream(client, f"[[demo {words}]]")
        assert least_s <= time.monotonic() - started < least_s + 2


def test_many_slow_streams_run_side_by_side(upstream: Upstream) -> None:
    async def read_one(client: AsyncOpenAI) -> int:
        events = await client.chat.completions.create(
            model="demo-chat",
            messages=[{"role": "user", "content": "[[demo chunks=5 chunk_delay_s=0.1]]"}],
            stream=True,
        )
        return len([event async for event in events])

    async def read_all() -> list[int]:
        async with AsyncOpenAI(base_url=upstream.base_url, api_key=KEY) as client:
            return await asyncio.gather(*(read_one(client) for _ in range(100)))

    started = time.monotonic()
    assert asyncio.run(read_all()) == [5 + 2] * 100
    assert time.monotonic() - started < 10
