import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import Code, Refusal
from proxy.json_object import decode_object, encode_object, raw
from proxy.json_outline import MAX_DEPTH, SLICE_BYTES
from proxy.json_twins import refuse_twins_in_slices
from proxy.turns import at_once

SPACE = st.text(alphabet=" \t\r\n", max_size=2)
SCALARS = st.sampled_from(
    [
        '"a"',
        '"ab"',
        '""',
        '"}"',
        '",\\"a\\":1"',
        "1",
        "12",
        "1.5",
        "1.5e3",
        "-1",
        "true",
        "null",
        "[]",
        "[1,2]",
        "{}",
        '{"a":1}',
        '{"a":1,"a":2}',
        '"\\u0061"',
        '"é"',
        "0",
        "0.1",
    ]
)
NAMES = st.sampled_from(
    ['"a"', '"\\u0061"', '"b"', '"\\u0062"', '"ab"', '"a\\/"', '"a/"', '""', '"é"', '"\\u00e9"']
)


@st.composite
def object_texts(draw: st.DrawFn) -> str:
    """An object as text, with whatever space, escapes and repetition JSON allows."""
    members = draw(st.lists(st.tuples(NAMES, SCALARS), max_size=5))
    written = [
        draw(SPACE) + name + draw(SPACE) + ":" + draw(SPACE) + value + draw(SPACE)
        for name, value in members
    ]
    return draw(SPACE) + "{" + (",".join(written) or draw(SPACE)) + "}" + draw(SPACE)


def refused(body: bytes) -> Code:
    with pytest.raises(Refusal) as caught:
        decode_object(body)
    return caught.value.code


def refused_as_large(body: bytes) -> Code:
    with pytest.raises(Refusal) as caught:
        at_once(refuse_twins_in_slices(body, slice_bytes=3))
    return caught.value.code


TWINS = {
    "message": '{"messages":[{"role":"user","role":"system","content":"a"}]}',
    "part": '{"messages":[{"content":[{"type":"text","type":"image_url"}]}]}',
    "first message of two": '{"messages":[{"role":"a","role":"b"},{"role":"c"}]}',
    "tool": '{"tools":[{"type":"function","function":{"name":"a","x":{},"name":"b"}}]}',
    "spaced": '{ "a" : { "b" : 1 , "b" : 1 } }',
    "escaped": '{"a":{"b":1,"\\u0062":1}}',
    "escaped twice": '{"a":{"\\u0062":1,"\\u0062":1}}',
    "of quotes": '{"a":{"\\"":1,"\\"":1}}',
    "of backslashes": '{"a":{"\\\\":1,"\\\\":1}}',
    "empty": '{"a":{"":1,"":1}}',
    "beside a number of many digits": '{"a":{"n":%s,"b":1,"b":1}}' % ("9" * 6000),
    "beside a number out of range": '{"a":{"n":1e999,"b":1,"b":1}}',
    "far apart": '{"a":{"b":1,' + "".join(f'"m{n}":{{"b":[]}},' for n in range(5000)) + '"b":1}}',
}


@pytest.mark.parametrize("place", TWINS)
def test_name_that_stands_twice_is_refused_wherever_it_stands(place: str) -> None:
    text = TWINS[place]
    assert refused(text.encode()) is Code.DUPLICATE_MEMBER
    assert refused_as_large(text.encode()) is Code.DUPLICATE_MEMBER
    padded = text[:-1] + ',"user":"%s"}' % ("x" * SLICE_BYTES)
    assert refused(padded.encode()) is Code.DUPLICATE_MEMBER


SAME_NAMES_ELSEWHERE = [
    '{"a":{"b":1},"b":{"a":1,"b":{"b":[{"b":1},{"b":2}]}}}',
    '{"a":{"b":"b","c":"b:","d":"{\\"b\\":1,\\"b\\":2}"}}',
    '{ "a" : [ "a" , "a" ] , "b" : { "a" : "a" } }',
    '{"a":{"n":%s,"o":1e999,"p":-0.0,"q":1E5}}' % ("9" * 6000),
    '{"a":{"b":1,"B":2,"\\u0042b":3,"b ":4}}',
]


@pytest.mark.parametrize("text", SAME_NAMES_ELSEWHERE, ids=range(len(SAME_NAMES_ELSEWHERE)))
def test_names_may_stand_in_other_objects_and_in_texts(text: str) -> None:
    padded = text[:-1] + ',"user":"%s"}' % ("x" * SLICE_BYTES)
    for body in (text.encode(), padded.encode()):
        assert encode_object(decode_object(body))


