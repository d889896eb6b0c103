"""The address at which GitHub reports keys that it found. It is not there until a setting says whose signatures to believe."""

import hashlib

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django_ratelimit.core import is_ratelimited
from redis.exceptions import RedisError

from accounts.audit import SYSTEM
from accounts.leaks.github import is_signed, read_reports
from accounts.models.leaks import LeakReporter
from accounts.writes.leaks import report_leaks
from portal.lib.page_peer import page_peer

# Bodies of pages are held to as much, wherever they come from.
BODY_MAX_BYTES = 1024 * 1024
REPORTS_PER_PEER = "600/m"
UNSIGNED_PER_PEER = "30/m"
RETRY_AFTER_S = 60


@csrf_exempt
def github(request: HttpRequest) -> HttpResponse:
    """Answer for each reported token whether it is a key of ours. What is not signed by GitHub's keys is not read."""
    if not settings.LATCHKEY_GITHUB_KEYS_URL:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    reply = (
        _refused_form(request)
        or _refused_peer(request, "leak-reports", REPORTS_PER_PEER, count_this=True)
        or _refused_peer(request, "leak-reports-unsigned", UNSIGNED_PER_PEER, count_this=False)
        or _refused_signature(request)
        or _answer(request)
    )
    reply["Cache-Control"] = "no-store"
    return reply


def _answer(request: HttpRequest) -> HttpResponse:
    try:
        reports = read_reports(request.body)
    except ValueError:
        return _refusal(400, "The body is no report: a JSON array of matches, each with its token.")
    keys = report_leaks(
        [report for report, _ in reports], reporter=LeakReporter.GITHUB, actor=SYSTEM
    )
    labels = [
        {
            "token_hash": hashlib.sha256(report.token.encode()).hexdigest(),
            "token_type": kind,
            "label": "false_positive" if key is None else "true_positive",
        }
        for (report, kind), key in zip(reports, keys, strict=True)
    ]
    return JsonResponse(labels, safe=False)


def _refused_form(request: HttpRequest) -> HttpResponse | None:
    """Look at the head before a byte of the body is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isascii() or not length.isdigit():
        return _refusal(400, "Content-Length is no number.")
    if int(length) > BODY_MAX_BYTES:
        return _refusal(413, f"The limit is {BODY_MAX_BYTES} bytes.")
    is_plain = request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() == "identity"
    if request.content_type != "application/json" or not is_plain:
        return _refusal(415, "Send the report as application/json, uncompressed.")
    return None


def _refused_signature(request: HttpRequest) -> HttpResponse | None:
    is_github = is_signed(
        request.body,
        identifier=request.headers.get("Github-Public-Key-Identifier", ""),
        signature=request.headers.get("Github-Public-Key-Signature", ""),
    )
    if is_github:
        return None
    too_many = _refused_peer(request, "leak-reports-unsigned", UNSIGNED_PER_PEER, count_this=True)
    return too_many or _refusal(401, "The report is not signed with a key of GitHub's.")


def _refused_peer(
    request: HttpRequest, group: str, rate: str, *, count_this: bool
) -> HttpResponse | None:
    """Refuse a peer that asks too often, and everybody while nothing can be counted."""
    try:
        too_many = is_ratelimited(
            request,
            group=group,
            key=lambda *_: page_peer(request),
            rate=rate,
            increment=count_this,
        )
    except RedisError:
        reply = _refusal(503, "Reports cannot be counted at the moment.")
    else:
        if not too_many:
            return None
        reply = _refusal(429, "Too many reports from this address.")
    reply["Retry-After"] = str(RETRY_AFTER_S)
    return reply


def _refusal(status: int, text: str) -> HttpResponse:
    return JsonResponse({"error": text}, status=status)
