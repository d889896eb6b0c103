"""How a record lies in a file: marker, length and checksum before it, so that what is torn or damaged is seen.

The marker's first byte stands in no UTF-8 text. A caller's own words (a request id, a purpose) can therefore never be
taken for a frame when reading resumes behind a damaged one.
"""

import struct
from zlib import crc32

MARKER = b"\xff\x4c"
HEADER = struct.Struct("<2sHI")
HEADER_BYTES = HEADER.size
FRAME_BYTES_MAX = HEADER_BYTES + 0xFFFF

_pack = HEADER.pack
_unpack_from = HEADER.unpack_from


def frame(payload: bytes) -> bytes:
    """Return the payload with its header before it."""
    length = len(payload)
    return _pack(MARKER, length, crc32(payload, length)) + payload


def payload_at(data: memoryview, offset: int) -> memoryview | None:
    """Return the payload of the frame that begins here, or None where no whole, sound frame does."""
    start = offset + HEADER_BYTES
    if start > len(data):
        return None
    marker, length, checksum = _unpack_from(data, offset)
    if marker != MARKER or length == 0:
        return None
    payload = data[start : start + length]
    if len(payload) != length or crc32(payload, length) != checksum:
        return None
    return payload


def find_frame(data: bytes, offset: int) -> int | None:
    """Return where the next sound frame begins, at or after the offset, or None."""
    view = memoryview(data)
    found = data.find(MARKER, offset)
    while found >= 0:
        if payload_at(view, found) is not None:
            return found
        found = data.find(MARKER, found + 1)
    return None