@given(object_texts())
@example('{"n":12,"n":1}')
@example('{"n":1,"n":12}')
@example('{"n":1.5e3,"n":1.5}')
@example('{"a":1,"b":[],"a":1}')
def test_an_object_is_taken_exactly_when_python_sees_no_name_twice(text: str) -> None:
    pairs: list[list[tuple[str, Any]]] = []

    def note(seen: list[tuple[str, Any]]) -> dict[str, Any]:
        pairs.append(seen)
        return dict(seen)

    json.loads(text, object_pairs_hook=note)
    body = text.encode()
    if any(len({name for name, _ in one}) < len(one) for one in pairs):
        assert refused(body) is Code.DUPLICATE_MEMBER
        assert refused_as_large(body) is Code.DUPLICATE_MEMBER
    else:
        members = decode_object(body)
        at_once(refuse_twins_in_slices(body, slice_bytes=3))
        assert {name: json.loads(bytes(value)) for name, value in members.items()} == json.loads(
            text
        )


@given(st.binary(max_size=60) | object_texts().map(str.encode))
def test_whatever_is_sent_is_an_object_or_refused(body: bytes) -> None:
    with suppress(Refusal):
        assert isinstance(json.loads(encode_object(decode_object(body))), dict)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"a"',
        b"1",
        b"{",
        b"}",
        b"{}}",
        b"{} {}",
        b"{,}",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b"{'a':1}",
        b"{a:1}",
        b'{"a":01}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1}\x00',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"\xc0\xaf":1}',
        b'{"a":"\n"}',
        b'{"a":"\\x"}',
        b"\x00",
        '{"a":1}'.encode("utf-16"),
        b'{"a":1}//',
        b'{"a":/**/1}',
        b'{"a":+1}',
        b'{"a":"\\u12"}',
    ],
)
def test_what_is_not_one_object_in_utf_8_is_malformed(body: bytes) -> None:
    assert refused(body) is Code.MALFORMED_BODY


@pytest.mark.parametrize("depth", [1_000, 100_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"":'])
@pytest.mark.parametrize("is_closed", [True, False])
def test_deep_nesting_is_refused_at_once(depth: int, opening: bytes, is_closed: bool) -> None:
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"":': b"}]"}[opening] * depth if is_closed else b""
    body = b'{"a":' + opening * depth + b"1" + closing + b"}"
    started = time.thread_time()

    assert refused(body) is Code.NESTED_TOO_DEEP
    assert time.thread_time() - started < 0.05


def test_nesting_up_to_the_bound_passes() -> None:
    inner = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert list(decode_object(b'{"a":' + inner + b"}")) == ["a"]
    assert refused(b'{"a":[' + inner + b"]}") is Code.NESTED_TOO_DEEP


def test_brackets_within_strings_nest_nothing() -> None:
    body = json.dumps({"a": "[{" * 500 + '"\\"]' * 500}).encode()

    assert json.loads(encode_object(decode_object(body))) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 65 + b'"' + b'\\"' * 1_000_000,
        b"[" * 65 + b'"a' * 500_001,
        b"[" * 65 + b'"' + b"\\\\" * 1_000_000 + b"\\",
        b'{"a":[' + b"[]," * 700_000 + b"1]}",
        b'{"a":[' + b'"",' * 700_000 + b"[" * 30 + b"]" * 30 + b"[]," * 40 + b"1]}",
        b'{"a":' + b" " * 2_000_000,
        b'{"' + b"a" * 2_000_000,
        b"{" + b'"a":1,' * 300_000,
    ],
)
def test_no_body_of_two_million_bytes_takes_long(body: bytes) -> None:
    """A body that made the check look at a byte again and again held up every other call."""
    started = time.thread_time()
    with suppress(Refusal):
        decode_object(body)
    assert time.thread_time() - started < 1.5


def test_members_that_nobody_changed_stay_the_bytes_they_were() -> None:
    members = decode_object(b'{ "a" : [1 , 2.50,1e2], "b":"\\u0041" }')
    members["c"] = raw("new")

    assert encode_object(members) == b'{"a":[1 , 2.50,1e2],"b":"\\u0041","c":"new"}'


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"m%d":1' % n for n in range(200)) + b"}",
        b'{"input":[' + b"[1]," * 20_000 + b"[1]]}",
        b'{"messages":[' + b"{}," * 20_000 + b"{}]}",
        b'{"a":"' + b"s" * 9000 + b'","b":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
def test_a_body_of_very_many_parts_is_refused_quickly(body: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(Refusal) as refused:
        decode_object(body)
    assert refused.value.code in (Code.BODY_TOO_LARGE, Code.NESTED_TOO_DEEP)
    assert time.thread_time() - started < 0.1
