"""The endpoints that clients ask by themselves: token, revocation, introspection and a device's request to be authorized.

A client that is unknown, wrong or disabled hears the same words after the same time, and its tries are counted.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django_ratelimit.core import is_ratelimited
from oauthlib.common import Request, urlencode
from redis.exceptions import RedisError

from accounts.models import OAuthApplication, OAuthRefreshToken
from accounts.oauth.backend import backend
from accounts.oauth.client_authentication import (
    authenticated_client,
    find_client,
    shows_proof,
)
from accounts.oauth.device_grants import begin, shown_code
from accounts.oauth.exchange import (
    ACCESS_TOKEN_TYPE,
    JWT_TYPE,
    TOKEN_EXCHANGE,
    NotGiven,
    NotProven,
    exchange,
)
from accounts.oauth.introspection import facts_of, facts_of_exchanged
from accounts.oauth.secrets import digest_of
from accounts.oauth.writes import access_tokens_of, revoke_token
from accounts.ways_in.proven import REFUSED_AFTER_S
from portal.lib.clock import utc_now
from portal.lib.page_peer import page_peer

DEVICE_GRANT = OAuthApplication.GRANT_DEVICE_CODE
GRANTS = (
    "authorization_code",
    "client_credentials",
    "refresh_token",
    DEVICE_GRANT,
    TOKEN_EXCHANGE,
)
UNKNOWN_CLIENTS_PER_PEER = "30/m"
RETRY_AFTER_S = 60
FORM_MAX_BYTES = 16 * 1024
_UNAUTHORIZED = 401
View = Callable[[HttpRequest], HttpResponse]


class Unproven(JsonResponse):
    """Refuses whoever did not prove who they are: counted by their address, and after the same time for everybody."""


def endpoint(view: View) -> View:
    """Make a view of one of the protocol's endpoints: a bounded form by POST, refusals that tell nothing, no copy kept.

    What it writes is one transaction, also where it refuses: what a replay ends stays ended.
    """

    @csrf_exempt
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        # Noted before anything else, whose time would be seen in it.
        refused_at = time.monotonic() + REFUSED_AFTER_S
        reply = _refused_form(request) or _refused_peer(request, count_this=False)
        if reply is None:
            with transaction.atomic():
                reply = view(request)
            if isinstance(reply, Unproven):
                reply = _refused_peer(request, count_this=True) or reply
                time.sleep(max(0.0, refused_at - time.monotonic()))
        reply["Cache-Control"] = "no-store"
        reply["Pragma"] = "no-cache"
        return reply

    return answer


@endpoint
def token(request: HttpRequest) -> HttpResponse:
    """Answer a token request (RFC 6749, 3.2): for a code, a refresh token, a device's code, a client or a workload."""
    grant = request.POST.get("grant_type")
    if grant not in GRANTS:
        # The library would look a password up before it says so.
        return refusal("unsupported_grant_type", "This grant is not offered.")
    if grant == TOKEN_EXCHANGE:
        return exchange_reply(request)
    if grant == "authorization_code" and not request.POST.get("redirect_uri"):
        return refusal("invalid_request", "Name the redirect URI that the code was sent to.")
    _, headers, body, status = backend().create_token_response(request)
    if status == _UNAUTHORIZED:
        return unknown_client()
    return _reply(headers, body, status)


def exchange_reply(request: HttpRequest) -> HttpResponse:
    """Answer the exchange of a workload's own token (RFC 8693), which proves the caller; a client that is named proves itself."""
    if wrong := _wrong_exchange(request):
        return refusal("invalid_request", wrong)
    client = _client_of(request)
    if client is None and (shows_proof(_asked(request)) or "client_id" in request.POST):
        return unknown_client()
    now = utc_now()
    try:
        given = exchange(
            request.POST["subject_token"],
            scopes=request.POST.get("scope", "").split(),
            resources=request.POST.getlist("resource") + request.POST.getlist("audience"),
            client=client,
            peer=page_peer(request),
            now=now,
        )
    except NotGiven as refused:
        return refusal(refused.error, str(refused))
    except NotProven:
        # RFC 8693, 2.2.2: this code, whatever is wrong with the token.
        said = {
            "error": "invalid_request",
            "error_description": "The subject_token is not valid here.",
        }
        return Unproven(said, status=400)
    return JsonResponse(
        {
            "access_token": given.token.text,
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "token_type": "Bearer",
            "expires_in": max(0, int((given.token.expires_at - now).total_seconds())),
            "scope": " ".join(given.scopes),
        }
    )


@endpoint
def revoke(request: HttpRequest) -> HttpResponse:
    """End a token of the client's own, or one that a workload of its team got in exchange (RFC 7009). A token that is not there, or another's, is answered the same."""
    client = _client_of(request)
    if client is None:
        return unknown_client()
    text = request.POST.get("token", "")
    if not text:
        return refusal("invalid_request", "The token is missing.")
    revoke_token(client, digest_of(text))
    return HttpResponse(status=200)


