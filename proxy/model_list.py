"""`GET /v1/models`: what this caller can call now, and nothing of what else there is."""

import msgspec

from portal.lib.clock import utc_now
from proxy.authenticate import authenticate
from proxy.authorize import callable_routes
from proxy.errors import Code, Refusal
from proxy.exchange import Head, Sink
from proxy.pipeline import JSON, Pipeline
from proxy.route import Route

_encode = msgspec.json.Encoder().encode


async def answer_models(head: Head, pipeline: Pipeline, sink: Sink) -> None:
    """Answer the list, or the one model the path names. Raises: Refusal."""
    now = utc_now()
    identities = pipeline.identities
    principal = await authenticate(head, identities, now=now)
    routes = identities.routes_now() or await identities.routes()
    found = list(callable_routes(principal, routes, now=now))
    if head.model_in_path:
        found = [route for route in found if route.name == head.model_in_path]
        if not found:
            raise Refusal(Code.MODEL_NOT_FOUND, param="model")
        body = _encode(_entry(found[0]))
    else:
        body = _encode({"object": "list", "data": [_entry(route) for route in found]})
    headers = [
        *JSON,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", head.request_id.encode()),
    ]
    await sink.start(200, headers)
    await sink.finish(body)


def _entry(route: Route) -> dict[str, object]:
    return {
        "id": route.name,
        "object": "model",
        "created": route.created,
        "owned_by": route.owned_by,
    }
