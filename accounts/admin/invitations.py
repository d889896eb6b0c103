from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment, pill
from accounts.admin.lists import ChoicesFilter
from accounts.audit import acting
from accounts.models import Invitation, Team, User
from accounts.models.teams import Role
from accounts.roles import PortalRight
from accounts.writes.invitations import invite, withdraw_invitation


class InvitationForm(ActForm):
    team = forms.ModelChoiceField(Team.objects.order_by("name"))
    email = forms.EmailField(label=gettext_lazy("E-mail address"), max_length=254)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER)


def _invite(nothing: None, actor: User, values: dict[str, Any]) -> Invitation:
    return invite(values["team"], email=values["email"], role=Role(values["role"]), by=actor)


def _withdraw(invitation: Invitation, actor: User, values: dict[str, Any]) -> None:
    withdraw_invitation(invitation, actor=acting(actor))


@admin.register(Invitation)
class InvitationAdmin(PortalAdmin):
    """Who was invited. The link's secret stands nowhere: it goes out by mail alone."""

    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS
    list_display = ("email", "team", "role", "state", "ends")
    list_filter = (("role", ChoicesFilter),)
    list_select_related = ("team",)
    search_fields = ("email", "team__name")
    search_help_text = gettext_lazy("E-mail address or team")
    ordering = ("-created_at",)
    add_act = Act(
        "add",
        gettext_lazy("Invite"),
        _invite,
        gettext_lazy("The invitation goes out by e-mail."),
        InvitationForm,
    )
    acts = (
        Act(
            "withdraw",
            gettext_lazy("Withdraw"),
            _withdraw,
            gettext_lazy("The invitation is withdrawn."),
            shows=lambda invitation: invitation.closed_at is None,
            warning=gettext_lazy("The link that was sent lets nobody in any more."),
            is_danger=True,
        ),
    )

    @display(description=gettext_lazy("state"), ordering="closed_at")
    def state(self, invitation: Invitation) -> SafeString:
        if invitation.accepted_by_id is not None:
            return pill(_("accepted"), "ok")
        return pill(_("open"), "warn") if invitation.closed_at is None else pill(_("withdrawn"))

    @display(description=gettext_lazy("ends"), ordering="ends_at")
    def ends(self, invitation: Invitation) -> Cell:
        return moment(invitation.ends_at)

    def facts(self, found: Invitation) -> list[tuple[str, Cell]]:
        return [
            (_("E-mail address"), found.email),
            (_("Team"), link_to(found.team)),
            (_("Role"), found.get_role_display()),
            (_("State"), self.state(found)),
            (_("Invited by"), link_to(found.invited_by)),
            (_("Made"), moment(found.created_at)),
            (_("Ends"), moment(found.ends_at)),
            (_("Accepted by"), link_to(found.accepted_by)),
        ]
