"""The page on which a person types a device's code, sees what the device asks for, chooses a team and allows or denies it."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.audit import acting, record_audit
from accounts.models import OAuthApplication, OAuthDeviceGrant, Team, User
from accounts.models.audit import AuditTag
from accounts.oauth.client_authentication import find_client
from accounts.oauth.consent import ConsentForm
from accounts.oauth.device_grants import find_waiting, shown_code
from accounts.oauth.scopes import MEANINGS
from accounts.oauth.subjects import allowed_scopes, may_act_in
from accounts.pages.throttle import refuse_too_many
from accounts.signed_in import person_of

CODES_PER_PERSON = "10/m"
CODES_PER_PEER = "60/m"
CODE_MAX = 20


@require_http_methods(["GET", "HEAD", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """Ask for the code, then for the person's word. Tries are counted, as a code is short."""
    person = person_of(request)
    typed = str(request.POST.get("user_code") or request.GET.get("user_code") or "")[:CODE_MAX]
    if not typed:
        return _ask_for_code(request)
    refused = refuse_too_many(
        request,
        "oauth-device",
        named=str(person.pk),
        per_name=CODES_PER_PERSON,
        per_peer=CODES_PER_PEER,
    )
    if refused is not None:
        return refused
    grant = find_waiting(typed)
    client = find_client(grant.client_id) if grant is not None else None
    if grant is None or client is None:
        return _ask_for_code(request, is_wrong=True)
    form = ConsentForm(request.POST if "decision" in request.POST else None, person=person)
    if request.POST.get("decision") == "deny":
        return _decide(request, person, None, client, typed)
    if form.is_bound and form.is_valid():
        return _decide(request, person, form.cleaned_data["team"], client, typed)
    scopes = allowed_scopes(client, person, grant.scope.split())
    asked = {
        "client": client,
        "meanings": [MEANINGS[scope] for scope in scopes],
        "user_code": shown_code(grant),
        "form": form,
    }
    return render(request, "accounts/oauth_device.html", asked)


@transaction.atomic
def _decide(
    request: HttpRequest, person: User, team: Team | None, client: OAuthApplication, typed: str
) -> HttpResponse:
    """Write the person's word. Of two people who type one code, one decides. Without a team it is denied."""
    grant = find_waiting(typed, lock=True)
    if grant is None:
        return _ask_for_code(request, is_wrong=True)
    scopes = allowed_scopes(client, person, grant.scope.split())
    is_allowed = team is not None and bool(scopes) and may_act_in(person, team)
    grant.user, grant.team, grant.scope = person, team, " ".join(scopes)
    grant.status = OAuthDeviceGrant.AUTHORIZED if is_allowed else OAuthDeviceGrant.DENIED
    grant.save(update_fields=["user", "team", "scope", "status"])
    if team is not None and is_allowed:
        record_audit(
            AuditTag.OAUTH_AUTHORIZED,
            actor=acting(person),
            subject_kind="oauth_client",
            subject_id=client.credential_id,
            team_id=team.pk,
            scopes=scopes,
        )
        messages.success(request, _("The device is authorized. Go on there."))
    else:
        messages.info(request, _("The device was not authorized."))
    return redirect("oauth-device")


def _ask_for_code(request: HttpRequest, *, is_wrong: bool = False) -> HttpResponse:
    return render(request, "accounts/oauth_device.html", {"is_wrong": is_wrong})
