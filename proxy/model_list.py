"""`GET /v1/models`: what this caller can call now, and nothing of what else there is."""

import msgspec

from portal.lib.clock import utc_now
from proxy.authenticate import authenticate
from proxy.authorize import callable_routes
from proxy.errors import Code, Refusal
from proxy.exchange import Head, Sink
from proxy.identities import Identities
from proxy.pipeline import JSON, Pipeline
from proxy.route import Route
from proxy.running_call import RunningCall

_encode = msgspec.json.Encoder().encode


async def answer_models(head: Head, pipeline: Pipeline, sink: Sink) -> None:
    """Answer the list, or the one model the path names; it counts as a call of the key's. Raises: Refusal."""
    principal = await authenticate(head, pipeline.identities, now=utc_now())
    running = RunningCall(head, principal)
    try:
        await pipeline.limiter.take_call(principal.plan)
        body = await _listing(running, pipeline.identities)
    except Refusal as refusal:
        running.close(pipeline.limiter, pipeline.recorder, refusal=refusal)
        refusal.is_recorded = running.is_recorded
        raise
    running.answer_bytes = len(body)
    running.close(pipeline.limiter, pipeline.recorder)
    headers = [
        *JSON,
        *pipeline.limiter.headers(principal.plan),
        (b"x-request-id", head.request_id.encode()),
    ]
    await sink.send_whole(200, headers, body)


async def _listing(running: RunningCall, identities: Identities) -> bytes:
    routes = identities.routes_now() or await identities.routes()
    now = utc_now()
    # Asked again: the key may have ended while a call was taken out of its limit.
    principal = await authenticate(running.head, identities, now=now, was_proven=True)
    found = list(callable_routes(principal, routes, now=now, peer=running.head.peer))
    wanted = running.head.model_in_path
    if not wanted:
        return _encode({"object": "list", "data": [_entry(route) for route in found]})
    for route in found:
        if route.name == wanted:
            return _encode(_entry(route))
    raise Refusal(Code.MODEL_NOT_FOUND, param="model")


def _entry(route: Route) -> dict[str, object]:
    return {
        "id": route.name,
        "object": "model",
        "created": route.created,
        "owned_by": route.owned_by,
    }
