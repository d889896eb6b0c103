"""A process's own directory of segments, held by a lock that the kernel drops when the process dies."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import uuid_utils

LOCK_NAME = "lock"
SEGMENT_SUFFIX = ".seg"
DAMAGED_NAME = "damaged"


class JournalDirectory:
    """A directory of segments that this process alone may write, ship and remove."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    @classmethod
    def create(cls, root: Path) -> "JournalDirectory":
        """Make a new directory under the root and hold it.

        It gets its name only once the lock is held: under its name, an unlocked directory is a dead process's.
        """
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = str(uuid_utils.uuid7())
        fresh = root / f".{name}"
        fresh.mkdir(mode=0o700)
        lock_fd = os.open(fresh / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh.rename(root / name)
        return cls(root / name, lock_fd)

    @classmethod
    def take(cls, path: Path) -> "JournalDirectory | None":
        """Hold a directory whose process is dead, or return None where it lives or another was first."""
        try:
            lock_fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have shipped and removed the directory since it was opened here.
            if os.fstat(lock_fd).st_nlink:
                return cls(path, lock_fd)
        except BlockingIOError:
            pass
        os.close(lock_fd)
        return None

    def segment_path(self, number: int) -> Path:
        """Return where the segment of this number stands."""
        return self.path / f"{number:08d}{SEGMENT_SUFFIX}"

    def segment_numbers(self) -> list[int]:
        """Return the numbers of the segments on disk, oldest first."""
        return sorted(int(path.stem) for path in self.path.glob(f"[0-9]*{SEGMENT_SUFFIX}"))

    def delete_before(self, number: int) -> None:
        """Delete the segments before this one: all that they say has been shipped or carried over.

        Oldest first, so that an end is never gone while its admission still stands.
        """
        for older in self.segment_numbers():
            if older < number:
                self.segment_path(older).unlink(missing_ok=True)

    def set_aside(self, number: int) -> Path:
        """Move a damaged segment to where nobody deletes it, for a person to look at."""
        damaged = self.path.parent / DAMAGED_NAME
        damaged.mkdir(mode=0o700, exist_ok=True)
        kept = damaged / f"{self.path.name}-{number:08d}{SEGMENT_SUFFIX}"
        with suppress(FileNotFoundError):
            self.segment_path(number).rename(kept)
        return kept

    def release(self) -> None:
        """Give up the lock; what is left in the directory is a successor's."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def remove(self) -> None:
        """Remove the directory with all that is in it, then give up the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()


def process_directories(root: Path) -> Iterator[Path]:
    """Yield the directories of processes, dead or alive, oldest first."""
    with suppress(FileNotFoundError):
        for path in sorted(root.iterdir()):
            if _is_uuid(path.name) and path.is_dir():
                yield path


def disk_bytes(root: Path) -> int:
    """Return what all segments under the root take up, damaged ones included."""
    total = 0
    for path in root.glob(f"*/*{SEGMENT_SUFFIX}"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
