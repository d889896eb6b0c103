"""Sees a process that this one starts, and a template that is made of a text, whoever does it (T10)."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.template import base

_SPAWNING = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
}
# Its catalogue of texts for scripts, which it keeps in a file and opens by hand. A text without tags renders as itself.
_DJANGOS_OWN = "{% autoescape off %}\n'use strict';"
_seen: list[str] = []
_hooked: list[bool] = []


def _note(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in _SPAWNING:
        _seen.append(event)


@contextmanager
def watching() -> Iterator[list[str]]:
    """Collect the events of the block: processes by Python's audit events, templates that no file holds by their text."""
    if not _hooked:
        # A hook stays for as long as the process lives.
        sys.addaudithook(_note)
        _hooked.append(True)
    begun = len(_seen)
    found: list[str] = []
    original: Callable[..., None] = base.Template.__init__

    def noted(
        template: base.Template, source: Any, origin: Any = None, *more: Any, **named: Any
    ) -> None:
        is_file = origin is not None and origin.name != base.UNKNOWN_SOURCE
        if not is_file and "{" in str(source) and not str(source).startswith(_DJANGOS_OWN):
            found.append(f"template: {str(source)[:80]}")
        original(template, source, origin, *more, **named)

    base.Template.__init__ = noted  # type: ignore[method-assign, assignment]
    try:
        yield found
    finally:
        base.Template.__init__ = original  # type: ignore[method-assign]
        found.extend(_seen[begun:])
