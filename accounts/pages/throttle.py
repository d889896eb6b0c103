"""Tries are counted by what they name and by the peer they come from. Too many answer alike, right or wrong."""

import unicodedata

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError

from portal.lib.page_peer import page_peer

RETRY_AFTER_S = 60
_KEY_MAX = 254


def refuse_too_many(
    request: HttpRequest, group: str, *, named: str, per_name: str, per_peer: str
) -> HttpResponse | None:
    """Count a try. Returns: the page that refuses it, or None where it may go on.

    named: what is tried, such as an e-mail address, which counts as one in whatever spelling it is looked up by;
    per_name, per_peer: how often, such as "10/m".
    """
    counted = counted_name(named)
    try:
        by_name = is_ratelimited(
            request, group=f"{group}-name", key=lambda *_: counted, rate=per_name, increment=True
        )
        by_peer = is_ratelimited(
            request,
            group=f"{group}-peer",
            key=lambda *_: page_peer(request),
            rate=per_peer,
            increment=True,
        )
    except RedisError:
        # Without a count everything could be tried.
        return _refusal(request, "503.html", status=503)
    return _refusal(request, "429.html", status=429) if by_name or by_peer else None


def counted_name(named: str) -> str:
    """The name under which tries at something are counted."""
    # Forms normalise what is typed, and the database compares in capitals.
    return unicodedata.normalize("NFKC", named[:_KEY_MAX]).strip().upper()


def _refusal(request: HttpRequest, template: str, *, status: int) -> HttpResponse:
    response = render(request, template, status=status)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response
