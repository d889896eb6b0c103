"""Carries a stream from the upstream to the caller, event by event, and reads its usage on the way."""

import time

from msgspec import UNSET

from proxy.errors import Code, Refusal
from proxy.exchange import Headers, ParsedCall, Sink
from proxy.forward import refusal_for
from proxy.guard_output import refuse_secret
from proxy.json_object import decode_members, encode, encode_object, raw
from proxy.route import Route
from proxy.running_call import RunningCall
from proxy.secret_watch import SecretWatch
from proxy.upstreams.answer import UpstreamAnswer
from proxy.upstreams.failures import UpstreamFailure
from proxy.upstreams.openai_chat import (
    Chunk,
    ReportedUsage,
    decode_chunk,
    is_given,
    text_bytes,
)
from proxy.upstreams.sse import EventReader, EventTooLarge
from proxy.whole_answer import NONSENSE

EVENT_BYTES_MAX = 4 * 1024 * 1024
_DONE = b"[DONE]"


class EventRelay:
    """One stream on its way: events in, events out, with the upstream's name and unasked usage taken out."""

    def __init__(self, running: RunningCall, call: ParsedCall, route: Route) -> None:
        self._running = running
        self._wants_usage = call.wants_usage
        self._reader = EventReader(max_event_bytes=EVENT_BYTES_MAX)
        self._public_name = raw(route.name)
        self._old_name = b'"model":' + encode(route.upstream_name)
        self._new_name = b'"model":' + bytes(self._public_name)
        self._secret = route.secret
        self._watch = SecretWatch(route.secret)
        self._fault: Refusal | None = None
        self.is_done = False

    async def carry(self, answer: UpstreamAnswer, sink: Sink, headers: Headers) -> None:
        """Send everything up to the end mark. Raises: Refusal when the stream is broken off or is nonsense."""
        await sink.start(200, headers)
        while not self.is_done:
            chunk = await self._next_chunk(answer)
            events = self._translate(chunk)
            if events and not self._running.is_abandoned:
                await sink.write(events)
            if self._fault is not None:
                raise self._fault

    async def _next_chunk(self, answer: UpstreamAnswer) -> bytes:
        try:
            chunk = await answer.next_chunk()
        except UpstreamFailure as failure:
            raise refusal_for(failure) from None
        if chunk is None:
            raise Refusal(Code.UPSTREAM_CUT_OFF, detail="the stream has no end mark")
        running = self._running
        running.answered_ns = time.perf_counter_ns()
        running.answer_bytes += len(chunk)
        return chunk

    def _translate(self, chunk: bytes) -> bytes:
        """Return what the caller gets for these bytes: also what came before a fault, as it is paid for."""
        sent = []
        try:
            for data in self._reader.feed(chunk):
                if data == _DONE:
                    self.is_done = True
                    sent.append(b"data: [DONE]\n\n")
                    break
                event = self._event(data)
                if event is not None:
                    sent.append(b"data: " + event + b"\n\n")
        except Refusal as fault:
            self._fault = fault
        except (*NONSENSE, EventTooLarge):
            self._fault = Refusal(
                Code.UPSTREAM_NONSENSE, detail="an event is not the JSON expected"
            )
        return b"".join(sent)

    def _event(self, data: bytes) -> bytes | None:
        """Return the event as the caller gets it, or None for one that only says usage nobody asked for."""
        if b"\n" in data:
            # JSON has line ends between its tokens only; each would begin a field of its own.
            data = data.replace(b"\n", b" ")
        chunk = decode_chunk(data)
        if is_given(chunk.error):
            raise Refusal(Code.UPSTREAM_ERROR, detail="the stream says an error")
        refuse_secret(data, self._secret)
        self._take_in(chunk)
        if chunk.usage is not UNSET and not self._wants_usage:
            if chunk.usage is not None and not chunk.choices:
                return None
            return self._rewritten(data)
        if self._old_name in data:
            return data.replace(self._old_name, self._new_name, 1)
        if b'"model"' in data:
            return self._rewritten(data)
        return data

    def _rewritten(self, data: bytes) -> bytes:
        members = decode_members(data)
        if not self._wants_usage:
            members.pop("usage", None)
        if "model" in members:
            members["model"] = self._public_name
        return encode_object(members)

    def _take_in(self, chunk: Chunk) -> None:
        running = self._running
        if isinstance(chunk.usage, ReportedUsage):
            running.usage = chunk.usage.to_usage()
        for choice in chunk.choices:
            if choice.delta is not None:
                self._watch.see(choice.index, choice.delta)
                added = text_bytes(choice.delta)
                running.output_bytes += added
                running.output_events += added > 0
