"""All that this process holds, spent and given back without a word to the store."""

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from proxy.leases.held import Held, Part
from proxy.leases.returns import Report, Returns
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
        self._shares: dict[str, Share] = {}
        self._reviews: list[tuple[float, int, Share]] = []
        self._reviews_made = 0

    def __len__(self) -> int:
        return len(self._shares)

    def find(self, window: Window) -> Share | None:
        """The share of the window, if one is kept."""
        return self._shares.get(window.name)

    def find_named(self, store_name: str) -> Share | None:
        """The share of the window that the store calls so."""
        return self._shares.get(store_name.rpartition("{")[2].replace("}", "", 1))

    def open(self, window: Window, *, now: float) -> Share:
        """The share of the window, made when absent."""
        share = self.find(window)
        if share is None:
            if len(self._shares) >= _MOST_SHARES:
                self._forget_one()
            share = self._shares[window.name] = Share(window, slides=window.is_sliding, used_at=now)
            self._review_at(share, now + _FORGET_AFTER_S)
        return share

    def take_all(self, wants: Wants) -> Held | None:
        """Spend every want from a live slice, or none of them."""
        now = self._clock()
        parts: list[Part] = []
        shares = self._shares
        for window, amount in wants:
            share = shares.get(window.name)
            piece = share.take(amount, limit=window.limit, now=now) if share is not None else None
            if share is None or piece is None:
                for part in parts:
                    part.slice.left += part.amount
                    part.share.running -= part.amount
                return None
            parts.append(Part(share, piece, amount))
        return Held(parts, now)

    def take_unlent(self, wants: Wants) -> Held | None:
        """As `take_all`, but whoever is soft is counted at the settlement where no slice is left."""
        now = self._clock()
        lacking = {
            window
            for window, amount in wants
            if window.is_soft
            and not self.open(window, now=now).has(amount, limit=window.limit, now=now)
        }
        rest = self.take_all([want for want in wants if want[0] not in lacking])
        if rest is None or not lacking:
            return rest
        parts = iter(rest.parts)
        return Held(
            [
                self._unlent(window, now=now) if window in lacking else next(parts)
                for window, _ in wants
            ],
            now,
        )

    def _unlent(self, window: Window, *, now: float) -> Part:
        nothing = Slice(bucket=0, generation=self.generation, limit=0, expires_at=now)
        return Part(self.open(window, now=now), nothing, 0)

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
            share = part.share
            amount = claimed if claimed < MAX_AMOUNT else MAX_AMOUNT  # noqa: FURB136 - a call of min takes longer.
            share.running -= part.amount
            if share.slides:
                if amount < part.amount:
                    self.give_back(share, part.slice, part.amount - amount, now=now)
                elif amount > part.amount:
                    self._charge(share, amount - part.amount, now=now)
            else:
                self._settle_held(part, amount, now=now)

    def _settle_held(self, part: Part, amount: int, *, now: float) -> None:
        """Say what was used and what is held now, of a window where nothing slides.

        What is held now is never used up: a call's place is free again, whatever it was settled to.
        """
        share = part.share
        if share.window.is_of_now:
            amount = 0
        share.spent = min(share.spent + amount, MAX_AMOUNT)
        self.returns.report(share)
        rest = part.amount - amount
        if rest < 0:
            share.beyond = min(share.beyond - rest, MAX_AMOUNT)
        elif part.slice.generation != self.generation:
            # A store that knew nothing of the call was told of all that it holds.
            share.returned += rest
        else:
            self.give_back(share, part.slice, rest, now=now)

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
            self._owe(share, piece, amount)

    def hand_back(self, share: Share) -> None:
        """Return all that is idle of a window."""
        piece = share.slice
        if piece is None:
            return
        if piece.recallable:
            self.returns.empty(share.window)
        idle = share.empty()
        if idle:
            self._owe(share, piece, idle)

    def hand_back_where(self, is_meant: Callable[[Window], bool]) -> None:
        """Return everything idle of the windows meant."""
        for share in self._shares.values():
            if is_meant(share.window):
                self.hand_back(share)

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
            if not share.is_settled:
                # Its calls go on, or were over when nobody could be told: the store that knows nothing of them has to hear.
                self.returns.report(share)

    def doubt(self, windows: Iterable[Window]) -> None:
        """Say anew what is held of windows that may have been lent from without an answer."""
        for window in windows:
            share = self.find(window)
            if share is not None and not window.is_sliding:
                share.is_doubted = True
                self.returns.report(share)

    def restate_running(self) -> None:
        """Say anew what every call at once holds, to a store that may have given it to others."""
        for share in self._shares.values():
            if share.window.is_of_now and (share.holds() or not share.is_settled):
                share.is_doubted = True
                self.returns.report(share)

    def restore(self, reports: list[Report], *, now: float) -> None:
        """Report once more what may not have arrived: rather twice than never."""
        for report in reports:
            share = self.open(report.window, now=now)
            share.spent += report.spent
            share.spent_before += report.spent_before
            share.is_doubted = True
            self.returns.report(share)

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
        elif now - share.used_at < _FORGET_AFTER_S or not share.is_settled:
            self.hand_back(share)
            self._review_at(share, max(share.used_at, now) + _FORGET_AFTER_S)
        else:
            self._forget(share)

    def _review_at(self, share: Share, review_at: float) -> None:
        self._reviews_made += 1
        share.review_at = review_at
        heappush(self._reviews, (review_at, self._reviews_made, share))

    def _forget(self, share: Share) -> None:
        self.hand_back(share)
        if not share.is_settled:
            # The store has still to hear what came back.
            self._review_at(share, self._clock() + _FORGET_AFTER_S)
            return
        share.slice = None
        share.review_at = -1.0
        self._shares.pop(share.window.name, None)

    def _forget_one(self) -> None:
        settled = (share for share in self._shares.values() if share.is_settled)
        share = next(settled, None)
        if share is not None:
            self._forget(share)

    def _owe(self, share: Share, piece: Slice, amount: int) -> None:
        if share.slides:
            self.returns.credit(share.window, piece.bucket, amount)
        else:
            share.returned += amount
            self.returns.report(share)

    def _charge(self, share: Share, debt: int, *, now: float) -> None:
        piece = share.slice
        if piece is not None and share.is_live(now):
            from_idle = min(debt, piece.left)
            piece.left -= from_idle
            debt -= from_idle
        if debt:
            self.returns.charge(share.window, debt)
