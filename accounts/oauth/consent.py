"""The authorization endpoint: a person sees who asks for what, chooses the one team it is for, and allows or denies it.

What was asked for is read from the address at both visits, so that nothing on the page can change it.
"""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from django import forms
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.http import OAuth2ResponseRedirect
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2.rfc6749 import errors

from accounts.access import teams_of
from accounts.audit import acting, record_audit
from accounts.models import OAuthApplication, Team, User
from accounts.models.audit import AuditTag
from accounts.oauth.backend import backend
from accounts.oauth.client_authentication import find_client
from accounts.oauth.issuer import door_of, issuer
from accounts.oauth.scopes import MEANINGS
from accounts.oauth.subjects import SUBJECT, Subject, allowed_scopes, may_act_in
from accounts.roles import Right
from accounts.signed_in import person_of

QUERY_MAX = 4096
_SEE_OTHER = 303


class ConsentForm(forms.Form):
    """The one team in which the client may act. Nothing is chosen beforehand where there is a choice."""

    team = forms.ModelChoiceField(
        label=gettext_lazy("Team"), queryset=Team.objects.none(), empty_label=None
    )

    def __init__(self, data: object, *, person: User) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        teams = teams_of(person, right=Right.ISSUE_OWN_KEYS)
        cast("forms.ModelChoiceField[Team]", self.fields["team"]).queryset = teams


@dataclass(frozen=True)
class Asked:
    """What the address asks for, checked. facts: what the library goes on with."""

    client: OAuthApplication
    scopes: list[str]
    facts: dict[str, Any]

    @property
    def redirect_uri(self) -> str:
        return str(self.facts["redirect_uri"])


@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """Show the consent page, and on the person's word send a code, or their refusal, back to the client."""
    person = person_of(request)
    if len(request.META.get("QUERY_STRING", "")) > QUERY_MAX:
        return _refused(request)
    try:
        scopes, facts = backend().validate_authorization_request(request)
    except OAuthToolkitError as error:
        return _answer_error(request, error)
    client = find_client(facts["client_id"])
    if client is None:
        return _refused(request)
    asked = Asked(client, scopes, facts | {"resource": request.GET.getlist("resource")})
    return _answer(request, person, asked)


def _answer(request: HttpRequest, person: User, asked: Asked) -> HttpResponse:
    decision = request.POST.get("decision") if request.method == "POST" else None
    refused = _refusal(request, person, asked)
    if refused is None and decision == "deny":
        refused = errors.AccessDeniedError()
    if refused is not None:
        refused.state, refused.redirect_uri = asked.facts["state"], asked.redirect_uri
        return _send_error(asked.client, refused)
    form = ConsentForm(request.POST if decision else None, person=person)
    if decision == "allow" and form.is_valid():
        return _allow(request, person, form.cleaned_data["team"], asked)
    return _page(request, asked, form)


def _refusal(request: HttpRequest, person: User, asked: Asked) -> errors.OAuth2Error | None:
    """What the library does not ask: the challenge's method, the resource, and whether the person has the rights at all."""
    if request.GET.get("code_challenge_method") != "S256":
        return errors.InvalidRequestError("Use the code_challenge_method S256.")
    if any(door_of(one) is None for one in request.GET.getlist("resource")):
        return errors.CustomOAuth2Error(error="invalid_target", description="No such resource.")
    if allowed_scopes(asked.client, person, asked.scopes) != asked.scopes:
        return errors.InvalidScopeError("The person does not have one of these rights.")
    return None


@transaction.atomic
def _allow(request: HttpRequest, person: User, team: Team, asked: Asked) -> HttpResponse:
    """Make the code, and note that the person allowed it."""
    if not may_act_in(person, team):
        return _refused(request)
    uri, _, _, _ = backend().create_authorization_response(
        request=request,
        scopes=asked.scopes,
        credentials=asked.facts | {SUBJECT: Subject(person, team)},
        allow=True,
    )
    record_audit(
        AuditTag.OAUTH_AUTHORIZED,
        actor=acting(person),
        subject_kind="oauth_client",
        subject_id=asked.client.credential_id,
        team_id=team.pk,
        scopes=asked.scopes,
    )
    return _send_back(asked.client, uri)


def _refused(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/oauth_refused.html", status=400)


def _answer_error(request: HttpRequest, error: OAuthToolkitError) -> HttpResponse:
    """Tell the client, or, where it is not certain who that is or where it may be answered, the person alone."""
    cause = error.oauthlib_error
    client = find_client(request.GET.get("client_id", ""))
    is_fatal = isinstance(cause, errors.FatalClientError) or not cause.redirect_uri
    if is_fatal or client is None or not client.redirect_uri_allowed(cause.redirect_uri):
        return _refused(request)
    return _send_error(client, cause)


def _send_error(client: OAuthApplication, error: errors.OAuth2Error) -> HttpResponse:
    """Say the error to the client, and who says it (RFC 9207)."""
    uri = error.in_uri(error.redirect_uri)
    return _send_back(client, str(add_params_to_uri(uri, [("iss", issuer())])))


def _send_back(client: OAuthApplication, uri: str) -> HttpResponse:
    """Redirect by 303, so that no browser sends the form on to the client (RFC 9700, 4.12)."""
    reply: HttpResponse = OAuth2ResponseRedirect(uri, client.get_allowed_schemes())
    reply.status_code = _SEE_OTHER
    reply["Cache-Control"] = "no-store"
    reply["Referrer-Policy"] = "no-referrer"
    return reply


def _page(request: HttpRequest, asked: Asked, form: ConsentForm) -> HttpResponse:
    parts = urlsplit(asked.redirect_uri)
    shown = {
        "client": asked.client,
        "meanings": [MEANINGS[scope] for scope in asked.scopes],
        "sent_to": parts.netloc,
        "form": form,
    }
    reply = render(request, "accounts/oauth_consent.html", shown)
    # Browsers hold the redirect that follows the form to the policy as well.
    update = {"form-action": [f"{parts.scheme}://{parts.netloc}"]}
    setattr(reply, "_csp_update", update)  # noqa: B010 - the name django-csp reads.
    reply["Cache-Control"] = "no-store"
    return reply
