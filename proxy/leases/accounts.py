"""The accounts of windows, as the store keeps them: whatever was lent has come back, was used, or is held by somebody."""

from collections.abc import Sequence

import msgspec

from proxy.leases.standings import Fields, StoreClock, read_stored
from proxy.leases.window import Window


class Account(msgspec.Struct, frozen=True):
    """What went out of one window where nothing slides, and what became of it, since the store counts it.

    used: all that is settled: `opening` by the ledger's word, at most `unended` by calls of which it knew no end, and
        `settled` since. Of that, what was `early` came before the ledger's word, and may stand in it too.
    lent: to processes, for calls and as slices. beyond: used by calls beyond what they had reserved.
    returned: given back. lost: lent in answers that never arrived, and so taken back. restated: held unasked by calls
        that a store had forgotten. lapsed: places of calls at once of processes that are gone.
    held: by processes that are alive. orphaned: by processes that are gone; it stays counted, for it may have been used.
    lately_orphaned: of that, what a process held that was heard of within the last minute.
    wrong: what processes and store did not agree upon.
    """

    is_open: bool
    used: int
    opening: int
    unended: int
    lent: int
    beyond: int
    settled: int
    early: int
    returned: int
    lost: int
    restated: int
    lapsed: int
    held: int
    orphaned: int
    lately_orphaned: int
    wrong: int

    @property
    def difference(self) -> int:
        """What came in less what went out; 0 in every account that is right."""
        taken = self.lent + self.beyond + self.restated
        kept = self.settled + self.returned + self.lost + self.lapsed + self.wrong
        return taken - kept - self.held - self.orphaned


def read_accounts(store_url: str, windows: Sequence[Window]) -> list[Account]:
    """Read the accounts of windows where nothing slides, in their order. Raises: redis.RedisError."""
    clock, stored = read_stored(store_url, windows)
    return [_account(fields, clock) for fields in stored]


def _account(fields: Fields, clock: StoreClock) -> Account:
    held = orphaned = lately = 0
    for name, amount in fields.items():
        if name[:1] != b"o":
            continue
        if not clock.is_gone(name[1:]):
            held += int(amount)
        else:
            orphaned += int(amount)
            lately += int(amount) * clock.was_heard_lately(name[1:])

    def entered(account: str) -> int:
        return int(fields.get(f"a{account}".encode(), 0))

    return Account(
        is_open=fields.get(b"e") == clock.epoch,
        used=int(fields.get(b"u", 0)),
        held=held,
        orphaned=orphaned,
        lately_orphaned=lately,
        opening=entered("opening"),
        unended=entered("unended"),
        lent=entered("lent"),
        beyond=entered("beyond"),
        settled=entered("settled"),
        early=entered("early"),
        returned=entered("returned"),
        lost=entered("lost"),
        restated=entered("restated"),
        lapsed=entered("lapsed"),
        wrong=entered("wrong"),
    )
