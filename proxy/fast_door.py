"""The inference paths as one ASGI application, without Django's handler: the door that applications call.

It holds the allowed hosts itself, wants exactly one Host, and answers every path under /v1/ so that none falls through to
a page. A body is bounded before it is read, and while it is read.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.http.request import split_domain_port, validate_host

from portal.lib.ids import new_call_id
from proxy.call import CallKind
from proxy.errors import Code, Refusal
from proxy.exchange import Headers
from proxy.gateway import Gateway
from proxy.model_list import answer_models
from proxy.parse import Fields, parse_head, read_fields

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PREFIX = "/v1/"
_MODELS = "/v1/models"
_POST = {"/v1/chat/completions": CallKind.CHAT, "/v1/embeddings": CallKind.EMBEDDINGS}
# Where a malformed request ends is a matter of opinion, so nothing after it is read as the next one; and whoever asks a
# process that is stopping has to find another.
_LAST_OF_THEIR_CONNECTION = frozenset({Code.MALFORMED_REQUEST, Code.STOPPING})
_KNOWN_HOSTS_MAX = 100
# A server takes one piece at once, however large: what a caller does not read is to stay with us and be given up.
PIECE_BYTES = 256 * 1024
_log = logging.getLogger("latchkey.calls")


class AsgiSink:
    """Sends an answer to the ASGI server and hears when the caller hangs up."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._watch: asyncio.Task[None] | None = None
        self.is_started = False
        self.writing_since_ns = 0

    def on_hang_up(self, tell: Callable[[], None]) -> None:
        self._watch = asyncio.ensure_future(self._await_hang_up(tell))

    async def start(self, status: int, headers: Headers) -> None:
        self.is_started = True
        self.writing_since_ns = time.perf_counter_ns()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self.writing_since_ns = 0

    async def write(self, chunk: bytes) -> None:
        self.writing_since_ns = time.perf_counter_ns()
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self.writing_since_ns = 0

    async def finish(self, last: bytes = b"") -> None:
        self.stop_watching()
        if len(last) > PIECE_BYTES:
            last = await self._write_but_last(last)
        self.writing_since_ns = time.perf_counter_ns()
        await self._send({"type": "http.response.body", "body": last, "more_body": False})
        self.writing_since_ns = 0

    def stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def _write_but_last(self, body: bytes) -> bytes:
        """Write a large body in pieces, and return the one that remains."""
        last_at = (len(body) - 1) // PIECE_BYTES * PIECE_BYTES
        for start in range(0, last_at, PIECE_BYTES):
            await self.write(body[start : start + PIECE_BYTES])
        return body[last_at:]

    async def _await_hang_up(self, tell: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        tell()


class FastDoor:
    """Turns an ASGI request into a call of the pipeline, and a refusal into its envelope."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        allowed_hosts: list[str],
        trusted_hops: int,
        max_body_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._allowed_hosts = allowed_hosts
        self._trusted_hops = trusted_hops
        self._max_body_bytes = max_body_bytes
        self._known_hosts: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call_id, request_id = new_call_id()
        sink = AsgiSink(receive, send)
        try:
            await self._answer(scope, receive, sink, call_id, request_id)
        except Refusal as refusal:
            await self._refuse(sink, refusal, request_id)
        except Exception as error:  # noqa: BLE001 - this is the last place that can answer.
            # The server would answer in its own words, and print a traceback with whatever is in it.
            _log.error("A call failed.", exc_info=error, extra={"request_id": request_id})
            await self._refuse(sink, Refusal(Code.INTERNAL_ERROR), request_id)
        finally:
            sink.stop_watching()

    async def _refuse(self, sink: AsgiSink, refusal: Refusal, request_id: str) -> None:
        self._gateway.recorder.tell_refusal(request_id, refusal)
        if not sink.is_started:
            await _send_refusal(sink, refusal, request_id)

    async def _answer(
        self, scope: Scope, receive: Receive, sink: AsgiSink, call_id: bytes, request_id: str
    ) -> None:
        if self._gateway.is_stopping:
            raise Refusal(Code.STOPPING, retry_after_s=1)
        fields = read_fields(scope["headers"])
        self._check_host(fields.hosts)
        kind, model_in_path = _kind_of(scope["method"], scope["path"])
        head = parse_head(
            kind,
            fields,
            connection=scope["client"][0] if scope.get("client") else "",
            trusted_hops=self._trusted_hops,
            call_id=call_id,
            request_id=request_id,
            started_ns=time.perf_counter_ns(),
            query=scope["query_string"],
            model_in_path=model_in_path,
        )
        if kind is CallKind.MODELS:
            await answer_models(head, self._gateway.pipeline, sink)
            return
        await self._gateway.pipeline.answer(head, lambda: self._read_body(fields, receive), sink)

    def _check_host(self, hosts: list[bytes]) -> None:
        if len(hosts) != 1:
            raise Refusal(Code.MALFORMED_REQUEST, seen="It needs exactly one Host header.")
        if hosts[0] in self._known_hosts:
            return
        domain, _ = split_domain_port(hosts[0].decode("latin-1").lower())
        if not domain or not validate_host(domain, self._allowed_hosts):
            raise Refusal(Code.UNKNOWN_HOST)
        if len(self._known_hosts) < _KNOWN_HOSTS_MAX:
            self._known_hosts.add(hosts[0])

    async def _read_body(self, fields: Fields, receive: Receive) -> bytes:
        if int(fields.single.get(b"content-length", b"0")) > self._max_body_bytes:
            raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            body = await self._read_rest(body, receive)
        if message["type"] == "http.disconnect":
            raise Refusal(Code.CLIENT_GONE)
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        return body

    async def _read_rest(self, first: bytes, receive: Receive) -> bytes:
        chunks, total, is_more = [first], len(first), True
        while is_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(Code.CLIENT_GONE)
            chunks.append(message.get("body", b""))
            total += len(chunks[-1])
            if total > self._max_body_bytes:
                raise self._too_large()
            is_more = message.get("more_body", False)
        return b"".join(chunks)

    def _too_large(self) -> Refusal:
        return Refusal(Code.BODY_TOO_LARGE, seen=f"The limit is {self._max_body_bytes} bytes.")


def _kind_of(method: str, path: str) -> tuple[CallKind, str]:
    """Return what the path asks for, and the model it names. Raises: Refusal unknown_path, method_not_allowed."""
    kind = _POST.get(path)
    if kind is not None:
        if method != "POST":
            raise Refusal(Code.METHOD_NOT_ALLOWED, seen="It takes POST.")
        return kind, ""
    if path == _MODELS or path.startswith(_MODELS + "/"):
        if method != "GET":
            raise Refusal(Code.METHOD_NOT_ALLOWED, seen="It takes GET.")
        return CallKind.MODELS, path[len(_MODELS) + 1 :]
    raise Refusal(Code.UNKNOWN_PATH)


async def _send_refusal(sink: AsgiSink, refusal: Refusal, request_id: str) -> None:
    body = refusal.body()
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        *refusal.headers(),
    ]
    if refusal.code in _LAST_OF_THEIR_CONNECTION:
        headers.append((b"connection", b"close"))
    # A caller that hung up cannot be told; that is no fault worth a line.
    with contextlib.suppress(ConnectionError, RuntimeError):
        await sink.start(refusal.code.http_status, headers)
        await sink.finish(body)


def is_inference(path: str) -> bool:
    """Whether the fast door answers this path."""
    return path == PREFIX[:-1] or path.startswith(PREFIX)
