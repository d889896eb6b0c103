"""From where and when a key or a service account may be used, with the networks that its calls came from as a proposal."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.access import access_key, access_service_account
from accounts.audit import acting
from accounts.models import ApiKey, ServiceAccount, User
from accounts.pages.bounds_fields import HoursFields, NetworksField, hours_from, hours_initial
from accounts.pages.parts import show_refusal
from accounts.roles import Right
from accounts.signed_in import person_of
from accounts.writes.bounds import change_bounds
from portal.lib.clock import utc_now
from portal.lib.hours import hours_text
from proxy.usage.seen_addresses import seen_networks

# What the parameter of the address says when the form is to begin with what was seen.
PROPOSED = "seen"


class BoundsForm(HoursFields):
    networks = NetworksField()
    field_order = ("networks", "days", "begins", "ends", "zone")


@require_http_methods(["GET", "HEAD", "POST"])
def key_bounds(request: HttpRequest, key_id: uuid.UUID) -> HttpResponse:
    """Bound a key: its holder, or whoever manages the team's keys."""
    key = access_key(person_of(request), key_id, to_change=True)
    return _answer(request, key, name=key.name, back=reverse("key", args=[key.pk]))


@require_http_methods(["GET", "HEAD", "POST"])
def service_account_bounds(request: HttpRequest, slug: str, account_id: uuid.UUID) -> HttpResponse:
    """Bound a service account, whatever it calls with."""
    account = access_service_account(
        person_of(request), account_id, right=Right.MANAGE_SERVICE_ACCOUNTS
    )
    if account.team.slug != slug:
        raise Http404
    back = reverse("service-account", args=[slug, account.pk])
    return _answer(request, account, name=account.name, back=back)


def _answer(
    request: HttpRequest, subject: ApiKey | ServiceAccount, *, name: str, back: str
) -> HttpResponse:
    seen = seen_networks(subject, now=utc_now())
    begun: dict[str, Any] = hours_initial(subject.hours)
    begun["networks"] = "\n".join(subject.networks)
    if request.GET.get("networks") == PROPOSED:
        begun["networks"] = "\n".join(one.network for one in seen)
    form = BoundsForm(request.POST or None, initial=begun)
    if request.method == "POST" and form.is_valid() and _changed(form, subject, person_of(request)):
        messages.success(request, _("It may be used from there and then alone, within a second."))
        return redirect(back)
    return render(
        request,
        "portal/bounds.html",
        {
            "name": name,
            "back": back,
            "form": form,
            "seen": seen,
            "proposed": PROPOSED,
            "team": subject.team,
            "team_hours": hours_text(subject.team.hours),
        },
    )


def _changed(form: BoundsForm, subject: ApiKey | ServiceAccount, person: User) -> bool:
    values = form.cleaned_data
    try:
        change_bounds(
            subject, networks=values["networks"], hours=hours_from(values), actor=acting(person)
        )
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True
