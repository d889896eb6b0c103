"""A JSON object decoded one level deep, strictly: one name for each member, bounded in depth and in parts, UTF-8 throughout.

Parsers disagree on which of two equal names wins, so a body that has two is refused: what is authorised here must be what
the upstream reads. A body holds up every other call while it is read, so its shape is bounded before it is decoded.
"""

import re

import msgspec

from proxy.errors import Code, Refusal
from proxy.json_outline import check_outline, is_simple
from proxy.turns import Slices, at_once

MAX_MEMBERS = 128
# The members of an object whose form is not in question, such as an answer's.
decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
encode = msgspec.json.Encoder().encode
_SPACE = rb"[ \t\n\r]*"
# A name has bounds, lest a long one be looked at for long.
_NAME = rb'"[^"\\]{0,256}+(?:\\.[^"\\]{0,256}+){0,256}+"'
_MEMBER_START = re.compile(
    _SPACE + rb"[{,]" + _SPACE + rb"(" + _NAME + rb")" + _SPACE + rb":" + _SPACE
)
_END = re.compile(_SPACE + rb"}" + _SPACE)


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the object's members as their own bytes.

    Raises: Refusal malformed_body, duplicate_member, nested_too_deep, member_not_accepted or body_too_large.
    """
    if not is_simple(body):
        return at_once(decode_slices(body))
    members = _decode_bounded(body)
    _refuse_duplicates(body, members)
    return members


def decode_slices(body: bytes) -> Slices[dict[str, msgspec.Raw]]:
    """Do the same in slices: a large body would hold up every other call."""
    yield from check_outline(body)
    members = _decode_bounded(body)
    yield
    _refuse_duplicates(body, members)
    return members


def _decode_bounded(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        if not body.isascii():
            body.decode("utf-8")
        members = decode_members(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal(Code.MALFORMED_BODY) from None
    if len(members) > MAX_MEMBERS:
        raise Refusal(
            Code.BODY_TOO_LARGE, seen=f"It may have {MAX_MEMBERS} members at its top level."
        )
    return members


def encode_object(members: dict[str, msgspec.Raw]) -> bytes:
    return encode(members)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(encode(value))


def _refuse_duplicates(body: bytes, members: dict[str, msgspec.Raw]) -> None:
    """Walk the top level by the lengths of the values found: a second value for a name is not where it should be.

    What most clients send has no space between its members: then it is, byte for byte, what its members make.
    """
    if encode(members) == body:
        return
    position, seen, expected = 0, 0, len(members)
    while (start := _MEMBER_START.match(body, position)) is not None:
        seen += 1
        value = bytes(members[_decode_name(start[1])])
        position = start.end()
        if seen > expected or not body.startswith(value, position):
            raise Refusal(Code.DUPLICATE_MEMBER)
        position += len(value)
    # A number can begin like another one (1 and 12): the walk then stops before the object's end.
    if seen != expected or (seen and _END.fullmatch(body, position) is None):
        is_long = any(len(name) > 256 for name in members)
        raise Refusal(Code.MEMBER_NOT_ACCEPTED if is_long else Code.DUPLICATE_MEMBER)
