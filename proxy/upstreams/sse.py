"""Server-sent events (WHATWG HTML, 9.2) cut out of a byte stream, however it was chunked."""

import re

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(Exception):
    """One event is larger than the bound; nothing more can be read from this stream."""


class EventReader:
    """Collects chunks and gives back the data of every event that is whole."""

    def __init__(self, *, max_event_bytes: int) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._seam = b""
        self._max_event_bytes = max_event_bytes

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that this chunk completes; comments and other fields are dropped.

        Raises: EventTooLarge.
        """
        if self._pieces and _END_OF_EVENT.search(self._seam + chunk) is None:
            # Only the seam is looked at again: an event that comes byte by byte must not be read anew each time.
            self._pieces.append(chunk)
            self._note(self._size + len(chunk), seam=self._seam + chunk)
            return []
        whole = b"".join((*self._pieces, chunk)) if self._pieces else chunk
        *events, rest = _END_OF_EVENT.split(whole)
        self._pieces = [rest] if rest else []
        self._note(len(rest), seam=rest)
        return [data for event in events if (data := _data_of(event)) is not None]

    def _note(self, size: int, *, seam: bytes) -> None:
        """Remember how much is held, and the last bytes that could begin an event's end."""
        if size > self._max_event_bytes:
            raise EventTooLarge
        self._size = size
        self._seam = seam[-3:]


def _data_of(event: bytes) -> bytes | None:
    if event.startswith(b"data: ") and b"\n" not in event and b"\r" not in event:
        return event[6:]
    lines = [
        line[5:].removeprefix(b" ")
        for line in _END_OF_LINE.split(event)
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
