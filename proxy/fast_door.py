"""The inference paths without Django's handler: the door that applications call, whichever server stands before it.

It holds the allowed hosts itself, wants exactly one Host, and answers every path under /v1/ so that none falls through to
a page. A body is bounded before it is read, and while it is read.
"""

import asyncio
import contextlib
import logging
import time
from functools import partial

from django.http.request import split_domain_port, validate_host

from portal.lib.body_room import BodyRoom, Entrance, RoomTaken
from portal.lib.ids import new_call_id
from proxy.call import POSTED, CallKind
from proxy.challenges import Challenges
from proxy.errors import Code, Refusal
from proxy.exchange import Headers, Request, Sink
from proxy.gateway import Gateway
from proxy.limit import Limiter
from proxy.model_list import answer_models
from proxy.parse import Fields, parse_head, read_fields
from proxy.principal import Principal

PREFIX = "/v1/"
MODELS = "/v1/models"
# Where a malformed request ends is a matter of opinion, so nothing after it is read as the next one; and whoever asks a
# process that is stopping has to find another.
_LAST_OF_THEIR_CONNECTION = frozenset({Code.MALFORMED_REQUEST, Code.STOPPING})
_KNOWN_HOSTS_MAX = 100
# A key may hold this part of the room for bodies that are still arriving, and one whole body in any case.
KEYS_SHARE = 8
# What is said of keys that nobody knows: these may be decoys, and are looked at once the answer went out.
_OF_STRANGERS = frozenset({Code.INVALID_CREDENTIAL, Code.TOO_MANY_UNKNOWN_CREDENTIALS})
_LOOKED_AT_AFTER_S = 0.05
_log = logging.getLogger("latchkey.calls")


class ArrivingBody:
    """A body that comes in pieces: whoever has no calls left is not listened to for so long, nor who has no room left."""

    __slots__ = ("_entrance", "_limiter", "_principal")

    def __init__(self, entrance: Entrance, limiter: Limiter, principal: Principal) -> None:
        self._entrance = entrance
        self._limiter = limiter
        self._principal = principal

    def take(self, size: int) -> None:
        """Let a piece in that is not the last. Raises: Refusal limit_reached, bodies_busy."""
        self._limiter.refuse_spent(self._principal.plan)
        try:
            self._entrance.take(size)
        except RoomTaken:
            raise Refusal(Code.BODIES_BUSY, retry_after_s=1) from None


class FastDoor:
    """Turns a request into a call of the pipeline, and a refusal into its envelope."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        allowed_hosts: list[str],
        challenges: Challenges,
        trusted_hops: int,
        max_body_bytes: int,
        room_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._challenges = challenges
        self._allowed_hosts = allowed_hosts
        self._trusted_hops = trusted_hops
        self._max_body_bytes = max_body_bytes
        share_bytes = max(max_body_bytes, room_bytes // KEYS_SHARE)
        self._room = BodyRoom(total_bytes=room_bytes, share_bytes=share_bytes)
        self._known_hosts: set[bytes] = set()

    async def answer(self, request: Request) -> None:
        """Answer the request, whatever it is. Only a cancellation leaves it unanswered."""
        call_id, request_id = new_call_id()
        try:
            await self._answer(request, call_id, request_id)
        except Refusal as refusal:
            await self._refuse(request, refusal, request_id)
        except Exception as error:  # noqa: BLE001 - this is the last place that can answer.
            # The server would answer in its own words, and print a traceback with whatever is in it.
            _log.error("A call failed.", exc_info=error, extra={"request_id": request_id})
            await self._refuse(request, Refusal(Code.INTERNAL_ERROR), request_id)

    async def _refuse(self, request: Request, refusal: Refusal, request_id: str) -> None:
        self._gateway.recorder.tell_refusal(request_id, refusal)
        if not request.is_started:
            await _send_refusal(
                request, refusal, request_id, challenge=self._challenges.get(refusal.code)
            )

    async def _answer(self, request: Request, call_id: bytes, request_id: str) -> None:
        if self._gateway.is_stopping:
            raise Refusal(Code.STOPPING, retry_after_s=1)
        fields = read_fields(request.headers)
        self._check_host(fields.hosts)
        kind, model_in_path = _kind_of(request.method, request.path)
        head = parse_head(
            kind,
            fields,
            connection=request.connection,
            trusted_hops=self._trusted_hops,
            call_id=call_id,
            request_id=request_id,
            started_ns=time.perf_counter_ns(),
            query=request.query,
            model_in_path=model_in_path,
        )
        try:
            if kind is CallKind.MODELS:
                await answer_models(head, self._gateway.pipeline, request)
                return
            await self._gateway.pipeline.answer(
                head, partial(self._read_body, fields, request), request
            )
        except Refusal as refusal:
            if refusal.code in _OF_STRANGERS:
                # After the answer, so that its time tells nothing.
                asyncio.get_running_loop().call_later(
                    _LOOKED_AT_AFTER_S, self._gateway.decoys.see, head, request.headers
                )
            raise

    def _check_host(self, hosts: list[bytes]) -> None:
        # Some servers hand on a missing one as an empty one.
        if len(hosts) != 1 or not hosts[0]:
            raise Refusal(Code.MALFORMED_REQUEST, seen="It needs exactly one Host header.")
        if hosts[0] in self._known_hosts:
            return
        domain, _ = split_domain_port(hosts[0].decode("latin-1").lower())
        if not domain or not validate_host(domain, self._allowed_hosts):
            raise Refusal(Code.UNKNOWN_HOST)
        if len(self._known_hosts) < _KNOWN_HOSTS_MAX:
            self._known_hosts.add(hosts[0])

    async def _read_body(self, fields: Fields, request: Request, principal: Principal) -> bytes:
        body = None
        if int(fields.single.get(b"content-length", b"0")) <= self._max_body_bytes:
            with self._room.entrance(principal.credential_id) as entrance:
                arriving = ArrivingBody(entrance, self._gateway.pipeline.limiter, principal)
                body = await request.read_body(max_bytes=self._max_body_bytes, take=arriving.take)
        if body is None:
            raise Refusal(Code.BODY_TOO_LARGE, seen=f"The limit is {self._max_body_bytes} bytes.")
        return body


def _kind_of(method: str, path: str) -> tuple[CallKind, str]:
    """Return what the path asks for, and the model it names. Raises: Refusal unknown_path, method_not_allowed."""
    kind = POSTED.get(path)
    if kind is not None:
        if method != "POST":
            raise Refusal(Code.METHOD_NOT_ALLOWED, seen="It takes POST.", allow="POST")
        return kind, ""
    if path == MODELS or path.startswith(MODELS + "/"):
        if method != "GET":
            raise Refusal(Code.METHOD_NOT_ALLOWED, seen="It takes GET.", allow="GET")
        return CallKind.MODELS, path[len(MODELS) + 1 :]
    raise Refusal(Code.UNKNOWN_PATH)


async def _send_refusal(
    sink: Sink, refusal: Refusal, request_id: str, *, challenge: tuple[bytes, bytes] | None
) -> None:
    body = refusal.body()
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode()),
        *refusal.headers(),
    ]
    if challenge is not None:
        headers.append(challenge)
    if refusal.code in _LAST_OF_THEIR_CONNECTION:
        headers.append((b"connection", b"close"))
    # A caller that hung up cannot be told; that is no fault worth a line.
    with contextlib.suppress(ConnectionError, RuntimeError):
        await sink.send_whole(refusal.code.http_status, headers, body)


def is_inference(path: str) -> bool:
    """Whether the fast door answers this path."""
    return path == PREFIX[:-1] or path.startswith(PREFIX)
