"""One inference call, step by step.

This is the only file that knows the order:

    parse → authenticate → authorize → limit → guard_input → forward → guard_output → meter → record

Between admission and the end every way out leads through RunningCall.close, which settles and records.
"""

import asyncio
import datetime
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import format_datetime

from portal.lib.clock import utc_now
from proxy.authenticate import authenticate
from proxy.authorize import authorize
from proxy.errors import Code, Refusal
from proxy.exchange import Head, Headers, Sink
from proxy.forward import forward
from proxy.guard_input import guard_input
from proxy.guard_output import check_head
from proxy.identities import LOAD_TRIES, Identities, outrun
from proxy.json_outline import SLICE_BYTES
from proxy.limit import Limiter
from proxy.open_calls import OpenCalls
from proxy.parse import parse_body, parse_slices
from proxy.principal import Principal
from proxy.record import Recorder
from proxy.relay import EventRelay
from proxy.route import Route
from proxy.running_call import RunningCall
from proxy.turns import in_turns
from proxy.upstreams.answer import UpstreamAnswer
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.timeouts import Timeouts
from proxy.whole_answer import take_whole

JSON: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_log = logging.getLogger("latchkey.calls")


@dataclass(frozen=True)
class Pipeline:
    """The steps with what they need; one per process."""

    identities: Identities
    limiter: Limiter
    recorder: Recorder
    client: UpstreamClient
    open_calls: OpenCalls
    timeouts: Timeouts
    max_answer_bytes: int

    async def answer(
        self, head: Head, read_body: Callable[[Principal], Awaitable[bytes]], sink: Sink
    ) -> None:
        """Answer one call into the sink. The body is read only after the caller is known.

        Raises: Refusal when nothing was sent yet; what fails later ends the stream with an error event.
        """
        now = utc_now()
        principal = await authenticate(head, self.identities, now=now)
        running = RunningCall(head, principal)
        running.sink = sink
        self.open_calls.add(running)
        try:
            await self._run(running, read_body, sink, now, heard=self.identities.changes_heard)
        except BaseException as error:
            refusal = _refusal_of(error, running)
            running.close(self.limiter, self.recorder, refusal=refusal)
            if isinstance(error, asyncio.CancelledError) and running.cut_by is None:
                raise
            refusal.is_recorded = running.is_recorded
            raise refusal from None
        finally:
            running.leave()
            self.open_calls.discard(running)

    async def _run(
        self,
        running: RunningCall,
        read_body: Callable[[Principal], Awaitable[bytes]],
        sink: Sink,
        now: datetime.datetime,
        *,
        heard: int,
    ) -> None:
        head = running.head
        body = await read_body(running.principal)
        if len(body) <= SLICE_BYTES:
            call = parse_body(head.kind, body)
        else:
            call = await in_turns(parse_slices(head.kind, body))
        running.call = call
        routes = self.identities.routes_now()
        if routes is None or self.identities.changes_heard != heard:
            routes = await self._ask_again(running, now)
        principal = running.principal
        route, grant = authorize(
            principal, routes, kind=head.kind, model=call.model, now=now, peer=head.peer
        )
        running.route = route
        if call.stream:
            sink.on_hang_up(running.hang_up)
        plan = grant.plan.beside(route.plan) if route.windows else grant.plan
        running.allowance = allowance = await self.limiter.reserve(plan, call, route)
        guard_input(head.kind, call, route)
        self.recorder.admit(head, principal, call, route, reserved_tokens=allowance.worst.total)
        running.is_admitted = True
        running.mark_sent()
        answer = await forward(
            head,
            call,
            route,
            allowance.worst,
            client=self.client,
            timeouts=self.timeouts,
            max_answer_bytes=self.max_answer_bytes,
        )
        running.mark_head(answer)
        try:
            headers = self.limiter.headers(plan) + _lifecycle(route) + _request_id(head)
            if call.stream and answer.status == 200:
                check_head(answer, call)
                relay = EventRelay(running, call, route)
                await self._stream(running, relay, answer, sink, [*EVENTS, *headers])
            else:
                body = await take_whole(running, call, route, answer)
                running.close(self.limiter, self.recorder)
                await sink.send_whole(200, JSON + headers, body)
        finally:
            await answer.aclose()

    async def _ask_again(self, running: RunningCall, now: datetime.datetime) -> dict[str, Route]:
        """Return the routes, with the principal as it stands at the same moment.

        A body takes its time and so does a look-up; what ended meanwhile is not to begin a call.
        """
        for _ in range(LOAD_TRIES):
            running.principal = await authenticate(
                running.head, self.identities, now=now, was_proven=True
            )
            heard = self.identities.changes_heard
            routes = self.identities.routes_now() or await self.identities.routes()
            if self.identities.changes_heard == heard:
                return routes
        raise outrun()

    async def _stream(
        self,
        running: RunningCall,
        relay: EventRelay,
        answer: UpstreamAnswer,
        sink: Sink,
        headers: Headers,
    ) -> None:
        try:
            await relay.carry(answer, sink, headers)
            gone = Refusal(Code.CLIENT_GONE) if running.is_abandoned else None
            running.close(self.limiter, self.recorder, refusal=gone)
            if gone is not None:
                return
        except BaseException as error:
            refusal = _refusal_of(error, running)
            if running.cut_by is not None and running.task is not None:
                running.task.uncancel()
            running.close(self.limiter, self.recorder, refusal=refusal)
            if isinstance(error, asyncio.CancelledError) and running.cut_by is None:
                raise
            if refusal.code is Code.CLIENT_GONE:
                # Whoever does not read would not read the end either, and keep the call waiting once more.
                return
            # The head is sent and says 200, so the reason can only be an event; OpenAI's clients raise on it.
            await sink.write(b"data: " + refusal.body() + b"\n\n")
        await sink.finish()


def _refusal_of(error: BaseException, running: RunningCall) -> Refusal:
    """Name what ended the call: its own refusal, whoever cut it, the server stopping, or a fault of ours."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
        return running.cut_by or Refusal(Code.STOPPING, retry_after_s=1)
    _log.error(
        "A call failed inside the gateway.",
        exc_info=error,
        extra={"request_id": running.head.request_id},
    )
    return Refusal(Code.INTERNAL_ERROR, detail=type(error).__name__)


def _lifecycle(route: Route) -> Headers:
    """RFC 9745 and RFC 8594 for a model that will go."""
    if route.deprecated_at is None and route.sunset_at is None:
        return []
    fields: Headers = []
    if route.deprecated_at is not None:
        fields.append((b"deprecation", b"@%d" % int(route.deprecated_at.timestamp())))
    if route.sunset_at is not None:
        fields.append((b"sunset", format_datetime(route.sunset_at, usegmt=True).encode()))
    return fields


def _request_id(head: Head) -> Headers:
    return [(b"x-request-id", head.request_id.encode())]
