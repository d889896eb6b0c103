"""The pages of a team's service accounts, in whose names its applications call."""

import uuid

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_service_account, access_team
from accounts.audit import acting
from accounts.models import ServiceAccount, Team, User
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right
from accounts.signed_in import person_of
from accounts.writes.reasons import REASON_MAX
from accounts.writes.teams import (
    create_service_account,
    disable_service_account,
    enable_service_account,
)
from portal.lib.clock import utc_now
from portal.lib.hours import hours_text

TAB = "team-service-accounts"


class ServiceAccountForm(forms.Form):
    """A new service account."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("The application's, such as ticket-summaries."),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
    )


class DisableForm(forms.Form):
    """Why an account is disabled."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=REASON_MAX)


@require_http_methods(["GET", "HEAD", "POST"])
def service_accounts(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's service accounts; whoever manages them makes one here."""
    person = person_of(request)
    right = Right.MANAGE_SERVICE_ACCOUNTS if request.method == "POST" else Right.SEE_TEAM
    team = access_team(person, slug, right=right)
    form = ServiceAccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        account = _created(team, form, person)
        if account is not None:
            messages.success(request, _("The service account is there. Issue a key for it next."))
            return redirect("service-account", team.slug, account.pk)
    live = Q(keys__revoked_at=None, keys__expires_at__gt=utc_now())
    rows = team.service_accounts.annotate(live_keys=Count("keys", filter=live)).order_by("name")
    return render_team(
        request,
        "accounts/service_accounts.html",
        team,
        tab=TAB,
        page=page_of(request, rows),
        form=form,
    )


@require_http_methods(["GET", "HEAD"])
def service_account(request: HttpRequest, slug: str, account_id: uuid.UUID) -> HttpResponse:
    """Show one service account, and what disabling it would end."""
    account = _account_of(person_of(request), slug, account_id)
    return _account_page(request, account, DisableForm())


@require_POST
def service_account_disable(request: HttpRequest, slug: str, account_id: uuid.UUID) -> HttpResponse:
    """Refuse the account's keys until it is enabled again."""
    person = person_of(request)
    account = _account_of(person, slug, account_id, right=Right.MANAGE_SERVICE_ACCOUNTS)
    form = DisableForm(request.POST)
    if not form.is_valid():
        return _account_page(request, account, form)
    try:
        disable_service_account(
            account,
            actor=acting(person),
            reason=form.cleaned_data["reason"],
            by_administrator=False,
        )
    except ValidationError as error:
        show_refusal(form, error)
        return _account_page(request, account, form)
    messages.success(request, _("The service account is disabled: its keys are refused."))
    return redirect("service-account", slug, account_id)


@require_POST
def service_account_enable(request: HttpRequest, slug: str, account_id: uuid.UUID) -> HttpResponse:
    """Let the account's keys call again."""
    person = person_of(request)
    account = _account_of(person, slug, account_id, right=Right.MANAGE_SERVICE_ACCOUNTS)
    try:
        enable_service_account(account, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("The service account is enabled: its keys may call again."))
    return redirect("service-account", slug, account_id)


def _account_of(
    person: User, slug: str, account_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> ServiceAccount:
    account = access_service_account(person, account_id, right=right)
    if account.team.slug != slug:
        raise Http404
    return account


def _account_page(request: HttpRequest, account: ServiceAccount, form: DisableForm) -> HttpResponse:
    live = account.keys.filter(revoked_at=None, expires_at__gt=utc_now())
    return render_team(
        request,
        "accounts/service_account.html",
        account.team,
        tab=TAB,
        account=account,
        hours=hours_text(account.hours),
        live_keys=live.count(),
        form=form,
    )


def _created(team: Team, form: ServiceAccountForm, person: User) -> ServiceAccount | None:
    given = form.cleaned_data
    try:
        return create_service_account(
            team, name=given["name"], description=given["description"], actor=acting(person)
        )
    except ValidationError as error:
        show_refusal(form, error)
        return None
