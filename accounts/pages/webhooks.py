"""The page of a team's webhooks: where its news go, made and removed by whoever manages its keys."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_team, access_webhook
from accounts.audit import acting
from accounts.models import Team, User, Webhook
from accounts.models.notifications import NotificationKind
from accounts.models.webhooks import WEBHOOK_KINDS, DeliveryState, WebhookFormat
from accounts.pages.notifications import KIND_LABELS
from accounts.pages.parts import show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right
from accounts.signed_in import person_of
from accounts.writes.webhooks import URL_MAX, NewWebhook, add_webhook, remove_webhook

TAB = "team-webhooks"
LABELS = KIND_LABELS | {
    NotificationKind.KEY_LEAKED: gettext_lazy("A key was found where others can read it")
}
FORMATS = [
    (WebhookFormat.SIGNED.value, gettext_lazy("Signed JSON, for a program of your own")),
    (WebhookFormat.SLACK.value, gettext_lazy("Slack, or a chat that takes its incoming webhooks")),
    (WebhookFormat.TEAMS.value, gettext_lazy("Microsoft Teams")),
]


class WebhookForm(forms.Form):
    """A new webhook."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    format = forms.ChoiceField(label=gettext_lazy("Form"), choices=FORMATS)
    url = forms.CharField(
        label=gettext_lazy("URL"),
        max_length=URL_MAX,
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy(
            "It is kept sealed and not shown again: whoever knows it can post there."
        ),
    )
    kinds = forms.MultipleChoiceField(
        label=gettext_lazy("What it hears of"),
        choices=[(kind.value, LABELS[kind]) for kind in WEBHOOK_KINDS],
        widget=forms.CheckboxSelectMultiple,
        initial=[kind.value for kind in WEBHOOK_KINDS],
    )


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's webhooks and make one. Its secret stands in the answer to the form alone."""
    person = person_of(request)
    team = access_team(person, slug, right=Right.MANAGE_KEYS)
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        made = _made(team, form, person)
        if made is not None:
            return render_team(
                request,
                "accounts/webhook_added.html",
                team,
                tab=TAB,
                webhook=made.webhook,
                text=made.secret,
            )
    waiting = Count("deliveries", filter=Q(deliveries__state=DeliveryState.WAITING))
    dead = Count("deliveries", filter=Q(deliveries__state=DeliveryState.DEAD))
    rows = Webhook.objects.filter(team=team).annotate(waiting=waiting, dead=dead).order_by("name")
    return render_team(request, "accounts/webhooks.html", team, tab=TAB, rows=rows, form=form)


@require_POST
def webhook_remove(request: HttpRequest, slug: str, webhook_id: uuid.UUID) -> HttpResponse:
    person = person_of(request)
    webhook = access_webhook(person, webhook_id)
    if webhook.team.slug != slug:
        raise Http404
    remove_webhook(webhook, actor=acting(person))
    messages.success(request, _("The webhook is removed. Nothing more is sent to it."))
    return redirect(TAB, slug)


def _made(team: Team, form: WebhookForm, person: User) -> NewWebhook | None:
    values: dict[str, Any] = form.cleaned_data
    try:
        return add_webhook(
            team,
            name=values["name"],
            url=values["url"],
            form=WebhookFormat(values["format"]),
            kinds=[NotificationKind(kind) for kind in values["kinds"]],
            actor=acting(person),
            created_by=person,
        )
    except ValidationError as error:
        show_refusal(form, error)
        return None
