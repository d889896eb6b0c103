"""Why nothing was reserved.

LeaseRefused
├── LimitReached    a window has no room; the caller's doing
└── StoreAway       the store cannot be asked; nobody's doing
"""

from proxy.leases.window import Window


class LeaseRefused(Exception):
    """Nothing was reserved in any of the windows."""


class LimitReached(LeaseRefused):
    """A window has no room for what was wanted.

    remaining: what a smaller call could still have.
    retry_after_s: whole seconds, rounded up; None when the want is above the limit itself.
    """

    def __init__(
        self, window: Window, *, limit: int, remaining: int, retry_after_s: int | None
    ) -> None:
        when = "never fits" if retry_after_s is None else f"retry after {retry_after_s} s"
        super().__init__(
            f"limit {limit} per {window.length_s} s of {window.key}: {remaining} left, {when}"
        )
        self.window = window
        self.limit = limit
        self.remaining = remaining
        self.retry_after_s = retry_after_s


class StoreAway(LeaseRefused):
    """The share already borrowed is spent and the store cannot lend more."""

    def __init__(self, *, retry_after_s: int = 1) -> None:
        super().__init__(f"the limits store does not answer: retry after {retry_after_s} s")
        self.retry_after_s = retry_after_s
