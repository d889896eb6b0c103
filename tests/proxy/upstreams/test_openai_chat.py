"""What chunks and answers say, as honest, odd and hostile servers write it."""

import json
from typing import Any

import msgspec
import pytest

from proxy.exchange import Usage
from proxy.json_object import decode_object, encode_object
from proxy.upstreams.openai_chat import (
    ReportedUsage,
    decode_chunk,
    is_given,
    prepare_members,
    read_call,
    text_bytes,
)


def counted(**said: Any) -> int:
    chunk = decode_chunk(json.dumps({"choices": [{"delta": said}]}).encode())
    assert chunk.choices[0].delta is not None
    return text_bytes(chunk.choices[0].delta)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, 0),
        ({"role": "assistant"}, 0),
        ({"role": "assistant", "content": "", "refusal": None, "tool_calls": []}, 0),
        ({"content": "Hello"}, 5),
        ({"content": 'é\n"'}, 4),
        ({"reasoning": "Hello"}, 5),
        ({"reasoning_content": "Hello"}, 5),
        ({"reasoning": "Hello", "reasoning_content": "Hello"}, 5),
        ({"refusal": "No."}, 3),
        ({"a_name_of_tomorrow": "Hello"}, 5),
        ({"audio": {"data": "AAAA"}}, 16),
        ({"function_call": {"arguments": "{}"}}, 19),
        ({"content": None, "tool_calls": [{"index": 0}]}, 14),
    ],
)
def test_whatever_a_delta_carries_beside_its_role_counts(
    said: dict[str, Any], expected: int
) -> None:
    assert counted(**said) == expected


@pytest.mark.parametrize("text", [b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\\n\xff"])
def test_what_is_no_text_is_noticed(text: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        text_bytes(
            decode_chunk(b'{"choices":[{"delta":{"content":"%s"}}]}' % text).choices[0].delta or {}
        )


@pytest.mark.parametrize(
    ("claim", "tokens"),
    [("12", 12), ("12.0", 12), ("null", 0), ("-5", 0), ("-1e300", 0), ("1e30", 10**9),
     (str(2**70), 10**9), ("1e308", 10**9), (str(10**9 + 1), 10**9)],
)  # fmt: skip
def test_no_claim_of_usage_leaves_its_bounds(claim: str, tokens: int) -> None:
    text = (
        f'{{"usage":{{"prompt_tokens":{claim},"completion_tokens":{claim},'
        f'"prompt_tokens_details":{{"cached_tokens":{claim}}},'
        f'"completion_tokens_details":{{"reasoning_tokens":{claim}}}}}}}'
    )
    usage = decode_chunk(text.encode()).usage
    assert usage is not None
    assert usage is not msgspec.UNSET
    found = usage.to_usage()
    assert found == Usage(tokens, tokens, tokens, tokens)
    assert all(type(count) is int for count in (found.input_tokens, found.output_tokens))
    heard = decode_chunk(text.replace("cached", "audio").replace("reasoning", "audio").encode())
    assert isinstance(heard.usage, ReportedUsage)
    assert heard.usage.to_usage() == Usage(
        tokens, 0, tokens, 0, input_audio_tokens=tokens, output_audio_tokens=tokens
    )


@pytest.mark.parametrize("part", ["cached_tokens", "reasoning_tokens", "audio_tokens"])
def test_a_part_that_is_no_number_is_no_usage(part: str) -> None:
    for claim in ("true", '"12"', "[]"):
        with pytest.raises(msgspec.ValidationError):
            decode_chunk(f'{{"usage":{{"prompt_tokens_details":{{"{part}":{claim}}}}}}}'.encode())


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {}),
        ({"stream_options": None}, {}),
        ({"stream_options": {"include_usage": False}}, {}),
        ({"stream_options": {"include_obfuscation": False}}, {"include_obfuscation": False}),
    ],
)
def test_options_of_a_stream_stay_beside_the_usage_that_is_asked_for(
    given: dict[str, Any], kept: dict[str, Any]
) -> None:
    said = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True} | given
    body = json.dumps(said).encode()
    sent = prepare_members(
        read_call(body, decode_object(body)),
        upstream_name="m",
        cap_member="max_tokens",
        output_cap=5,
    )
    assert json.loads(encode_object(sent))["stream_options"] == kept | {"include_usage": True}


def test_a_null_error_is_none() -> None:
    assert not is_given(decode_chunk(b'{"choices":[],"error":null}').error)
    assert not is_given(decode_chunk(b'{"choices":[]}').error)
    assert is_given(decode_chunk(b'{"choices":[],"error":{"message":"a"}}').error)
