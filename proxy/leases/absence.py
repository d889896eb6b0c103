"""What goes on while the store is away, for each class of limit."""

import msgspec

from proxy.leases.window import Window


class Absence(msgspec.Struct, frozen=True):
    """Which limits refuse at once when nobody can lend, and which are spent from what is borrowed.

    refuses_budgets: periods with an end and fixed sums. refuses_rates: sliding windows and concurrent calls.
    """

    refuses_budgets: bool = True
    refuses_rates: bool = False

    def refuses(self, window: Window) -> bool:
        """Whether nothing more is spent of the window. A soft one never refuses."""
        if window.is_soft:
            return False
        return self.refuses_budgets if window.ends_at else self.refuses_rates
