"""Reads JSON in one meaning alone: parsers disagree on which of two equal members wins, so there may not be two."""

import base64
import binascii
import json
from typing import Any


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return the object, whose members at any depth stand once each. Raises: ValueError for anything else."""
    found = _read(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - one kind of error for whatever is wrong with the text.
    return found


def read_array(text: str | bytes) -> list[Any]:
    """Return the array, in whose objects no member stands twice. Raises: ValueError for anything else."""
    found = _read(text)
    if not isinstance(found, list):
        raise ValueError("it is no array")  # noqa: TRY004 - as above.
    return found


def decode_base64url(part: str) -> bytes:
    """Decode a part of a token, which comes without padding (RFC 7515, 2). Raises: ValueError."""
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _read(text: str | bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
