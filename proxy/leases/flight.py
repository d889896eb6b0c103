"""One round trip for everybody who waits: asks are gathered, sent together and answered."""

import asyncio

import msgspec

from proxy.leases.held import Held, Part
from proxy.leases.request import CLOSED, RECALLING, Answer, Lent, Outcome, Request, decode_lent
from proxy.leases.share import Share, Slice
from proxy.leases.shares import Shares
from proxy.leases.window import Window

# A monotonic clock and the store's, which may read whole milliseconds, are never this far apart.
_MARGIN_S = 0.001


class Ask(msgspec.Struct, eq=False):
    """One caller's wants, and where the answer goes.

    give_up_at: when a late or lost answer is the store's absence.
    recall_until: how long idle slices are waited for, set by the first refusal.
    everything: ask the store for all windows, since the local slices ran out meanwhile.
    """

    wants: list[tuple[Window, int]]
    future: asyncio.Future[Held]
    give_up_at: float
    recall_until: float | None = None
    everything: bool = False


class Refused(msgspec.Struct, frozen=True):
    """The window that refused an ask, with the amount wanted of it."""

    share: Share
    window: Window
    amount: int
    remaining: int
    wait_s: float
    is_recalling: bool
    is_closed: bool


class Flight:
    """Gathers asks into one request and deals out what comes back."""

    def __init__(self, shares: Shares) -> None:
        self.request = Request()
        self.asks: list[Ask] = []
        self._asked: dict[Ask, list[Window]] = {}
        self._shares = shares
        self._lent: dict[str, tuple[Share, Lent, Slice]] = {}

    def board(self, ask: Ask, *, now: float) -> bool:
        """Add an ask; False where a window is asked for under another limit in this flight."""
        lacking = [want for want in ask.wants if self._lacks(want, ask, now=now)]
        limits = [(self.request.limit_of(window), window.limit) for window, _ in lacking]
        if any(other is not None and other != limit for other, limit in limits):
            return False
        self.request.ask([(self._place(window, now=now), amount) for window, amount in lacking])
        self.asks.append(ask)
        self._asked[ask] = [window for window, _ in lacking]
        return True

    def land(self, answer: Answer, *, sent_at: float, now: float) -> None:
        """Take over what the store said of each window and lent of it."""
        for window, fields in zip(self.request.windows, answer.lent, strict=True):
            if fields:
                self._take_over(window, decode_lent(fields), sent_at=sent_at, now=now)

    def deal(self, ask: Ask, *, now: float) -> Held | None:
        """Give a granted ask what was lent for it; None when it came too late or fell short."""
        parts: list[Part] = []
        is_whole = not ask.future.done()
        for window, amount in ask.wants:
            is_asked = window in self._asked[ask]
            part = self._lent_part(window, amount) if is_asked else self._own(window, amount, now)
            if part is None:
                is_whole = False
            else:
                parts.append(part)
        if is_whole and all(now < part.slice.expires_at for part in parts):
            return Held(parts, now)
        for part in parts:
            part.share.running -= part.amount
            self._shares.give_back(part.share, part.slice, part.amount, now=now)
        return None

    def explain(self, ask: Ask, outcome: Outcome) -> Refused:
        """Which window refused, and what is known of it."""
        window = self.request.windows[outcome.refused_by - 1]
        share, lent, _ = self._lent[window.name]
        amount = next(n for wanted, n in ask.wants if wanted == window)
        return Refused(
            share=share,
            window=window,
            amount=amount,
            remaining=max(0, lent.remaining),
            wait_s=outcome.wait_us / 1_000_000,
            is_recalling=outcome.recalling == RECALLING,
            is_closed=outcome.recalling == CLOSED,
        )

    def _lacks(self, want: tuple[Window, int], ask: Ask, *, now: float) -> bool:
        window, amount = want
        share = self._shares.find(window)
        if ask.everything or share is None or self.request.limit_of(window) is not None:
            return True
        return not share.has(amount, limit=window.limit, now=now)

    def _place(self, window: Window, *, now: float) -> int:
        """What is idle of a window goes back in the call that asks for more of it."""
        share = self._shares.open(window, now=now)
        place = self.request.place_of(window, slice_wanted=share.wanted_slice(now), asked=True)
        self._shares.hand_back(share)
        return place

    def _take_over(self, window: Window, lent: Lent, *, sent_at: float, now: float) -> None:
        share = self._shares.open(window, now=now)
        share.store_remaining = lent.remaining
        share.empty_at = sent_at + lent.empty_us / 1_000_000
        fresh = Slice(
            bucket=lent.bucket,
            generation=self._shares.generation,
            limit=window.limit,
            expires_at=sent_at + lent.life_us / 1_000_000 - _MARGIN_S,
            left=lent.slice,
            lent=lent.slice,
            recallable=lent.slice > 0,
        )
        piece = self._shares.renew(share, fresh, now=now)
        self._lent[window.name] = (share, lent, piece)

    def _lent_part(self, window: Window, amount: int) -> Part:
        """What the store lent for this very ask."""
        share, _, piece = self._lent[window.name]
        piece.lent += amount
        share.running += amount
        return Part(share, piece, amount)

    def _own(self, window: Window, amount: int, now: float) -> Part | None:
        """What was not asked for, because a slice had enough when the flight left."""
        share = self._shares.find(window)
        piece = share.take(amount, limit=window.limit, now=now) if share is not None else None
        return None if share is None or piece is None else Part(share, piece, amount)
