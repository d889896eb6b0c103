"""A request that is repeated under one Idempotency-Key is carried out once; its first reply is given again for a day.

The reply is written in the transaction of what it tells of, and a lock of that transaction keeps a second request out:
so a process that dies leaves either both or nothing, and no mark that somebody would have to clear.
"""

import hashlib
import re
from collections.abc import Callable

from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.problems import Problem, ProblemCode
from accounts.api.throttling import caller_name
from accounts.models import IdempotentReply
from accounts.models.idempotency import REPLY_KEPT
from portal.lib.clock import utc_now
from portal.lib.crypto import SealBroken, Sealer

HEADER = "Idempotency-Key"
SEALED_COLUMN = "accounts_idempotentreply.sealed_body"
_FORM = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)


def idempotency_key(request: Request) -> str | None:
    """Return the request's key; None where it has none. Raises: Problem for one of another form."""
    key: str | None = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and _FORM.fullmatch(key) is None:
        raise Problem(ProblemCode.INVALID_IDEMPOTENCY_KEY)
    return key


def answer_once(
    request: Request, key: str, answer: Callable[[], Response]
) -> HttpResponse | Response:
    """Return the first reply to this request under this key, made now if there is none.

    answer: makes the reply; it raises nothing, and what it wrote before it refused is undone.
    Raises: Problem in_progress, idempotency_key_reused.
    """
    caller = hashlib.sha256(caller_name(request).encode()).digest()
    digest = _digest(request)
    with transaction.atomic():
        if not _lock(caller, key):
            raise Problem(ProblemCode.IN_PROGRESS, retry_after_s=1)
        kept = IdempotentReply.objects.filter(caller=caller, key=key)
        kept.filter(created_at__lte=utc_now() - REPLY_KEPT).delete()
        found = kept.first()
        if found is not None:
            return _again(found, digest)
        reply = answer()
        if reply.status_code < 500 and reply.status_code != 429:
            _keep(caller, key, digest, reply)
        return reply


def _keep(caller: bytes, key: str, digest: bytes, reply: Response) -> None:
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    # What it is sent as is known once it has been rendered.
    reply.render()
    IdempotentReply.objects.create(
        caller=caller,
        key=key,
        request_digest=digest,
        status=reply.status_code,
        content_type=reply.headers.get("Content-Type", ""),
        sealed_body=sealer.seal(
            reply.content.decode(), row=_row(caller, key), column=SEALED_COLUMN
        ),
    )


def _again(found: IdempotentReply, digest: bytes) -> HttpResponse:
    if bytes(found.request_digest) != digest:
        raise Problem(ProblemCode.IDEMPOTENCY_KEY_REUSED, "Take a new key for a new request.")
    row = _row(bytes(found.caller), found.key)
    try:
        body = Sealer(settings.LATCHKEY_SEALING_KEYS).open(
            bytes(found.sealed_body or b""), row=row, column=SEALED_COLUMN
        )
    except SealBroken:
        raise Problem(
            ProblemCode.CONFLICT, "This was carried out, and its reply can no longer be read."
        ) from None
    reply = HttpResponse(body, status=found.status, headers={"Idempotency-Replayed": "true"})
    reply["Content-Type"] = found.content_type
    if not found.content_type:
        del reply["Content-Type"]
    return reply


def _lock(caller: bytes, key: str) -> bool:
    """Take the pair's lock until the transaction ends. Two pairs that share a lock only keep each other waiting."""
    name = hashlib.sha256(caller + key.encode()).digest()[:8]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s)", [int.from_bytes(name, "big", signed=True)]
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def _digest(request: Request) -> bytes:
    """What makes two requests the same: method, address and body."""
    head = f"{request.method} {request.get_full_path()}\n".encode()
    return hashlib.sha256(head + request._request.body).digest()  # noqa: SLF001 - DRF has no other way to the bytes.


def _row(caller: bytes, key: str) -> str:
    return f"{caller.hex()}:{key}"
