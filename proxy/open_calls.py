"""Every call that runs in this process, so that the end of a right ends the calls that stand on it."""

import asyncio
import contextlib
import datetime
import logging
import time
import uuid

from accounts.change_feed import Changes
from portal.lib.clock import utc_now
from proxy.authenticate import authenticate
from proxy.authorize import authorize
from proxy.errors import Code, Refusal
from proxy.identities import Identities
from proxy.running_call import RunningCall

SWEEP_S = 1.0
ASKED_AT_ONCE = 8
_log = logging.getLogger("latchkey.calls")


class OpenCalls:
    """Re-decides running calls when something they depend on changes, and once a second for whatever time has ended.

    write_timeout_s: how long one write may wait for the caller to read.
    call_timeout_s: no call is older, whatever holds it.
    """

    def __init__(
        self,
        identities: Identities,
        *,
        body_timeout_s: float,
        write_timeout_s: float,
        call_timeout_s: float,
    ) -> None:
        self._identities = identities
        self._body_timeout_ns = int(body_timeout_s * 1e9)
        self._write_timeout_ns = int(write_timeout_s * 1e9)
        self._call_timeout_ns = int(call_timeout_s * 1e9)
        self._running: set[RunningCall] = set()
        self._undecided: set[RunningCall] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._running)

    def add(self, running: RunningCall) -> None:
        self._running.add(running)

    def discard(self, running: RunningCall) -> None:
        self._running.discard(running)

    def apply(self, changes: Changes) -> None:
        """Check again every call that these changes may touch."""
        touched = [running for running in self._running if _touches(changes, running)]
        if touched:
            self._begin_recheck(touched)

    def cut_all(self, code: Code) -> None:
        for running in tuple(self._running):
            running.cut(code)

    def start(self) -> None:
        self._sweeper = asyncio.ensure_future(self._sweep())

    async def stop(self) -> None:
        for task in [self._sweeper, *self._tasks]:
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _begin_recheck(self, touched: list[RunningCall]) -> None:
        task = asyncio.ensure_future(self._recheck(touched))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recheck(self, touched: list[RunningCall]) -> None:
        """A few at once: one answer that is slow to come must not keep the rest from being cut."""
        for start in range(0, len(touched), ASKED_AT_ONCE):
            some = touched[start : start + ASKED_AT_ONCE]
            await asyncio.gather(
                *(self._decide_again(running) for running in some if running in self._running)
            )

    async def _decide_again(self, running: RunningCall) -> None:
        now = utc_now()
        try:
            principal = await authenticate(running.head, self._identities, now=now, was_proven=True)
            # Only now is it known how far the call has come; what it has yet to decide, it decides on this.
            running.principal = principal
            if running.route is not None:
                authorize(
                    principal,
                    await self._identities.routes(),
                    kind=running.head.kind,
                    model=running.route.name,
                    now=now,
                    peer=running.head.peer,
                )
        except Refusal as refusal:
            if refusal.code is Code.IDENTITY_UNAVAILABLE:
                # No reason to cut the call, as the grace for known callers covers it; but one to ask again.
                self._undecided.add(running)
            else:
                running.cut(Code.CREDENTIAL_ENDED)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing has been decided.
            _log.error("A running call could not be decided again.", exc_info=error)
            self._undecided.add(running)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            undecided, self._undecided = self._undecided & self._running, set()
            if undecided:
                self._begin_recheck(list(undecided))
            now, now_ns = utc_now(), time.perf_counter_ns()
            for running in tuple(self._running):
                try:
                    self._check_times(running, now, now_ns)
                except Exception as error:  # noqa: BLE001 - one call must not keep the rest from being looked at.
                    _log.error("A running call could not be looked at.", exc_info=error)

    def _check_times(self, running: RunningCall, now: datetime.datetime, now_ns: int) -> None:
        age_ns = now_ns - running.head.started_ns
        writing_since_ns = 0 if running.sink is None else running.sink.writing_since_ns
        if writing_since_ns and now_ns - writing_since_ns > self._write_timeout_ns:
            running.drop(Code.CLIENT_GONE)
        elif age_ns > self._call_timeout_ns:
            running.drop(Code.CLIENT_GONE if writing_since_ns else Code.UPSTREAM_TIMEOUT)
        elif _has_ended(running, now):
            running.cut(Code.CREDENTIAL_ENDED)
        elif running.call is None and age_ns > self._body_timeout_ns:
            running.cut(Code.BODY_TIMEOUT)


def _touches(changes: Changes, running: RunningCall) -> bool:
    ids: frozenset[uuid.UUID] = running.principal.depends_on
    return changes.everything or changes.registry or bool(ids & changes.ids)


def _has_ended(running: RunningCall, now: datetime.datetime) -> bool:
    principal, route = running.principal, running.route
    if principal.expires_at <= now or not principal.is_in_hours(now):
        return True
    return route is not None and not principal.may_call(route.model_id, now=now)
