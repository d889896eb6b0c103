"""A call while it runs: what it holds, what it has learned so far, and the one place where it is settled.

However a call leaves (answered, refused, cut, cancelled, crashed), `close` runs once: limits get back what was not used and
the journal gets its end. A call that never went upstream costs nothing.
"""

import asyncio
import time

from proxy.call import CallStatus
from proxy.errors import Code, Refusal
from proxy.exchange import Allowance, Head, ParsedCall, Sink, Usage
from proxy.limit import Limiter
from proxy.meter import estimate_usage
from proxy.principal import Principal
from proxy.record import Outcome, Recorder
from proxy.route import Route
from proxy.upstreams.answer import UpstreamAnswer

DRAIN_S = 30.0
# What was worked until then is paid: the upstream did its part.
_NOT_UPSTREAMS_DOING = frozenset({Code.CLIENT_GONE, Code.CREDENTIAL_ENDED, Code.STOPPING})


class RunningCall:
    """Mutable by design: it is filled in as the call goes on and read once when it ends."""

    __slots__ = (
        "_is_closed", "allowance", "answer_bytes", "answered_ns", "attempts", "call", "cut_by",
        "first_byte_ns", "head", "is_abandoned", "is_admitted", "is_recorded", "output_bytes", "output_events", "principal",
        "route", "sent_upstream_ns", "sink", "task", "usage",
    )  # fmt: skip

    def __init__(self, head: Head, principal: Principal) -> None:
        self.head = head
        self.principal = principal
        self.sink: Sink | None = None
        self.task = asyncio.current_task()
        self.call: ParsedCall | None = None
        self.route: Route | None = None
        self.allowance: Allowance | None = None
        self.usage: Usage | None = None
        self.cut_by: Refusal | None = None
        self.is_abandoned = False
        self.is_admitted = False
        self.is_recorded = False
        self.sent_upstream_ns = 0
        self.first_byte_ns = 0
        self.answered_ns = 0
        self.attempts = 0
        self.answer_bytes = 0
        self.output_bytes = 0
        self.output_events = 0
        self._is_closed = False

    def mark_sent(self) -> None:
        self.sent_upstream_ns = time.perf_counter_ns()

    def mark_head(self, answer: UpstreamAnswer) -> None:
        self.attempts = answer.attempts
        self.first_byte_ns = time.perf_counter_ns()

    def hang_up(self) -> None:
        """The caller is gone. The model's rule says whether the upstream is closed now or read on for its usage."""
        if self.route is not None and self.route.drains:
            self.is_abandoned = True
            asyncio.get_running_loop().call_later(DRAIN_S, self.cut, Code.CLIENT_GONE)
        else:
            self.cut(Code.CLIENT_GONE)

    def cut(self, code: Code) -> None:
        """End the call from outside: what awaits in it is cancelled, and `code` is why. The first reason stays.

        A call that is settled and still writes its answer can be cut as well.
        """
        if self.cut_by is None:
            self.drop(code)

    def drop(self, code: Code) -> None:
        """End the call also where it was cut before and does not come to its end, as nobody reads what it says."""
        if self.task is not None:
            self.cut_by = self.cut_by or Refusal(code)
            self.task.cancel()

    def leave(self) -> None:
        """The call is over: what its task does from now on is no part of it."""
        self.task = None

    def close(
        self, limiter: Limiter, recorder: Recorder, *, refusal: Refusal | None = None
    ) -> None:
        """Settle and record, once; later calls do nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        usage = self._settle(limiter, refusal)
        outcome = Outcome(
            status=CallStatus.ANSWERED if refusal is None else refusal.code.call_status,
            http_status=200 if refusal is None else refusal.code.http_status,
            code="" if refusal is None else refusal.code.code,
            usage=usage,
            sent_upstream_ns=self.sent_upstream_ns,
            first_byte_ns=self.first_byte_ns,
            answered_ns=self.answered_ns or time.perf_counter_ns(),
            attempts=self.attempts,
            answer_bytes=self.answer_bytes,
            detail="" if refusal is None else refusal.detail,
        )
        if self.is_admitted and self.route is not None:
            recorder.end(self.head, self.route, outcome)
            self.is_recorded = True
        else:
            self.is_recorded = recorder.note(
                self.head, self.principal, outcome, call=self.call, route=self.route
            )

    def _settle(self, limiter: Limiter, refusal: Refusal | None) -> Usage:
        if self.allowance is None:
            return Usage()
        if not self.sent_upstream_ns:
            limiter.release(self.allowance)
            return Usage()
        usage = self.usage or self._estimate(refusal)
        limiter.settle(self.allowance, usage)
        return usage

    def _estimate(self, refusal: Refusal | None) -> Usage:
        """Nothing was reported. Where the upstream failed before any output the call is free.

        A caller who hangs up, loses the right to go on or is cut because the gateway stops pays for the prompt that
        was sent and for what came.
        """
        if self.call is None or self.allowance is None:
            return Usage()
        is_upstreams_fault = refusal is not None and refusal.code not in _NOT_UPSTREAMS_DOING
        if is_upstreams_fault and not self.output_bytes and not self.output_events:
            return Usage(estimated=True)
        return estimate_usage(
            self.call,
            self.allowance.worst,
            output_bytes=self.output_bytes,
            output_events=self.output_events,
        )
