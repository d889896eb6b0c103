from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm, moment_field
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment, pill, whole
from accounts.admin.lists import ChoiceFilter, RelatedFilter
from accounts.audit import acting
from accounts.models import ServiceAccount, Team, User
from accounts.models.keys import CALL_SCOPE_CHOICES, Scope
from accounts.roles import PortalRight
from models_registry.models import AiModel, Grant
from models_registry.writes.grants import end_grant, grant_model
from portal.lib.clock import utc_now


class LifeFilter(ChoiceFilter):
    title = gettext_lazy("state")
    parameter_name = "life"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("live", _("Live")), ("coming", _("Coming")), ("ended", _("Ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        now = utc_now()
        states = {
            "live": Q(starts_at__lte=now, ends_at__gt=now),
            "coming": Q(starts_at__gt=now),
            "ended": Q(ends_at__lte=now),
        }
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(states[chosen])


class GrantForm(ActForm):
    model = forms.ModelChoiceField(AiModel.objects.order_by("name"))
    team = forms.ModelChoiceField(
        Team.objects.order_by("name"),
        required=False,
        help_text=gettext_lazy("Every key of the team may use it."),
    )
    service_account = forms.ModelChoiceField(
        ServiceAccount.objects.select_related("team").order_by("name"),
        required=False,
        help_text=gettext_lazy("In place of a team: this application's keys alone."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Kinds of call"),
        choices=CALL_SCOPE_CHOICES,
        widget=forms.CheckboxSelectMultiple,
    )
    ends_at = moment_field(label=gettext_lazy("Ends at (UTC)"))
    requests_per_minute = forms.IntegerField(
        label=gettext_lazy("Calls a minute"), min_value=1, max_value=2**31 - 1, required=False
    )
    tokens_per_minute = forms.IntegerField(
        label=gettext_lazy("Tokens a minute"), min_value=1, max_value=2**31 - 1, required=False
    )

    def clean(self) -> dict[str, Any]:
        values = dict(super().clean() or {})
        if bool(values.get("team")) == bool(values.get("service_account")):
            self.add_error("team", _("Choose a team or a service account, and not both."))
        return values


def _grant(nothing: None, actor: User, values: dict[str, Any]) -> Grant:
    return grant_model(
        values["model"],
        to=values["team"] or values["service_account"],
        scopes=[Scope(scope) for scope in values["scopes"]],
        ends_at=values["ends_at"],
        requests_per_minute=values["requests_per_minute"],
        tokens_per_minute=values["tokens_per_minute"],
        actor=acting(actor),
    )


def _end(grant: Grant, actor: User, values: dict[str, Any]) -> None:
    end_grant(grant, actor=acting(actor), reason=values["reason"])


@admin.register(Grant)
class GrantAdmin(PortalAdmin):
    """Who may call what. A grant is made and ended, never changed."""

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_GRANTS
    list_display = ("holder", "model", "kinds", "state", "starts", "ends")
    list_filter = (LifeFilter, ("model", RelatedFilter), ("team", RelatedFilter))
    list_select_related = ("team", "service_account", "model")
    search_fields = ("team__name", "service_account__name", "model__name")
    search_help_text = gettext_lazy("Team, service account or model")
    ordering = ("-created_at",)
    add_act = Act(
        "add", gettext_lazy("Grant model"), _grant, gettext_lazy("The model is granted."), GrantForm
    )
    acts = (
        Act(
            "end",
            gettext_lazy("End now"),
            _end,
            gettext_lazy("The grant has ended."),
            ReasonForm,
            shows=lambda grant: grant.ends_at > utc_now(),
            warning=gettext_lazy("Calls that rest on it are refused within a second."),
            is_danger=True,
            is_bulk=True,
        ),
    )

    @display(description=gettext_lazy("granted to"))
    def holder(self, grant: Grant) -> str:
        return str(grant.team or grant.service_account)

    @display(description=gettext_lazy("kinds of call"))
    def kinds(self, grant: Grant) -> str:
        return ", ".join(grant.scopes)

    @display(description=gettext_lazy("state"), ordering="ends_at")
    def state(self, grant: Grant) -> SafeString:
        now = utc_now()
        if grant.ends_at <= now:
            return pill(_("ended"))
        return pill(_("live"), "ok") if grant.starts_at <= now else pill(_("coming"), "warn")

    @display(description=gettext_lazy("starts"), ordering="starts_at")
    def starts(self, grant: Grant) -> Cell:
        return moment(grant.starts_at)

    @display(description=gettext_lazy("ends"), ordering="ends_at")
    def ends(self, grant: Grant) -> Cell:
        return moment(grant.ends_at)

    def name_of(self, found: Grant) -> str:
        return _("%(model)s for %(holder)s") % {"model": found.model, "holder": self.holder(found)}

    def facts(self, found: Grant) -> list[tuple[str, Cell]]:
        asked = getattr(found, "requested_model", None)
        return [
            (_("Model"), link_to(found.model)),
            (_("Granted to"), link_to(found.team or found.service_account)),
            (_("Kinds of call"), ", ".join(found.scopes)),
            (_("State"), self.state(found)),
            (_("Starts"), moment(found.starts_at)),
            (_("Ends"), moment(found.ends_at)),
            (_("Calls a minute, by all keys"), whole(found.requests_per_minute)),
            (_("Tokens a minute, by all keys"), whole(found.tokens_per_minute)),
            (_("Asked for in"), link_to(asked.request) if asked else None),
            (_("Made"), moment(found.created_at)),
        ]
