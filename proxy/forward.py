"""Step 6: the call upstream.

Its head is made from nothing: no header of the caller's travels. What is the same in every call, the provider's credential
too, stands ready on the route.
"""

from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Head, ParsedCall, WorstCase
from proxy.json_object import encode_object
from proxy.route import Route
from proxy.upstreams import openai_chat, openai_embeddings
from proxy.upstreams.answer import UpstreamAnswer
from proxy.upstreams.client import UpstreamClient
from proxy.upstreams.failures import (
    AnswerTooLarge,
    BadAnswer,
    ConnectTimeout,
    CutOff,
    FirstByteTimeout,
    IdleTimeout,
    PoolExhausted,
    TotalTimeout,
    UpstreamFailure,
)
from proxy.upstreams.timeouts import Timeouts

_CODES: tuple[tuple[type[UpstreamFailure], Code], ...] = (
    (AnswerTooLarge, Code.UPSTREAM_TOO_LARGE),
    (BadAnswer, Code.UPSTREAM_NONSENSE),
    (CutOff, Code.UPSTREAM_CUT_OFF),
    (FirstByteTimeout, Code.UPSTREAM_TIMEOUT),
    (IdleTimeout, Code.UPSTREAM_TIMEOUT),
    (TotalTimeout, Code.UPSTREAM_TIMEOUT),
    (ConnectTimeout, Code.UPSTREAM_UNREACHABLE),
    (PoolExhausted, Code.UPSTREAM_BUSY),
)


async def forward(
    head: Head,
    call: ParsedCall,
    route: Route,
    worst: WorstCase,
    *,
    client: UpstreamClient,
    timeouts: Timeouts,
    max_answer_bytes: int,
) -> UpstreamAnswer:
    """Send the call and return the answer's head. Raises: Refusal for whatever went wrong on the way."""
    try:
        return await client.send(
            route.origin,
            start=route.event_head if call.stream else route.whole_head,
            headers=((b"x-request-id", head.request_id.encode()),),
            body=_body(head.kind, call, route, worst),
            timeouts=timeouts,
            max_body_bytes=max_answer_bytes,
        )
    except UpstreamFailure as failure:
        raise refusal_for(failure) from None


def refusal_for(failure: UpstreamFailure) -> Refusal:
    """Say in public what kind of failure it was, and the rest to the log."""
    for kind, code in _CODES:
        if isinstance(failure, kind):
            return Refusal(code, detail=failure.detail)
    return Refusal(Code.UPSTREAM_UNREACHABLE, detail=failure.detail)


def _body(kind: CallKind, call: ParsedCall, route: Route, worst: WorstCase) -> bytes:
    if kind is CallKind.CHAT:
        members = openai_chat.prepare_members(
            call,
            upstream_name=route.upstream_name,
            cap_member=route.cap_member,
            output_cap=worst.output_cap,
        )
    else:
        members = openai_embeddings.prepare_members(call, upstream_name=route.upstream_name)
    return encode_object(members)
