"""Signing in at the identity provider of one's organisation."""

import hashlib
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from accounts.models import SignOnConnection, User
from accounts.models.sign_on import SignOnKind
from accounts.pages.parts import wanted_page
from accounts.pages.throttle import refuse_too_many
from accounts.signing_in.recent_proof import SIGN_ON
from accounts.single_sign_on import oidc, saml
from accounts.single_sign_on.connections import SignOnRefused, note_refusal
from accounts.writes.arrival import arrive
from portal.lib.page_peer import page_peer

_OfConnection = Callable[[HttpRequest, SignOnConnection], HttpResponse]
_OfSlug = Callable[[HttpRequest, str], HttpResponse]
STARTS_PER_PEER = "60/m"
ANSWER_KEPT_S = 60
_SESSION_KEY = "sign_on"


def of_connection(*kinds: SignOnKind) -> Callable[[_OfConnection], _OfSlug]:
    """Give a view the connection of its address, of these kinds or of any, unless its peer asks too often."""

    def with_connection(view: _OfConnection) -> _OfSlug:
        @wraps(view)
        def found(request: HttpRequest, slug: str) -> HttpResponse:
            connection = _connection(slug, *kinds)
            return _refuse_too_many(request) or view(request, connection)

        return found

    return with_connection


@never_cache
@require_safe
@of_connection()
def sign_on(request: HttpRequest, connection: SignOnConnection) -> HttpResponse:
    """Lead to the provider. Unknown connections and those that are switched off answer alike."""
    begun: oidc.Begun | saml.Begun
    wanted, anew = wanted_page(request), bool(request.GET.get("anew"))
    try:
        if connection.kind == SignOnKind.SAML:
            to = _address("sign-on-saml", connection)
            address, begun = saml.begin(connection, answer_to=to, wanted=wanted, anew=anew)
        else:
            to = _address("sign-on-callback", connection)
            address, begun = oidc.begin(connection, callback=to, wanted=wanted, anew=anew)
    except SignOnRefused as refused:
        return _refused(request, connection, refused)
    request.session[_SESSION_KEY] = begun.as_session()
    return redirect(address)


@never_cache
@require_safe
@of_connection(SignOnKind.OIDC)
def sign_on_callback(request: HttpRequest, connection: SignOnConnection) -> HttpResponse:
    """Take the provider's answer to what this session has begun, once. All that fails reads the same."""
    kept = request.session.pop(_SESSION_KEY, None)
    try:
        begun = oidc.Begun.from_session(kept)
        to = _address("sign-on-callback", connection)
        named = oidc.finish(connection, begun, request.GET.dict(), callback=to)
        person = arrive(connection, named)
    except SignOnRefused as refused:
        return _refused(request, connection, refused)
    return _enter(request, person, begun)


@csrf_exempt
@never_cache
@require_POST
@of_connection(SignOnKind.SAML)
def sign_on_saml(request: HttpRequest, connection: SignOnConnection) -> HttpResponse:
    """Lay the provider's answer aside, and come back for it.

    It is sent from the provider's page, and so without the session that has begun it; the redirect brings the session.
    """
    answer = request.POST.get("SAMLResponse", "")
    try:
        saml.check_length(answer)
    except SignOnRefused as refused:
        return _refused(request, connection, refused)
    handle = secrets.token_urlsafe(24)
    cache.set(laid_aside_name(handle), answer, ANSWER_KEPT_S)
    query = urlencode({"answer": handle})
    return redirect(f"{reverse('sign-on-answer', args=[connection.slug])}?{query}")


@never_cache
@require_safe
@of_connection(SignOnKind.SAML)
def sign_on_answer(request: HttpRequest, connection: SignOnConnection) -> HttpResponse:
    """Read the answer in the session that has begun it, once. All that fails reads the same."""
    kept = request.session.pop(_SESSION_KEY, None)
    key = laid_aside_name(request.GET.get("answer", "")[:64])
    try:
        begun = saml.Begun.from_session(kept)
        answer = str(cache.get(key) or "")
        cache.delete(key)
        to = _address("sign-on-saml", connection)
        person = arrive(connection, saml.finish(connection, begun, answer, answer_to=to))
    except SignOnRefused as refused:
        return _refused(request, connection, refused)
    return _enter(request, person, begun)


@require_safe
@of_connection(SignOnKind.SAML)
def sign_on_metadata(request: HttpRequest, connection: SignOnConnection) -> HttpResponse:
    """What a SAML provider has to know of the portal, for whoever sets it up. Nothing in it is secret."""
    facts = saml.metadata(connection, answer_to=_address("sign-on-saml", connection))
    return render(
        request, "accounts/saml_metadata.xml", facts, content_type="application/samlmetadata+xml"
    )


def laid_aside_name(handle: str) -> str:
    """The name in the cache of a SAML answer that waits for the session that has begun it."""
    return f"saml-answer:{hashlib.sha256(handle.encode()).hexdigest()}"


def _enter(request: HttpRequest, person: User, begun: oidc.Begun | saml.Begun) -> HttpResponse:
    """Open a session, or go on with the one in which the same person proves anew that it is them."""
    is_the_same = request.user == person
    if request.user.is_authenticated and not is_the_same:
        # Whoever was signed in here is not who came back.
        request.session.flush()
    # Coming back from a provider that asked for nothing proves nothing anew.
    record_authentication(request, person, method=SIGN_ON, reauthenticated=begun.anew or None)
    if is_the_same:
        return redirect(begun.wanted)
    login = Login(user=person, redirect_url=begun.wanted)
    answer: HttpResponse = perform_login(request, login)
    return answer


def _connection(slug: str, *kinds: SignOnKind) -> SignOnConnection:
    found = SignOnConnection.objects.filter(slug=slug, is_enabled=True).first()
    if found is None or (kinds and found.kind not in kinds):
        raise Http404
    return found


def _address(route: str, connection: SignOnConnection) -> str:
    """The address that the provider leads back to, whatever Host anybody sends."""
    return f"{settings.LATCHKEY_BASE_URL}{reverse(route, args=[connection.slug])}"


def _refuse_too_many(request: HttpRequest) -> HttpResponse | None:
    return refuse_too_many(
        request,
        "sign-on",
        named=page_peer(request),
        per_name=STARTS_PER_PEER,
        per_peer=STARTS_PER_PEER,
    )


def _refused(
    request: HttpRequest, connection: SignOnConnection, refused: SignOnRefused
) -> HttpResponse:
    note_refusal(connection, refused)
    context: dict[str, Any] = {"connection": connection}
    return render(request, "accounts/sign_on_refused.html", context, status=403)
