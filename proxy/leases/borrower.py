"""Borrows for everybody in this process, one round trip at a time."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from proxy.leases.absence import Absence
from proxy.leases.ending import end_task, is_ending
from proxy.leases.flight import Ask, Flight, Refused
from proxy.leases.refusals import LimitReached, StoreAway
from proxy.leases.request import Answer
from proxy.leases.returns import ReturnBatch
from proxy.leases.share import whole_seconds
from proxy.leases.shares import Shares
from proxy.leases.store import Store

_log = logging.getLogger("latchkey.leases")
_TICK_S = 0.1
_HEARTBEAT_S = 0.5
_RECALL_S = 0.05
_RECALL_AGAIN_S = 0.005
_OPENING_S = 1.5
_OPENING_AGAIN_S = 0.05
# A century: a wait for the end of what has none.
_NEVER_S = 3_153_600_000.0
_MOST_ASKS = 128
_MOST_RETURNS = 32
# Whoever was silent for ten seconds is taken for gone by the store, and what its calls hold at once for free. A store that
# came back empty lends budgets after four: whoever hears of it later has to say in one word all that was used.
_SILENT_S = 4.0
_MOST_RESTATED = 1000


class Borrower:
    """Sends asks and returns in flights; between them it sweeps, and beats."""

    def __init__(
        self,
        store: Store,
        shares: Shares,
        *,
        process: str,
        clock: Callable[[], float],
        absence: Absence,
        on_closed: Callable[[], None] | None,
        is_behind: Callable[[], bool],
    ) -> None:
        self._store = store
        self._shares = shares
        self._process = process
        self._clock = clock
        self._absence = absence
        self._on_closed = on_closed
        self._is_behind = is_behind
        self._queue: deque[Ask] = deque()
        self._parked: set[Ask] = set()
        self._work = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._epoch = ""
        self._turn = 0
        self._unanswered: ReturnBatch | None = None
        self._last_batch = 0
        self._is_due = False
        self._beat_at = 0.0
        self._heard_at = clock()
        self._is_restating = False

    async def start(self) -> None:
        """Ask the store once, then go on by itself; a store that is away is no error."""
        await self._fly_safely()
        self._tasks = [
            asyncio.create_task(self._fly_always(), name="lease flights"),
            asyncio.create_task(self._tick_always(), name="lease ticks"),
        ]

    async def stop(self) -> None:
        """Refuse who still waits, and return everything idle."""
        for task in self._tasks:
            await end_task(task)
        self._fail_all()
        self._shares.hand_back_all()
        while (self._shares.returns or self._unanswered) and not self._store.is_away:
            if not await self._fly_safely():
                return

    def enlist(self, ask: Ask) -> None:
        """Put an ask into the next flight."""
        self._queue.append(ask)
        self._work.set()

    def return_named(self, store_name: str) -> None:
        """Answer a recall: what is idle goes back at once."""
        share = self._shares.find_named(store_name)
        if share is not None:
            self._shares.hand_back(share)
        self._is_due = True
        self._work.set()

    async def _tick_always(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._sweep_safely()
            is_owing = bool(self._shares.returns) and not self._store.is_away
            if is_owing or self._clock() >= self._beat_at:
                self._is_due = True
                self._work.set()

    async def _fly_always(self) -> None:
        while not is_ending():
            await self._work.wait()
            self._work.clear()
            while (self._queue or self._is_due) and not is_ending():
                await self._fly_safely()

    def _sweep_safely(self) -> None:
        try:
            self._shares.sweep()
        except Exception:  # noqa: BLE001 - without ticks nothing beats and nothing is returned.
            _log.exception("Idle leases could not be swept.")

    async def _fly_safely(self) -> bool:
        """Make one round trip; whatever goes wrong with it, the next one is made. False where it went wrong."""
        flight = Flight(self._shares)
        try:
            await self._fly(flight)
        except Exception:  # noqa: BLE001 - nobody else would ever make the next round trip.
            # What it was to return stays charged, which is strict, and leaves with its window.
            _log.exception("A round trip to the limits store failed.")
            if self._unanswered is not None:
                self._shares.restore(self._unanswered.reports, now=self._clock())
            self._shares.doubt(flight.request.windows)
            self._unanswered, self._is_due = None, False
            self._queue.extend(flight.asks)
            self._fail_all()
            await asyncio.sleep(_TICK_S)
            return False
        return True

    async def _fly(self, flight: Flight) -> None:
        """Make one round trip with up to a bounded number of asks and returns."""
        self._note_silence()
        # Others may have been given the places of our calls: these count again before more begin.
        if not self._is_restating:
            self._board(flight)
        returns, is_resent = self._unanswered, self._unanswered is not None
        if returns is None:
            most = _MOST_RESTATED if self._is_restating else _MOST_RETURNS
            returns = self._shares.returns.pack(most=most)
        self._unanswered = returns
        self._last_batch = returns.number if returns is not None else self._last_batch
        self._turn += 1
        request = flight.request.encode(
            turn=self._turn,
            epoch=self._epoch,
            returns=returns,
            last_batch=self._last_batch,
            resent=is_resent,
            behind=self._is_behind(),
        )
        sent_at = self._clock()
        self._beat_at = sent_at + _HEARTBEAT_S
        try:
            answer = await self._store.call(
                self._process, flight.request.keys(self._process), request
            )
        except StoreAway:
            self._is_due = False
            self._shares.doubt(flight.request.windows)
            self._shares.hand_back_where(self._absence.refuses)
            self._queue.extend(flight.asks)
            self._fail_all()
            return
        except asyncio.CancelledError:
            # It may be lent to nobody.
            self._shares.doubt(flight.request.windows)
            self._queue.extend(flight.asks)
            raise
        self._unanswered = None
        self._heard_at = sent_at
        self._is_restating = self._is_restating and self._shares.returns.has_reports
        self._note_epoch(answer)
        self._land(flight, answer, sent_at=sent_at)
        self._is_due = bool(self._shares.returns) and self._is_due

    def _note_silence(self) -> None:
        """After a long silence, say anew what runs; the process may have been cut off, or suspended."""
        if not self._is_restating and self._clock() - self._heard_at > _SILENT_S:
            self._is_restating = True
            self._shares.restate_running()

    def _board(self, flight: Flight) -> None:
        """Fill the flight from the queue; whom a slice can serve meanwhile need not fly."""
        now = self._clock()
        left_behind = []
        while self._queue and len(flight.asks) < _MOST_ASKS:
            ask = self._queue.popleft()
            if ask.future.done():
                continue
            held = None if ask.everything else self._shares.take_all(ask.wants)
            if held is not None:
                ask.future.set_result(held)
            elif not flight.board(ask, now=now):
                left_behind.append(ask)
        self._queue.extendleft(reversed(left_behind))

    def _note_epoch(self, answer: Answer) -> None:
        epoch = answer.epoch.decode("ascii", "replace")
        if epoch != self._epoch:
            self._shares.lose_all()
        self._epoch = epoch

    def _land(self, flight: Flight, answer: Answer, *, sent_at: float) -> None:
        now = self._clock()
        if answer.is_stale:
            self._queue.extend(flight.asks)
            return
        flight.land(answer, sent_at=sent_at, now=now)
        for ask, outcome in zip(flight.asks, answer.outcomes, strict=True):
            if outcome.refused_by:
                self._refuse(ask, flight.explain(ask, outcome), now=now)
                continue
            held = flight.deal(ask, now=now)
            if held is not None:
                ask.future.set_result(held)
            else:
                ask.everything = True
                self._ask_again(ask, now=now)

    def _ask_again(self, ask: Ask, *, now: float) -> None:
        if ask.future.done():
            return
        if now >= ask.give_up_at or self._store.is_away:
            ask.future.set_exception(StoreAway())
        else:
            self.enlist(ask)

    def _refuse(self, ask: Ask, refused: Refused, *, now: float) -> None:
        """Refuse for good only when nobody may still return something."""
        if ask.future.done():
            return
        if ask.recall_until is None:
            ask.recall_until = now + _RECALL_S
        if refused.is_closed:
            self._await_opening(ask, refused, now=now)
            return
        if refused.is_recalling and now < ask.recall_until:
            self._park(ask)
            return
        no = refused.share.refuse(
            amount=refused.amount,
            limit=refused.window.limit,
            remaining=refused.remaining,
            wait_s=refused.wait_s,
            now=now,
        )
        ask.future.set_exception(
            LimitReached(
                refused.window,
                limit=refused.window.limit,
                remaining=no.remaining,
                retry_after_s=whole_seconds(refused.wait_s) if refused.wait_s < _NEVER_S else None,
            )
        )

    def _await_opening(self, ask: Ask, refused: Refused, *, now: float) -> None:
        """Have the window opened; only where that can be at once, the caller waits for it."""
        if self._on_closed is not None:
            self._on_closed()
        if ask.recall_until is None:
            ask.recall_until = now + _OPENING_S
        opens_now = self._on_closed is not None and not refused.wait_s
        if opens_now and now < ask.recall_until:
            self._park(ask, again_s=_OPENING_AGAIN_S)
        else:
            ask.future.set_exception(StoreAway(retry_after_s=whole_seconds(refused.wait_s + 1)))

    def _park(self, ask: Ask, *, again_s: float = _RECALL_AGAIN_S) -> None:
        self._parked.add(ask)
        asyncio.get_running_loop().call_later(again_s, self._unpark, ask)

    def _unpark(self, ask: Ask) -> None:
        if ask in self._parked:
            self._parked.discard(ask)
            ask.give_up_at = max(ask.give_up_at, self._clock() + _RECALL_S)
            self._ask_again(ask, now=self._clock())

    def _fail_all(self) -> None:
        for ask in (*self._queue, *self._parked):
            if not ask.future.done():
                ask.future.set_exception(StoreAway())
        self._queue.clear()
        self._parked.clear()
