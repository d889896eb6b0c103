"""Server-sent events (WHATWG HTML, 9.2) cut out of a byte stream, however it was chunked."""

import re

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")


class EventTooLarge(Exception):
    """One event is larger than the bound; nothing more can be read from this stream."""


class EventReader:
    """Collects chunks and gives back the data of every event that is whole."""

    def __init__(self, *, max_event_bytes: int) -> None:
        self._rest = b""
        self._max_event_bytes = max_event_bytes

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that this chunk completes; comments and other fields are dropped.

        Raises: EventTooLarge.
        """
        whole = self._rest + chunk if self._rest else chunk
        *events, self._rest = _END_OF_EVENT.split(whole)
        if len(self._rest) > self._max_event_bytes:
            raise EventTooLarge
        return [data for event in events if (data := _data_of(event)) is not None]

    @property
    def holds_part_of_an_event(self) -> bool:
        return bool(self._rest.strip())


def _data_of(event: bytes) -> bytes | None:
    if event.startswith(b"data: ") and b"\n" not in event and b"\r" not in event:
        return event[6:]
    lines = [
        line[5:].removeprefix(b" ")
        for line in _END_OF_LINE.split(event)
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
