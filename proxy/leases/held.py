"""What a call holds between its reservation and its settlement."""

import msgspec

from proxy.leases.share import Share, Slice


class Part(msgspec.Struct, frozen=True, gc=False):
    """One window's part of a reservation, and the slice that it came from."""

    share: Share
    slice: Slice
    amount: int


class Held(msgspec.Struct, eq=False):
    """Amounts taken out of every window of a call, in the order they were wanted.

    admitted_at: monotonic seconds of the moment that counts against the windows.
    """

    parts: list[Part]
    admitted_at: float
    is_settled: bool = False

    @property
    def reserved(self) -> tuple[int, ...]:
        """The amounts, in the order they were wanted."""
        return tuple(part.amount for part in self.parts)
