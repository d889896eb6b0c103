"""The shortest way for a test to send a request."""

from collections.abc import Sequence

from portal.lib.origin import Origin
from proxy.upstreams.client import Timeouts, UpstreamAnswer, UpstreamClient
from proxy.upstreams.request_head import HeadStart

BODY_LIMIT = 1_000_000


async def post(
    client: UpstreamClient,
    origin: Origin,
    body: bytes = b"{}",
    *,
    target: bytes = b"/v1/chat/completions",
    method: bytes = b"POST",
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),),
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen.
    max_body_bytes: int = BODY_LIMIT,
) -> UpstreamAnswer:
    """Send a request with defaults that a test need not repeat."""
    return await client.send(
        origin,
        start=HeadStart(origin.host_header(), method=method, target=target),
        headers=headers,
        body=body,
        timeouts=timeouts,
        max_body_bytes=max_body_bytes,
    )


async def read_answer(
    client: UpstreamClient, origin: Origin, *, max_body_bytes: int = BODY_LIMIT
) -> bytes:
    """Send a request and return the whole body."""
    answer = await post(client, origin, max_body_bytes=max_body_bytes)
    return await answer.read()
