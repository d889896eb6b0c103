"""A JSON object decoded one level deep, strictly: one name for each member, bounded nesting, UTF-8 throughout.

Parsers disagree on which of two equal names wins, so a body that has two is refused: what is authorised here must be what
the upstream reads.
"""

import re

import msgspec

from proxy.errors import Code, Refusal

MAX_DEPTH = 64
_BEGINNING = 8192
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_SPACE = rb"[ \t\n\r]*"
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_MEMBER_START = re.compile(
    _SPACE + rb"[{,]" + _SPACE + rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE
)
_END = re.compile(_SPACE + rb"}" + _SPACE)
# Nothing is given back and a string without an end is taken whole, so that no body makes this look twice at a byte.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
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
    # A number can begin like another one (1 and 12): the walk then stops before the object's end.
    if seen != len(members) or (seen and _END.fullmatch(body, position) is None):
        raise Refusal(Code.DUPLICATE_MEMBER)


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    # What nests on purpose does so at once: most of it is refused by its beginning alone.
    if _is_too_deep(body[:_BEGINNING]) or _is_too_deep(body):
        raise Refusal(Code.NESTED_TOO_DEEP)


def _is_too_deep(body: bytes) -> bool:
    """Say so for what is well-formed; the decoder judges the rest, and notices its own overflow."""
    brackets = _STRINGS.sub(b"", body).translate(_AS_SQUARE, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    return b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH
