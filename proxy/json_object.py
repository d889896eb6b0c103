"""A JSON object decoded one level deep, strictly: one name for each member, bounded nesting, UTF-8 throughout.

Parsers disagree on which of two equal names wins, so a body that has two is refused: what is authorised here must be what
the upstream reads.
"""

import re

import msgspec

from proxy.errors import Code, Refusal

MAX_DEPTH = 64
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_SPACE = rb"[ \t\n\r]*"
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_MEMBER_START = re.compile(
    _SPACE + rb"[{,]" + _SPACE + rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE
)
_STRINGS = re.compile(_STRING, re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the object's members as their own bytes.

    Raises: Refusal malformed_body, duplicate_member or nested_too_deep.
    """
    _refuse_depth(body)
    try:
        if not body.isascii():
            body.decode("utf-8")
        members = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal(Code.MALFORMED_BODY) from None
    _refuse_duplicates(body, members)
    return members


def encode_object(members: dict[str, msgspec.Raw]) -> bytes:
    return _encode(members)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _refuse_duplicates(body: bytes, members: dict[str, msgspec.Raw]) -> None:
    """Walk the top level by the lengths of the values found: a second value for a name is not where it should be."""
    position, seen = 0, 0
    while (start := _MEMBER_START.match(body, position)) is not None:
        seen += 1
        value = bytes(members[_decode_name(start[1])])
        position = start.end()
        if not body.startswith(value, position):
            raise Refusal(Code.DUPLICATE_MEMBER)
        position += len(value)
    if seen != len(members):
        raise Refusal(Code.DUPLICATE_MEMBER)


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise Refusal(Code.NESTED_TOO_DEEP)
