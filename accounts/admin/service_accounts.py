from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.bounds import bounds_act, bounds_facts
from accounts.admin.cells import Cell, Table, link_to, list_of, moment, text
from accounts.admin.lists import RelatedFilter
from accounts.admin.teams import DisabledFilter, disabled_facts, state_of
from accounts.audit import acting
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.roles import PortalRight
from accounts.writes.teams import (
    create_service_account,
    disable_service_account,
    enable_service_account,
)

SHOWN_MAX = 50


class NewAccountForm(ActForm):
    team = forms.ModelChoiceField(Team.objects.order_by("name"))
    name = forms.CharField(max_length=100)
    description = forms.CharField(
        max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )


def _create(nothing: None, actor: User, values: dict[str, Any]) -> ServiceAccount:
    return create_service_account(
        values["team"],
        name=values["name"],
        description=values["description"],
        actor=acting(actor),
    )


def _disable(account: ServiceAccount, actor: User, values: dict[str, Any]) -> None:
    disable_service_account(account, actor=acting(actor), reason=values["reason"])


def _enable(account: ServiceAccount, actor: User, values: dict[str, Any]) -> None:
    enable_service_account(account, actor=acting(actor), by_administrator=True)


@admin.register(ServiceAccount)
class ServiceAccountAdmin(PortalAdmin):
    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS
    list_display = ("name", "team", "state", "created")
    list_filter = (("team", RelatedFilter), DisabledFilter)
    list_select_related = ("team",)
    search_fields = ("name", "team__name")
    search_help_text = gettext_lazy("Name or team")
    ordering = ("team__name", "name")
    add_act = Act(
        "add",
        gettext_lazy("Create service account"),
        _create,
        gettext_lazy("The service account is created."),
        NewAccountForm,
    )
    acts = (
        bounds_act(),
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("The account's keys are refused from now on."),
            ReasonForm,
            shows=lambda account: not account.is_held_by_administrator,
            warning=gettext_lazy(
                "Its keys are refused until it is enabled again, and its running calls are cut."
            ),
            is_danger=True,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The account's keys may call again."),
            shows=lambda account: account.disabled_at is not None,
        ),
    )

    @display(description=gettext_lazy("state"), ordering="disabled_at")
    def state(self, account: ServiceAccount) -> SafeString:
        return state_of(account.disabled_at)

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, account: ServiceAccount) -> Cell:
        return moment(account.created_at)

    def facts(self, found: ServiceAccount) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("Team"), link_to(found.team)),
            (_("State"), state_of(found.disabled_at)),
            *disabled_facts(found),
            (_("Description"), text(found.description)),
            *bounds_facts(found),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: ServiceAccount) -> list[Table]:
        keys = found.keys.order_by("-created_at")[:SHOWN_MAX]
        return [
            Table(
                _("Keys"),
                [_("Key"), _("Name"), _("Ends"), _("Revoked")],
                [
                    [link_to(key), key.name, moment(key.expires_at), moment(key.revoked_at)]
                    for key in keys
                ],
                empty=_("This service account has no key. Its team issues one in the portal."),
                more=list_of(ApiKey, f"?q={found.pk}"),
            )
        ]
