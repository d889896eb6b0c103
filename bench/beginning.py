"""How most proofs begin: a Latchkey of their own in a temporary folder, and its administrator."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.administrator import Administrator, start_administrator
from bench.stack import Stack, start_stack


class Beginning(NamedTuple):
    """What is there once a proof has begun."""

    folder: Path
    stack: Stack
    administrator: Administrator


@contextmanager
def begin(name: str, *, core: int | None = None) -> Iterator[Beginning]:
    """Start a Latchkey for the proof of this name, and end everything afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix=f"latchkey-{name}-") as folder,
        start_stack(Path(folder), core=core) as stack,
        start_administrator(stack.environment, str(stack.folder)) as administrator,
    ):
        yield Beginning(Path(folder), stack, administrator)
