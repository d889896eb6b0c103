from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.bounds import bounds_act, bounds_facts
from accounts.admin.cells import Cell, Table, code, link_to, list_of, moment, pill
from accounts.admin.lists import ChoiceFilter
from accounts.audit import acting
from accounts.models import ApiKey, Membership, ServiceAccount, Team, User
from accounts.models.disabling import Disabled
from accounts.roles import PortalRight
from accounts.writes.teams import change_team, create_team, disable_team, enable_team

SHOWN_MAX = 50


class DisabledFilter(ChoiceFilter):
    """Whether it works: of teams and of service accounts."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("active", _("Active")), ("disabled", _("Disabled"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return (
            queryset if chosen is None else queryset.filter(disabled_at__isnull=chosen == "active")
        )


class NewTeamForm(ActForm):
    name = forms.CharField(max_length=100)
    cost_centre = forms.CharField(max_length=60, required=False)


class TeamForm(NewTeamForm):
    requires_second_factor = forms.BooleanField(
        label=gettext_lazy("Members need a second factor"),
        required=False,
        help_text=gettext_lazy("Whoever has none acts in the team once they have set one up."),
    )

    def prepare(self) -> None:
        self.initial.setdefault("requires_second_factor", self.subject.requires_second_factor)
        self.initial.setdefault("name", self.subject.name)
        self.initial.setdefault("cost_centre", self.subject.cost_centre)


def _create(nothing: None, actor: User, values: dict[str, Any]) -> Team:
    return create_team(values["name"], cost_centre=values["cost_centre"], actor=acting(actor))


def _change(team: Team, actor: User, values: dict[str, Any]) -> None:
    change_team(team, actor=acting(actor), **values)


def _disable(team: Team, actor: User, values: dict[str, Any]) -> None:
    disable_team(team, actor=acting(actor), reason=values["reason"])


def _enable(team: Team, actor: User, values: dict[str, Any]) -> None:
    enable_team(team, actor=acting(actor))


def state_of(disabled_at: object) -> SafeString:
    return pill(_("active"), "ok") if disabled_at is None else pill(_("disabled"), "bad")


def disabled_facts(found: Disabled) -> list[tuple[str, Cell]]:
    """When and by whom it was disabled; nothing of what is not."""
    if found.disabled_at is None:
        return []
    person = User.objects.filter(pk=found.disabled_by).first() if found.disabled_by else None
    whom = format_html("{} {}", found.disabled_by_whom, link_to(person)) if person else None
    return [
        (_("Disabled"), moment(found.disabled_at)),
        (_("Disabled by"), whom or found.disabled_by_whom),
    ]


@admin.register(Team)
class TeamAdmin(PortalAdmin):
    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS
    list_display = ("name", "state", "members", "cost_centre", "created")
    list_filter = (DisabledFilter,)
    search_fields = ("name", "slug", "cost_centre")
    search_help_text = gettext_lazy("Name or cost centre")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Create team"),
        _create,
        gettext_lazy("The team is created."),
        NewTeamForm,
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The team is changed."),
            TeamForm,
        ),
        bounds_act(),
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("Every key of the team is refused from now on."),
            ReasonForm,
            shows=lambda team: team.disabled_at is None,
            warning=gettext_lazy(
                "Every key of the team is refused until it is enabled again, and its running calls are cut."
            ),
            is_danger=True,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The team's keys may call again."),
            shows=lambda team: team.disabled_at is not None,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        teams: QuerySet[Team] = super().get_queryset(request)
        return teams.annotate(member_count=Count("memberships"))

    @display(description=gettext_lazy("state"), ordering="disabled_at")
    def state(self, team: Team) -> SafeString:
        return state_of(team.disabled_at)

    @display(description=gettext_lazy("members"), ordering="member_count")
    def members(self, team: Any) -> int:
        return int(team.member_count)

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, team: Team) -> Cell:
        return moment(team.created_at)

    def facts(self, found: Team) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("In addresses"), code(found.slug)),
            (_("State"), state_of(found.disabled_at)),
            (_("Disabled"), moment(found.disabled_at)),
            (_("Cost centre"), found.cost_centre),
            *bounds_facts(found),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: Team) -> list[Table]:
        return [_members(found), _service_accounts(found), _keys(found)]


def _members(team: Team) -> Table:
    found = team.memberships.select_related("person").order_by("person__email")[:SHOWN_MAX]
    return Table(
        _("Members"),
        [_("Person"), _("Role"), _("Since")],
        [
            [
                link_to(member.person),
                link_to(member, member.role_name),
                moment(member.created_at),
            ]
            for member in found
        ],
        empty=_("Nobody is in this team. Add somebody under Memberships."),
        more=list_of(Membership, f"?team__id__exact={team.pk}"),
    )


def _service_accounts(team: Team) -> Table:
    found = team.service_accounts.order_by("name")[:SHOWN_MAX]
    return Table(
        _("Service accounts"),
        [_("Name"), _("State"), _("Since")],
        [
            [
                link_to(account, account.name),
                state_of(account.disabled_at),
                moment(account.created_at),
            ]
            for account in found
        ],
        empty=_(
            "This team has no service account: its applications would call with somebody's own key."
        ),
        more=list_of(ServiceAccount, f"?team__id__exact={team.pk}"),
    )


def _keys(team: Team) -> Table:
    found = team.keys.filter(revoked_at=None).order_by("expires_at")[:SHOWN_MAX]
    return Table(
        _("Keys, the next to end first"),
        [_("Key"), _("Name"), _("Ends")],
        [[link_to(key), key.name, moment(key.expires_at)] for key in found],
        empty=_("This team has no key that was not revoked."),
        more=list_of(ApiKey, f"?team__id__exact={team.pk}"),
    )
