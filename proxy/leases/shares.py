"""All that this process holds, spent and given back without a word to the store."""

from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from proxy.leases.held import Held, Part
from proxy.leases.returns import Returns
from proxy.leases.share import Share, Slice
from proxy.leases.window import MAX_AMOUNT, Window

_FORGET_AFTER_S = 30.0
_MOST_SHARES = 100_000

Wants = Sequence[tuple[Window, int]]


class Shares:
    """The shares of every window that was lately used, bounded in number and in time."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.returns = Returns()
        self.generation = 0
        self._clock = clock
        self._shares: dict[tuple[str, int], Share] = {}
        self._reviews: list[tuple[float, int, Share]] = []
        self._reviews_made = 0

    def __len__(self) -> int:
        return len(self._shares)

    def find(self, window: Window) -> Share | None:
        """The share of the window, if one is kept."""
        return self._shares.get((window.key, window.length_s))

    def find_named(self, store_name: str) -> Share | None:
        """The share of the window that the store calls so."""
        name, _, length = store_name.rpartition(":")
        if not length.isdecimal():
            return None
        return self._shares.get((name.rpartition("{")[2].rstrip("}"), int(length)))

    def open(self, window: Window, *, now: float) -> Share:
        """The share of the window, made when absent."""
        share = self.find(window)
        if share is None:
            if len(self._shares) >= _MOST_SHARES:
                self._forget(next(iter(self._shares.values())))
            share = self._shares[window.key, window.length_s] = Share(window, used_at=now)
            self._review_at(share, now + _FORGET_AFTER_S)
        return share

    def take_all(self, wants: Wants) -> Held | None:
        """Spend every want from a live slice, or none of them."""
        now = self._clock()
        parts: list[Part] = []
        shares = self._shares
        for window, amount in wants:
            share = shares.get((window.key, window.length_s))
            piece = share.take(amount, limit=window.limit, now=now) if share is not None else None
            if share is None or piece is None:
                for part in parts:
                    part.slice.left += part.amount
                return None
            parts.append(Part(share, piece, amount))
        return Held(parts, now)

    def settle(self, held: Held, used: Sequence[int]) -> None:
        """Give back what was reserved and not used, charge what was used and not reserved."""
        if held.is_settled:
            return
        for amount in used:
            if type(amount) is not int or amount < 0:
                raise ValueError("settle wants whole numbers, 0 or more")
        if len(used) != len(held.parts):
            raise ValueError("settle wants one number for each part held")
        held.is_settled = True
        now = self._clock()
        for part, claimed in zip(held.parts, used, strict=True):
            amount = min(claimed, MAX_AMOUNT)
            if amount < part.amount:
                self.give_back(part.share, part.slice, part.amount - amount, now=now)
            elif amount > part.amount:
                self._charge(part.share, amount - part.amount, now=now)

    def give_back(self, share: Share, piece: Slice, amount: int, *, now: float) -> None:
        """Return an amount to where it came from: the live slice, or the store's bucket.

        It stays here only where the store knows whom to ask for it.
        """
        if piece.generation != self.generation or amount == 0:
            return
        share.refusal = None
        if share.slice is piece and piece.recallable and now < piece.expires_at:
            piece.left += amount
        else:
            piece.lent -= amount
            self.returns.credit(share.window, piece.bucket, amount)

    def hand_back(self, share: Share) -> None:
        """Return all that is idle of a window."""
        piece = share.slice
        if piece is None:
            return
        if piece.recallable:
            self.returns.empty(share.window)
        idle = share.empty()
        if idle:
            self.returns.credit(share.window, piece.bucket, idle)

    def hand_back_all(self) -> None:
        """Return everything idle."""
        for share in self._shares.values():
            self.hand_back(share)

    def renew(self, share: Share, fresh: Slice, *, now: float) -> Slice:
        """Spend from `fresh` from now on."""
        piece = share.renew(fresh, now=now)
        share.used_at = now
        self._review_at(share, piece.expires_at)
        return piece

    def lose_all(self) -> None:
        """Forget every slice: the store that lent them is gone, and so is what it was owed."""
        self.generation += 1
        self.returns.forget_credits()
        for share in self._shares.values():
            share.lose()

    def sweep(self) -> None:
        """Return what is over, and forget what has not been used for long."""
        now = self._clock()
        while self._reviews and self._reviews[0][0] <= now:
            review_at, _, share = heappop(self._reviews)
            if review_at == share.review_at:
                self._review(share, now=now)

    def _review(self, share: Share, *, now: float) -> None:
        if share.is_live(now) and share.slice is not None:
            self._review_at(share, share.slice.expires_at)
        elif now - share.used_at < _FORGET_AFTER_S:
            self.hand_back(share)
            self._review_at(share, share.used_at + _FORGET_AFTER_S)
        else:
            self._forget(share)

    def _review_at(self, share: Share, review_at: float) -> None:
        self._reviews_made += 1
        share.review_at = review_at
        heappush(self._reviews, (review_at, self._reviews_made, share))

    def _forget(self, share: Share) -> None:
        self.hand_back(share)
        share.slice = None
        share.review_at = -1.0
        self._shares.pop((share.window.key, share.window.length_s), None)

    def _charge(self, share: Share, debt: int, *, now: float) -> None:
        piece = share.slice
        if piece is not None and share.is_live(now):
            from_idle = min(debt, piece.left)
            piece.left -= from_idle
            debt -= from_idle
        if debt:
            self.returns.charge(share.window, debt)
