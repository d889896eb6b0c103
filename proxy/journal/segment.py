"""One file of the journal: of a fixed size, its space reserved before anything is written to it.

Records are copied into a shared mapping of the file. That outlives the process like write() does, and costs no system
call: each of those let go of the interpreter and had to win it back, which took longer than the writing.
"""

import errno
import mmap
import os
from contextlib import suppress
from pathlib import Path

_ZEROS = bytes(1 << 20)
_NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Segment:
    """A segment open for writing; `written_bytes` is where the next record goes."""

    __slots__ = (
        "_fd",
        "_given_back_bytes",
        "_map",
        "number",
        "path",
        "size_bytes",
        "written_bytes",
    )

    def __init__(self, path: Path, number: int, size_bytes: int, fd: int) -> None:
        self.path = path
        self.number = number
        self.size_bytes = size_bytes
        self.written_bytes = 0
        self._given_back_bytes = 0
        self._fd = fd
        self._map = mmap.mmap(fd, size_bytes)

    @classmethod
    def create(cls, path: Path, number: int, size_bytes: int) -> "Segment":
        """Make the file and reserve its space, so that no later write can find the disk full.

        Raises: OSError, with nothing left behind, where there is no space.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _reserve(fd, size_bytes)
            return cls(path, number, size_bytes, fd)
        except OSError:
            # A file left behind would stand in the way of every later attempt at this number.
            os.close(fd)
            path.unlink(missing_ok=True)
            raise

    def write(self, data: bytes) -> None:
        """Append the data. After an OSError nothing counts as written, and the next write takes its place."""
        start = self.written_bytes
        end = start + len(data)
        if end > self.size_bytes:
            raise OSError(errno.ENOSPC, "the segment has no room left", str(self.path))
        self._map[start:end] = data
        self.written_bytes = end

    def give_memory_back(self) -> None:
        """Let this process hold no page that is full: the file keeps it, and nothing is written there again."""
        full_bytes = self.written_bytes - self.written_bytes % mmap.PAGESIZE
        if full_bytes > self._given_back_bytes:
            length = full_bytes - self._given_back_bytes
            self._map.madvise(mmap.MADV_DONTNEED, self._given_back_bytes, length)
            self._given_back_bytes = full_bytes

    def sync(self) -> None:
        """Wait until what was written is on the disk itself."""
        self._map.flush()
        _sync_data(self._fd)

    def close(self) -> None:
        """Give back the space that was not used; nothing is written here any more."""
        if self._fd < 0:
            return
        self._map.close()
        with suppress(OSError):
            os.ftruncate(self._fd, self.written_bytes)
        os.close(self._fd)
        self._fd = -1

    def discard(self) -> None:
        """Close the file and delete it."""
        self.close()
        self.path.unlink(missing_ok=True)


def _reserve(fd: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
        else:
            return
    offset = 0
    while offset < size_bytes:
        offset += os.pwrite(fd, _ZEROS[: size_bytes - offset], offset)


def _sync_data(fd: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(fd)
