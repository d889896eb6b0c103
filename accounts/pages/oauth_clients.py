"""The pages of a team's OAuth clients. A secret stands in the answer to a form alone: nothing can show it again."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import access_oauth_client, access_team
from accounts.audit import acting
from accounts.models import OAuthApplication, User
from accounts.oauth.scopes import MEANINGS
from accounts.pages.oauth_client_form import ClientForm
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right
from accounts.signed_in import person_of
from accounts.writes.oauth_clients import (
    ClientGrant,
    RegisteredClient,
    disable_client,
    enable_client,
    register_client,
    remove_client,
    replace_client_secret,
)
from accounts.writes.reasons import REASON_MAX

TAB = "team-oauth-clients"


class DisableClientForm(forms.Form):
    """Why a client is disabled."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=REASON_MAX)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def oauth_clients(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's clients; whoever manages its keys registers one here."""
    person = person_of(request)
    right = Right.MANAGE_KEYS if request.method == "POST" else Right.SEE_TEAM
    team = access_team(person, slug, right=right)
    form = ClientForm(request.POST or None, team=team, person=person)
    if request.method == "POST" and form.is_valid():
        try:
            registered = register_client(team, actor=acting(person), **form.facts())
        except ValidationError as error:
            show_refusal(form, error)
        else:
            return _show_once(request, registered)
    rows = OAuthApplication.objects.filter(team=team).order_by("name", "pk")
    page = page_of(request, rows)
    return render_team(request, "accounts/oauth_clients.html", team, tab=TAB, page=page, form=form)


@require_safe
def oauth_client(request: HttpRequest, slug: str, client_id: uuid.UUID) -> HttpResponse:
    """Show one client, and what disabling and removing it would end."""
    client = _client_of(person_of(request), slug, client_id)
    return _client_page(request, client, DisableClientForm())


@require_POST
def oauth_client_disable(request: HttpRequest, slug: str, client_id: uuid.UUID) -> HttpResponse:
    """End the client's tokens, and give it none until it is enabled again."""
    person = person_of(request)
    client = _client_of(person, slug, client_id, right=Right.MANAGE_KEYS)
    form = DisableClientForm(request.POST)
    if form.is_valid():
        try:
            disable_client(
                client,
                actor=acting(person),
                reason=form.cleaned_data["reason"],
                by_administrator=False,
            )
        except ValidationError as error:
            show_refusal(form, error)
        else:
            messages.success(request, _("The client is disabled, and its tokens have ended."))
            return redirect("oauth-client", slug, client_id)
    return _client_page(request, client, form)


@require_POST
def oauth_client_enable(request: HttpRequest, slug: str, client_id: uuid.UUID) -> HttpResponse:
    """Let the client get tokens again."""
    person = person_of(request)
    client = _client_of(person, slug, client_id, right=Right.MANAGE_KEYS)
    try:
        enable_client(client, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The client is enabled: it may get tokens again."))
    return redirect("oauth-client", slug, client_id)


@never_cache
@require_POST
def oauth_client_secret(request: HttpRequest, slug: str, client_id: uuid.UUID) -> HttpResponse:
    """Give the client another secret, and show it once."""
    person = person_of(request)
    client = _client_of(person, slug, client_id, right=Right.MANAGE_KEYS)
    try:
        return _show_once(request, replace_client_secret(client, actor=acting(person)))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("oauth-client", slug, client_id)


@require_POST
def oauth_client_remove(request: HttpRequest, slug: str, client_id: uuid.UUID) -> HttpResponse:
    """Delete the client with all its tokens."""
    person = person_of(request)
    client = _client_of(person, slug, client_id, right=Right.MANAGE_KEYS)
    remove_client(client, actor=acting(person))
    messages.success(request, _("The client is removed, and its tokens have ended."))
    return redirect(TAB, slug)


def _client_of(
    person: User, slug: str, client_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> OAuthApplication:
    client = access_oauth_client(person, client_id, right=right)
    if client.team.slug != slug:
        raise Http404
    return client


def _show_once(request: HttpRequest, registered: RegisteredClient) -> HttpResponse:
    client = registered.client
    return render_team(
        request,
        "accounts/oauth_client_registered.html",
        client.team,
        tab=TAB,
        client=client,
        text=registered.secret,
    )


def _client_page(
    request: HttpRequest, client: OAuthApplication, form: DisableClientForm
) -> HttpResponse:
    return render_team(
        request,
        "accounts/oauth_client.html",
        client.team,
        tab=TAB,
        client=client,
        grant=ClientGrant(client.authorization_grant_type).label,
        meanings=[MEANINGS[scope] for scope in client.scopes],
        redirect_uris=client.redirect_uris.split(),
        form=form,
    )
