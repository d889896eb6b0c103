"""Folders and files that only their owner reads, written whole or not at all."""

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portal.embedded.errors import EmbeddedServerError


def make_private_dir(path: Path) -> Path:
    """Make a folder nobody else can list; as root, others may pass through to what is theirs."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = 0o711 if os.geteuid() == 0 else 0o700
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file with mode 0600 in one step that survives a crash."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load_or_make(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON object in the file; make and keep it first where there is none."""
    if not path.exists():
        write_private(path, json.dumps(make(), indent=2) + "\n")
    value = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise EmbeddedServerError(f"{path} does not hold a JSON object; remove or restore it.")
    return value


def try_lock(path: Path) -> int | None:
    """Hold the file's lock until the descriptor closes, or return None if another holds it.

    The kernel drops the lock with the process, also after kill -9, so it is never stale.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
