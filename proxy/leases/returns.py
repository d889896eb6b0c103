"""What goes back to the store: merged until the next call takes it along."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from proxy.leases.share import Share
from proxy.leases.window import MAX_AMOUNT, Window

_MOST_CREDITS = 100_000


class Report(msgspec.Struct, frozen=True):
    """What a process holds of a window where nothing slides, and how it came to that since it reported last.

    What is said stands together: sent again, it says what it said, and later changes are the next report's.
    """

    window: Window
    holds: int
    spent: int
    returned: int
    beyond: int
    is_doubted: bool
    spent_before: int


class ReturnBatch(msgspec.Struct, frozen=True):
    """Returns that travel together and count once, however often they are sent.

    credits: (window, bucket, amount) lent in the bucket and not used.
    debts: (window, amount) used beyond what was reserved.
    emptied: windows of which nothing idle is held any more.
    reports: of windows whose holdings the store has to hear anew.
    """

    number: int
    credits: list[tuple[Window, int, int]]
    debts: list[tuple[Window, int]]
    emptied: list[Window]
    reports: list[Report]

    def windows(self) -> Iterator[Window]:
        """Every window named, some of them more than once."""
        yield from (entry[0] for entry in self.credits)
        yield from (entry[0] for entry in self.debts)
        yield from self.emptied
        yield from (report.window for report in self.reports)


class Returns:
    """Credits and debts that the store has not been told of."""

    def __init__(self) -> None:
        self._credits: dict[tuple[Window, int], int] = {}
        self._debts: dict[Window, int] = {}
        self._emptied: dict[Window, None] = {}
        self._reports: dict[str, Share] = {}
        self._batches = 0

    def __bool__(self) -> bool:
        return bool(self._credits or self._debts or self._emptied or self._reports)

    @property
    def has_reports(self) -> bool:
        """Whether the store has still to hear of holdings."""
        return bool(self._reports)

    def credit(self, window: Window, bucket: int, amount: int) -> None:
        """Give `amount` back to the bucket that it was lent in.

        Beyond a bound of distinct buckets it is dropped: the window stays tighter, never looser.
        """
        entry = (window, bucket)
        if entry in self._credits or len(self._credits) < _MOST_CREDITS:
            self._credits[entry] = self._credits.get(entry, 0) + amount

    def charge(self, window: Window, amount: int) -> None:
        """Count `amount` on top of what was reserved, up to what the store can add up exactly."""
        self._debts[window] = min(self._debts.get(window, 0) + amount, MAX_AMOUNT)

    def empty(self, window: Window) -> None:
        """Tell the store that nothing idle is held of the window."""
        self._emptied[window] = None

    def report(self, share: Share) -> None:
        """Tell the store what is held, and what was spent, of a window where nothing slides."""
        self._reports[share.window.name] = share

    def forget_credits(self) -> None:
        """Drop what was owed to an epoch that is over."""
        self._credits.clear()
        self._emptied.clear()

    def pack(self, *, most: int) -> ReturnBatch | None:
        """Take out up to `most` entries of each kind; None when there is nothing."""
        if not self or most < 1:
            return None
        self._batches += 1
        returned = [
            (window, bucket, amount)
            for (window, bucket), amount in islice(self._credits.items(), most)
        ]
        debts = list(islice(self._debts.items(), most))
        emptied = list(islice(self._emptied, most))
        for window, bucket, _ in returned:
            del self._credits[window, bucket]
        for window, _ in debts:
            del self._debts[window]
        for window in emptied:
            del self._emptied[window]
        return ReturnBatch(
            number=self._batches,
            credits=returned,
            debts=debts,
            emptied=emptied,
            reports=self._pack_reports(most),
        )

    def _pack_reports(self, most: int) -> list[Report]:
        reports = []
        for name in list(islice(self._reports, most)):
            share = self._reports.pop(name)
            reports.append(
                Report(
                    share.window,
                    share.holds(),
                    share.spent,
                    share.returned,
                    share.beyond,
                    share.is_doubted,
                    share.spent_before,
                )
            )
            share.spent = share.spent_before = share.returned = share.beyond = 0
            share.is_doubted = False
        return reports
