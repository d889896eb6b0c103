"""The worst case holds whatever an honest upstream does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.tokens import split_tokens
from proxy.call import CallKind
from proxy.errors import Refusal
from proxy.limit import worst_case
from proxy.parse import parse_body
from tests.proxy.principals import a_route

TEXT = st.text(max_size=200)
ROLES = st.sampled_from(["system", "user", "assistant", "developer"])
# What the demonstration charges beside the text, and more than any tokenizer's template needs.
PER_MESSAGE, PER_REPLY = 3, 3


def chat(messages: list[dict[str, Any]], **members: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages} | members, ensure_ascii=False).encode(
        "utf-8", "replace"
    )


@given(
    st.lists(st.tuples(ROLES, TEXT), min_size=1, max_size=8),
    st.integers(1, 1000) | st.none(),
    st.integers(1, 8) | st.none(),
)
def test_no_honest_chat_uses_more_than_was_reserved(
    messages: list[tuple[str, str]], max_tokens: int | None, n: int | None
) -> None:
    body = chat([{"role": r, "content": c} for r, c in messages], max_tokens=max_tokens, n=n)
    route = a_route(context_tokens=100_000, max_output_tokens=500)
    worst = worst_case(parse_body(CallKind.CHAT, body), route)

    in_bytes = sum(len(text.encode("utf-8", "replace")) for _, text in messages)
    in_tokens = sum(len(split_tokens(text)) for _, text in messages)
    used = max(in_bytes, in_tokens) + PER_MESSAGE * len(messages) + PER_REPLY
    assert worst.prompt_tokens >= used
    assert worst.output_cap <= 500
    assert worst.output_tokens >= min(max_tokens or 500, 500) * (n or 1)


@given(st.lists(TEXT, min_size=1, max_size=20) | st.lists(st.integers(0, 9), min_size=1))
def test_no_honest_embedding_uses_more_than_was_reserved(inputs: list[Any]) -> None:
    body = json.dumps({"model": "m", "input": inputs}, ensure_ascii=False).encode(
        "utf-8", "replace"
    )
    route = a_route(
        kind="embeddings", context_tokens=8000, max_output_tokens=0, tokens_per_byte=0.1
    )
    numbers = isinstance(inputs[0], int)
    route = route if numbers else a_route(kind="embeddings", context_tokens=8000)
    worst = worst_case(parse_body(CallKind.EMBEDDINGS, body), route)

    used = len(inputs) if numbers else sum(len(text.encode("utf-8", "replace")) for text in inputs)
    assert worst.total >= used
    assert worst.output_tokens == 0


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "new_kind"}]}]},
        {"messages": [{"role": "assistant", "audio": {"id": "a"}}]},
        {"messages": [{"role": "user", "content": "a"}], "tools": [{"type": "web_search"}]},
        {"messages": [{"role": "user", "content": "a"}], "modalities": ["text", "audio"]},
    ],
)  # fmt: skip
def test_what_pulls_in_content_reserves_the_whole_context(members: dict[str, Any]) -> None:
    call = parse_body(CallKind.CHAT, json.dumps({"model": "m"} | members).encode())
    assert worst_case(call, a_route(context_tokens=9000)).prompt_tokens == 9000


def test_an_output_that_cannot_fit_is_refused() -> None:
    call = parse_body(CallKind.CHAT, chat([{"role": "user", "content": "a"}], max_tokens=9001))
    with pytest.raises(Refusal) as refused:
        worst_case(call, a_route(context_tokens=9000))
    assert refused.value.code.code == "context_exceeded"
