"""What this process holds of one window: a slice, its pace, and what the store said last."""

import math

import msgspec

from proxy.leases.window import Standing, Window

_REFUSAL_HOLDS_S = 0.05


class Slice(msgspec.Struct, eq=False):
    """An amount lent in one bucket, which may be spent until that bucket ends.

    generation: counts the store's epochs seen; a slice of an earlier one is worth nothing.
    expires_at: monotonic seconds, from before the store was asked: never later than the bucket.
    recallable: the store knows that something idle may be here.
    """

    bucket: int
    generation: int
    limit: int
    expires_at: float
    left: int = 0
    lent: int = 0
    recallable: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """The store's no, repeated here for a moment instead of asking again."""

    amount: int
    limit: int
    remaining: int
    until: float
    retry_at: float


class Share(msgspec.Struct, eq=False):
    """The local side of one window.

    pace: what was lately spent within one slice's life; the next slice is that large.
    running: what calls that are not settled hold, whichever slice it came from.
    spent: used and settled, and not yet on its way to the store; only where nothing slides, as what follows.
    spent_before: what was spent and not yet on its way when a store was lost; it counts where the ledger was asked without it.
    returned: given back of what was lent, and not yet on its way to the store.
    beyond: of what was spent, what nobody had reserved.
    is_doubted: an answer may have got lost, so that the store may know of more, or of less, than is held here.
    """

    window: Window
    slides: bool
    slice: Slice | None = None
    pace: int = 0
    running: int = 0
    spent: int = 0
    spent_before: int = 0
    returned: int = 0
    beyond: int = 0
    is_doubted: bool = False
    refusal: Refusal | None = None
    store_remaining: int | None = None
    empty_at: float = 0.0
    used_at: float = 0.0
    review_at: float = 0.0

    def take(self, amount: int, *, limit: int, now: float) -> Slice | None:
        """Spend from the live slice; None if it is over, too small, or lent under a higher limit."""
        piece = self.slice
        if (
            piece is None
            or now >= piece.expires_at
            or type(amount) is not int
            or not 0 <= amount <= piece.left
            or piece.limit > limit
        ):
            return None
        piece.left -= amount
        self.running += amount
        return piece

    def has(self, amount: int, *, limit: int, now: float) -> bool:
        """Whether `take` would succeed."""
        piece = self.slice
        return (
            piece is not None
            and now < piece.expires_at
            and 0 <= amount <= piece.left
            and piece.limit <= limit
        )

    @property
    def is_settled(self) -> bool:
        """Whether nobody counts on it any more."""
        owes = self.spent or self.spent_before or self.returned or self.beyond
        return self.slides or not (self.running or owes)

    def holds(self) -> int:
        """All that the store has to count as held here."""
        return self.running + (self.slice.left if self.slice is not None else 0)

    def is_live(self, now: float) -> bool:
        """Whether the slice may be spent from at all."""
        return self.slice is not None and now < self.slice.expires_at

    def wanted_slice(self, now: float) -> int:
        """How much beyond the call itself is worth borrowing, by what was spent lately."""
        piece = self.slice
        if self.window.is_of_now:
            # Its places come back, so that what was spent lately says nothing; what runs says how many are needed.
            return max(self.running, 1)
        if not self.window.is_sliced or piece is None:
            return 0
        spent = piece.lent - piece.left
        idle_s = now - piece.expires_at
        if idle_s <= 0:
            return max(self.pace, spent)
        idle_lives = int(idle_s / min(self.window.bucket_us / 1_000_000, 2.0))
        return int(max(self.pace >> 1, spent) >> min(idle_lives, 62))

    def renew(self, fresh: Slice, *, now: float) -> Slice:
        """Put a new slice in the place of the old, or join it to the live one of the same bucket."""
        old = self.slice
        joins = (
            old is not None
            and self.is_live(now)
            and (old.bucket, old.generation, old.limit)
            == (fresh.bucket, fresh.generation, fresh.limit)
        )
        if old is not None and joins:
            old.left += fresh.left
            old.lent += fresh.lent
            old.recallable = fresh.recallable
            return old
        self.pace = self.wanted_slice(now)
        self.slice = fresh
        return fresh

    def empty(self) -> int:
        """Take out all that is idle, to be returned."""
        piece = self.slice
        if piece is None:
            return 0
        idle, piece.left = piece.left, 0
        piece.lent -= idle
        piece.recallable = False
        return idle

    def lose(self) -> None:
        """Forget what a store said and lent that is no more; what was used of it is in the ledger."""
        self.spent_before += self.spent
        self.spent = self.returned = self.beyond = 0
        self.is_doubted = True
        self.slice = self.refusal = self.store_remaining = None

    def refuse(
        self, *, amount: int, limit: int, remaining: int, wait_s: float, now: float
    ) -> Refusal:
        """Remember a refusal for as long as nothing can have changed much."""
        holds_s = min(_REFUSAL_HOLDS_S, self.window.bucket_us / 4_000_000, wait_s)
        self.refusal = Refusal(
            amount=amount,
            limit=limit,
            remaining=remaining,
            until=now + holds_s,
            retry_at=now + wait_s,
        )
        return self.refusal

    def known_refusal(self, amount: int, *, limit: int, now: float) -> Refusal | None:
        """The store's last no, if it still answers this want."""
        no = self.refusal
        if no is None or now >= no.until or amount < no.amount or limit > no.limit:
            return None
        return no

    def standing(self, limit: int, *, now: float) -> Standing:
        """What the store said last, corrected by what is held here."""
        if self.store_remaining is None or now >= self.empty_at:
            return Standing(limit, limit, 0.0)
        piece, remaining = self.slice, self.store_remaining
        if piece is not None and now < piece.expires_at:
            remaining += piece.left
        return Standing(limit, max(0, min(limit, remaining)), self.empty_at - now)


def whole_seconds(wait_s: float) -> int:
    """Round up, so that a caller who waits that long does not come too early."""
    return max(1, math.ceil(wait_s))