@endpoint
def introspect(request: HttpRequest) -> HttpResponse:
    """Say what a token of the client's own, or one that a workload of its team got in exchange, is worth (RFC 7662).

    Any other is not active, and nothing more.
    """
    client = authenticated_client(_asked(request))
    if client is None:
        return unknown_client()
    text = request.POST.get("token", "")
    if not text:
        return refusal("invalid_request", "The token is missing.")
    access = access_tokens_of(client).select_related("user", "team")
    found = access.filter(token_checksum=digest_of(text)).first()
    if found is not None and found.application_id is None:
        return JsonResponse(facts_of_exchanged(found, text, now=utc_now()))
    refresh = OAuthRefreshToken.objects.select_related("user", "team").filter(
        token_checksum=digest_of(text), application=client, revoked=None
    )
    return JsonResponse(facts_of(client, found or refresh.first(), now=utc_now()))


@endpoint
def device_authorization(request: HttpRequest) -> HttpResponse:
    """Give a device the code it polls with, and the one its person types (RFC 8628, 3.1)."""
    client = _client_of(request)
    if client is None:
        return unknown_client()
    if client.authorization_grant_type != DEVICE_GRANT:
        return refusal("unauthorized_client", "This client was not registered for devices.")
    scopes = request.POST.get("scope", "").split() or list(client.scopes)
    if not set(scopes) <= set(client.scopes):
        return refusal("invalid_scope", "The client may not ask for one of these scopes.")
    device_code, grant = begin(client, scopes)
    page = settings.LATCHKEY_BASE_URL + reverse("oauth-device")
    return JsonResponse(
        {
            "device_code": device_code,
            "user_code": shown_code(grant),
            "verification_uri": page,
            "verification_uri_complete": f"{page}?user_code={shown_code(grant)}",
            "expires_in": int((grant.expires - utc_now()).total_seconds()),
            "interval": grant.interval,
        }
    )


def unknown_client() -> HttpResponse:
    """The one refusal of clients that did not prove who they are."""
    said = {
        "error": "invalid_client",
        "error_description": "The client is not known, or its proof is wrong.",
    }
    reply = Unproven(said, status=_UNAUTHORIZED)
    reply["WWW-Authenticate"] = 'Basic realm="Latchkey"'
    return reply


def refusal(error: str, description: str, *, status: int = 400) -> HttpResponse:
    return JsonResponse({"error": error, "error_description": description}, status=status)


def _asked(request: HttpRequest) -> Request:
    """The request as the client's authentication reads it."""
    core = backend()
    body = urlencode(core.extract_body(request))
    return Request(request.path, request.method, body, core.extract_headers(request))


def _client_of(request: HttpRequest) -> OAuthApplication | None:
    """Return the client: proven, or, where it can keep no secret, named."""
    asked = _asked(request)
    if shows_proof(asked):
        return authenticated_client(asked)
    named = find_client(request.POST.get("client_id", ""))
    return named if named is not None and named.is_public else None


def _wrong_exchange(request: HttpRequest) -> str | None:
    """Say what is wrong with the form of an exchange, before its token is looked at."""
    form = request.POST
    if not form.get("subject_token"):
        return "The subject_token is missing."
    if form.get("subject_token_type") != JWT_TYPE:
        return f"The subject_token_type is {JWT_TYPE}."
    if form.get("requested_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
        return f"The requested_token_type is {ACCESS_TOKEN_TYPE}."
    if "actor_token" in form or "actor_token_type" in form:
        return "Nobody acts for a workload: leave the actor_token out."
    return None


def _refused_form(request: HttpRequest) -> HttpResponse | None:
    """Refuse what is no form of this protocol."""
    if request.method != "POST":
        reply = refusal("invalid_request", "Ask by POST.", status=405)
        reply["Allow"] = "POST"
        return reply
    wrong = _wrong_form(request)
    return None if wrong is None else refusal("invalid_request", wrong)


def _wrong_form(request: HttpRequest) -> str | None:
    """Say what is wrong: another type, a query, too much, or a member that stands twice."""
    if request.content_type != "application/x-www-form-urlencoded":
        return "Send application/x-www-form-urlencoded."
    if request.META.get("QUERY_STRING"):
        # Queries are kept in logs, and no proof belongs there (RFC 6749, 2.3.1).
        return "Send everything in the body."
    if int(request.META.get("CONTENT_LENGTH") or 0) > FORM_MAX_BYTES:
        return "The body is too large."
    twice = {name for name, values in request.POST.lists() if len(values) > 1}
    if not twice <= {"resource"}:
        return "A member stands twice."
    texts = [text for name, values in request.POST.lists() for text in (name, *values)]
    return "A member holds a null character." if any("\x00" in text for text in texts) else None


def _refused_peer(request: HttpRequest, *, count_this: bool) -> HttpResponse | None:
    """Refuse a peer that tried too many unknown clients, and everybody while nothing can be counted."""
    try:
        too_many = is_ratelimited(
            request,
            group="oauth-unknown-clients",
            key=lambda *_: page_peer(request),
            rate=UNKNOWN_CLIENTS_PER_PEER,
            increment=count_this,
        )
    except RedisError:
        reply = refusal("temporarily_unavailable", "Try again soon.", status=503)
    else:
        if not too_many:
            return None
        reply = refusal("slow_down", "Too many unknown clients from this address.", status=429)
    reply["Retry-After"] = str(RETRY_AFTER_S)
    return reply


def _reply(headers: dict[str, Any], body: str | None, status: int) -> HttpResponse:
    reply = HttpResponse(body or "", status=status, content_type="application/json")
    for name in ("WWW-Authenticate",):
        if name in headers:
            reply[name] = headers[name]
    return reply
