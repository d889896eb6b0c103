"""A JSON object decoded one level deep, strictly: one name for each member, bounded in depth and in parts, UTF-8 throughout.

A name that stands twice in one object is refused at every depth (`proxy/json_twins.py`). A body holds up every other call
while it is read, so its shape is bounded before it is decoded.
"""

import msgspec

from proxy.errors import Code, Refusal
from proxy.json_outline import SLICE_BYTES, check_outline, is_simple
from proxy.json_twins import refuse_twins, refuse_twins_in_slices
from proxy.turns import Slices, at_once

MAX_MEMBERS = 128
# The members of an object whose form is not in question, such as an answer's.
decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
encode = msgspec.json.Encoder().encode


def decode_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the object's members as their own bytes.

    Raises: Refusal malformed_body, duplicate_member, nested_too_deep or body_too_large.
    """
    if not is_simple(body):
        return at_once(decode_slices(body))
    members = _decode_bounded(body)
    refuse_twins(body)
    return members


def decode_slices(body: bytes) -> Slices[dict[str, msgspec.Raw]]:
    """Do the same in slices: a large body would hold up every other call."""
    yield from check_outline(body)
    members = _decode_bounded(body)
    yield
    if len(body) <= SLICE_BYTES:
        refuse_twins(body)
    else:
        yield from refuse_twins_in_slices(body, slice_bytes=SLICE_BYTES)
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
