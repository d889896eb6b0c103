"""Ctrl-C and SIGTERM as a wish that is noticed at safe places, never in the middle of a start."""

import signal
import time
from types import FrameType


class StopRequestedError(Exception):
    """Someone pressed Ctrl-C or sent SIGTERM; what was started is to be ended."""


class StopRequest:
    """Remembers that a stop was asked for; a process that was just started is never lost to it."""

    def __init__(self) -> None:
        """Listen from now on; call it in the main thread."""
        self._requested = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def obey(self) -> None:
        """Raise StopRequestedError if a stop was asked for."""
        if self._requested:
            raise StopRequestedError

    def sleep(self, seconds: float) -> None:
        """Sleep, but no longer than until someone asks for a stop."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.obey()
            time.sleep(min(0.05, seconds))
        self.obey()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
