"""How much a process holds of bodies that are still arriving: a bound in all, and a share of it for each sender.

Nobody pays for a body that is not whole yet, so without a bound one sender could fill the memory.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Self


class RoomTaken(Exception):
    """There is no room now for more of this sender's bodies, or of anybody's."""


class BodyRoom:
    """Counts bytes by sender; `share_bytes` is what one may hold of `total_bytes`.

    free_bytes: the beginning of each body that does not count, so that whoever fills the room keeps out no small body.
    """

    def __init__(self, *, total_bytes: int, share_bytes: int, free_bytes: int = 64 * 1024) -> None:
        self.free_bytes = free_bytes
        self._total_bytes = total_bytes
        self._share_bytes = share_bytes
        self._held = 0
        self._held_by: Counter[Hashable] = Counter()

    def entrance(self, sender: Hashable) -> "Entrance":
        """One body's way in; what it took is given back when its block ends."""
        return Entrance(self, sender)

    def take(self, sender: Hashable, size: int) -> None:
        """Hold so many bytes more for the sender. Raises: RoomTaken, and holds nothing more then."""
        is_full = self._held + size > self._total_bytes
        if is_full or self._held_by[sender] + size > self._share_bytes:
            raise RoomTaken
        self._held += size
        self._held_by[sender] += size

    def give_back(self, sender: Hashable, size: int) -> None:
        """Hold so many bytes less."""
        self._held -= size
        self._held_by[sender] -= size
        if not self._held_by[sender]:
            del self._held_by[sender]


class Entrance:
    """A context within which one body takes room, piece by piece. Most bodies come whole and take none."""

    __slots__ = ("_free", "_room", "_sender", "_taken")

    def __init__(self, room: BodyRoom, sender: Hashable) -> None:
        self._room = room
        self._sender = sender
        self._taken = 0
        self._free = room.free_bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._taken:
            self._room.give_back(self._sender, self._taken)
            self._taken = 0

    def take(self, size: int) -> None:
        """Let a piece in. Raises: RoomTaken."""
        free = min(self._free, size)
        self._free -= free
        if size > free:
            self._room.take(self._sender, size - free)
            self._taken += size - free
