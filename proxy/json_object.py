"""A JSON object decoded one level deep, strictly: one name for each member, bounded in depth and in parts, UTF-8 throughout.

Parsers disagree on which of two equal names wins, so a body that has two is refused: what is authorised here must be what
the upstream reads. A body holds up every other call while it is read, so its shape is bounded before it is decoded.
"""

import re
from array import array
from itertools import accumulate

import msgspec

from proxy.errors import Code, Refusal

MAX_DEPTH = 64
MAX_MEMBERS = 128
# Objects and arrays of one body. Each costs far more time than its bytes, and all callers share that time.
MAX_CONTAINERS = 16_384
# Members at all depths. Schemas and calls of tools have some thousands.
_NAMED_MAX = 65_536
_QUOTES_MAX = 4 * _NAMED_MAX
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode
_SPACE = rb"[ \t\n\r]*"
# A name has bounds, lest a long one be looked at for long.
_NAME = rb'"[^"\\]{0,256}+(?:\\.[^"\\]{0,256}+){0,256}+"'
_MEMBER_START = re.compile(
    _SPACE + rb"[{,]" + _SPACE + rb"(" + _NAME + rb")" + _SPACE + rb":" + _SPACE
)
_END = re.compile(_SPACE + rb"}" + _SPACE)
_OUTLINE = b'[]{}:"'
_NOT_OUTLINE = bytes(set(range(256)) - set(_OUTLINE))
# As signed bytes, what a character adds to the depth: 1, 0 or -1.
_AS_STEPS = bytes.maketrans(b"[{:]}", b"\x01\x01\x00\xff\xff")


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the object's members as their own bytes.

    Raises: Refusal malformed_body, duplicate_member, nested_too_deep, member_not_accepted or body_too_large.
    """
    _check_shape(body)
    try:
        if not body.isascii():
            body.decode("utf-8")
        members = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal(Code.MALFORMED_BODY) from None
    if len(members) > MAX_MEMBERS:
        raise Refusal(
            Code.BODY_TOO_LARGE, seen=f"It may have {MAX_MEMBERS} members at its top level."
        )
    _refuse_duplicates(body, members)
    return members


def encode_object(members: dict[str, msgspec.Raw]) -> bytes:
    return _encode(members)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(_encode(value))


def _refuse_duplicates(body: bytes, members: dict[str, msgspec.Raw]) -> None:
    """Walk the top level by the lengths of the values found: a second value for a name is not where it should be."""
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


def _check_shape(body: bytes) -> None:
    """Refuse too much depth and too many parts, looking at each byte a few times and at no text twice.

    This holds for what is well-formed; the decoder judges the rest, and stops where it ceases to be.
    """
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH and body.count(b":") <= _NAMED_MAX:
        return
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Every second piece is a text. A body of nothing but quotes is not cut to its end.
    pieces = plain.translate(_AS_STEPS, _NOT_OUTLINE).split(b'"', _QUOTES_MAX)
    outline = b"".join(pieces[:_QUOTES_MAX:2])
    steps = array("b", outline.translate(None, b"\x00")[: 2 * MAX_CONTAINERS])
    if max(accumulate(steps), default=0) > MAX_DEPTH:
        raise Refusal(Code.NESTED_TOO_DEEP)
    is_crowded = outline.count(b"\x01") > MAX_CONTAINERS or outline.count(b"\x00") > _NAMED_MAX
    if is_crowded or len(pieces) > _QUOTES_MAX:
        raise Refusal(
            Code.BODY_TOO_LARGE,
            seen=f"It may hold {MAX_CONTAINERS} objects and lists, and {_NAMED_MAX} members.",
        )
