"""Limits that hold over every process, spent from leases in memory."""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable

from proxy.leases.absence import Absence
from proxy.leases.borrower import Borrower
from proxy.leases.flight import Ask
from proxy.leases.held import Held
from proxy.leases.recall import RecallListener
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.share import whole_seconds
from proxy.leases.shares import Shares, Wants
from proxy.leases.store import Store
from proxy.leases.window import Standing, Window, require_amount

_log = logging.getLogger("latchkey.leases")
_CALL_TIMEOUT_S = 0.25
# A caller may wait for the round trip under way and for two of its own; whatever happens, not for longer.
_PATIENCE_CALLS = 8
_AS_DOCUMENTED = Absence()
_PROCESS_ID = re.compile(r"[A-Za-z0-9_.:-]{1,80}", re.ASCII)


class LeaseBook:
    """Reserves from every window of a call or from none; one for each process and event loop.

    Over any number of processes, what is reserved in any stretch of a window's length stays within
    its limit. A call that a borrowed slice can serve makes no round trip.
    """

    def __init__(
        self,
        store_url: str,
        *,
        process_id: str,
        clock: Callable[[], float] = time.monotonic,
        call_timeout_s: float = _CALL_TIMEOUT_S,
        absence: Absence = _AS_DOCUMENTED,
        on_closed: Callable[[], None] | None = None,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        """on_closed: hears that a caller wants a period which waits for `rebuild`, and has it opened at once.

        is_behind: whether the ledger may lack calls of this process that were over some time ago; `rebuild` has to wait for them.
        """
        if not _PROCESS_ID.fullmatch(process_id):
            raise ValueError("process_id is 1 to 80 of A-Z a-z 0-9 _ . : -")
        # A restarted process may bear the same id; the store must not take it for the old one.
        process = f"{process_id}.{secrets.token_hex(4)}"
        self._clock = clock
        self._call_timeout_s = call_timeout_s
        self._shares = Shares(clock=clock)
        self._store = Store(store_url, timeout_s=call_timeout_s)
        self._borrower = Borrower(
            self._store,
            self._shares,
            process=process,
            clock=clock,
            absence=absence,
            on_closed=on_closed,
            is_behind=is_behind,
        )
        self._listener = RecallListener(
            store_url, process=process, on_recall=self._borrower.return_named
        )
        self._is_open = False

    async def start(self) -> None:
        """Begin to borrow; a store that is away is found by itself later."""
        self._is_open = True
        await self._borrower.start()
        self._listener.start()

    async def stop(self) -> None:
        """Refuse who still waits, and return everything idle."""
        self._is_open = False
        await self._listener.stop()
        await self._borrower.stop()
        await self._store.close()

    def try_reserve(self, wants: Wants) -> Held | None:
        """Reserve from what is already borrowed, without a round trip; None where that falls short."""
        return self._shares.take_all(wants)

    async def reserve(self, wants: Wants) -> Held:
        """Reserve every want or none, borrowing where it must.

        Two calls racing for the last unit cannot both win, in whatever process they are.

        Raises: LimitReached, or StoreAway when the borrowed share is spent and nobody lends more.
        """
        held = self._shares.take_all(wants)
        if held is not None:
            return held
        self.check(wants)
        if self._is_open and not self._store.is_away:
            try:
                return await self._borrow(list(wants))
            except StoreAway:
                if not self._store.is_away:
                    raise
        held = self._shares.take_unlent(wants) if self._is_open else None
        if held is None:
            raise StoreAway
        return held

    def settle(self, held: Held, used: tuple[int, ...] | list[int]) -> None:
        """Give back what was reserved and not used; what was used beyond it is charged, never refused.

        Only the first settlement of a reservation counts.
        """
        self._shares.settle(held, used)

    def standing(self, window: Window) -> Standing:
        """How the window stands as far as this process knows, for a reply's headers."""
        share = self._shares.find(window)
        if share is None:
            return Standing(limit=window.limit, remaining=window.limit, reset_s=0.0)
        return share.standing(window.limit, now=self._clock())

    @property
    def store_is_away(self) -> bool:
        """Whether the last call to the store failed."""
        return self._store.is_away

    @property
    def windows_kept(self) -> int:
        """How many windows this process remembers."""
        return len(self._shares)

    def check(self, wants: Wants) -> None:
        """Refuse at once what is malformed, what can never fit, and what was just refused. Raises: LimitReached."""
        names = {window.name for window, _ in wants}
        if len(names) != len(wants):
            raise ValueError("each window is wanted once in a call")
        now = self._clock()
        for window, amount in wants:
            require_amount(amount, name="amount")
            if amount > window.limit and not window.is_soft:
                remaining = self.standing(window).remaining
                raise LimitReached(
                    window, limit=window.limit, remaining=remaining, retry_after_s=None
                )
            self._repeat_refusal(window, amount, now=now)

    def _repeat_refusal(self, window: Window, amount: int, *, now: float) -> None:
        share = self._shares.find(window)
        no = share.known_refusal(amount, limit=window.limit, now=now) if share else None
        if no is not None:
            raise LimitReached(
                window,
                limit=window.limit,
                remaining=no.remaining,
                retry_after_s=whole_seconds(no.retry_at - now),
            )

    async def _borrow(self, wants: list[tuple[Window, int]]) -> Held:
        future: asyncio.Future[Held] = asyncio.get_running_loop().create_future()
        self._borrower.enlist(Ask(wants, future, give_up_at=self._clock() + self._call_timeout_s))
        try:
            async with asyncio.timeout(_PATIENCE_CALLS * self._call_timeout_s):
                return await future
        except TimeoutError:
            self._let_go(future)
            _log.error("A caller was left without an answer from the limits store.")
            raise StoreAway from None
        except asyncio.CancelledError:
            self._let_go(future)
            raise

    def _let_go(self, future: asyncio.Future[Held]) -> None:
        """Return what was granted in the very moment in which the caller went away."""
        if future.done() and not future.cancelled() and future.exception() is None:
            held = future.result()
            self._shares.settle(held, [0] * len(held.parts))
