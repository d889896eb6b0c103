"""Whether any object of a JSON text, at any depth, names a member twice.

Parsers disagree on which of two equal names wins. What the gateway decides by has to be what the upstream reads, and so
has to be what somebody's own policy reads between the two.
"""

import json
from typing import Any

import msgspec

from proxy.errors import Code, Refusal
from proxy.turns import Slices

# A turn takes a few milliseconds, whatever is in it.
_PIECES_AT_ONCE = 8192
_SIGNS = b"{}[]:"
_NOT_SIGNS = bytes(set(range(256)) - set(_SIGNS))
_COLON, _OPENS_OBJECT, _OPENS_LIST = b":{["
_decode = msgspec.json.Decoder().decode
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def refuse_twins(body: bytes) -> None:
    """Let a small well-formed text pass in which no name stands twice. Raises: Refusal duplicate_member, malformed_body.

    What most clients send is, byte for byte or but for its spaces, what its own values make; a second value for a name
    would be missing from that. Only what is written otherwise is walked.
    """
    try:
        made = _encode(_decode(body))
        if made == body or made == msgspec.json.format(body, indent=-1):
            return
    except (msgspec.MsgspecError, RecursionError):
        # Numbers that this decoder does not take are JSON all the same.
        pass
    try:
        _walk(body.decode())
    except (ValueError, RecursionError):
        raise Refusal(Code.MALFORMED_BODY) from None


def refuse_twins_in_slices(body: bytes, *, slice_bytes: int) -> Slices[None]:
    """Do the same for a large text whose parts are few enough to look at each of them."""
    pieces = (yield from _without_escapes(body, slice_bytes)).split(b'"')
    yield
    objects: list[set[str]] = []
    text_start = text_end = position = 0
    for number, piece in enumerate(pieces):
        # Every second piece is a text; the last one before a colon is a name.
        if number % 2:
            text_start, text_end = position, position + len(piece)
        else:
            for sign in piece.translate(None, _NOT_SIGNS):
                if sign == _COLON:
                    _note(objects[-1], body[text_start:text_end])
                elif sign in (_OPENS_OBJECT, _OPENS_LIST):
                    objects.append(set())
                else:
                    objects.pop()
        position += len(piece) + 1
        if number % _PIECES_AT_ONCE == 0:
            yield


def _without_escapes(body: bytes, slice_bytes: int) -> Slices[bytes]:
    """The text with every escaped quote and backslash blotted out, and all else where it was."""
    blotted, start = [], 0
    while start < len(body):
        slice_ = body[start : start + slice_bytes]
        if (len(slice_) - len(slice_.rstrip(b"\\"))) % 2:
            # What the last backslash escapes belongs to it.
            slice_ = body[start : start + slice_bytes + 1]
        start += len(slice_)
        blotted.append(slice_.replace(b"\\\\", b"__").replace(b'\\"', b"__"))
        yield
    return b"".join(blotted)


def _note(names: set[str], name: bytes) -> None:
    try:
        read = _decode_name(b'"%b"' % name) if b"\\" in name else name.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Refusal(Code.MALFORMED_BODY) from None
    if read in names:
        raise Refusal(Code.DUPLICATE_MEMBER)
    names.add(read)


def _refuse_pairs(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refusal(Code.DUPLICATE_MEMBER)


# Numbers are not made: of thousands of digits Python makes none.
_walk = json.JSONDecoder(object_pairs_hook=_refuse_pairs, parse_int=len, parse_float=len).decode
