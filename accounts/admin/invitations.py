from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment, pill
from accounts.admin.lists import ChoicesFilter
from accounts.audit import acting
from accounts.models import Invitation, Team, User
from accounts.models.teams import Role
from accounts.writes.invitations import invite, withdraw_invitation


class InvitationForm(ActForm):
    team = forms.ModelChoiceField(Team.objects.order_by("name"))
    email = forms.EmailField(label="E-mail address", max_length=254)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER)


def _invite(nothing: None, actor: User, values: dict[str, Any]) -> Invitation:
    return invite(values["team"], email=values["email"], role=Role(values["role"]), by=actor)


def _withdraw(invitation: Invitation, actor: User, values: dict[str, Any]) -> None:
    withdraw_invitation(invitation, actor=acting(actor))


@admin.register(Invitation)
class InvitationAdmin(PortalAdmin):
    """Who was invited. The link's secret stands nowhere: it goes out by mail alone."""

    list_display = ("email", "team", "role", "state", "ends")
    list_filter = (("role", ChoicesFilter),)
    list_select_related = ("team",)
    search_fields = ("email", "team__name")
    search_help_text = "E-mail address or team"
    ordering = ("-created_at",)
    add_act = Act("add", "Invite", _invite, "The invitation goes out by e-mail.", InvitationForm)
    acts = (
        Act(
            "withdraw",
            "Withdraw",
            _withdraw,
            "The invitation is withdrawn.",
            shows=lambda invitation: invitation.closed_at is None,
            warning="The link that was sent lets nobody in any more.",
            is_danger=True,
        ),
    )

    @display(description="state", ordering="closed_at")
    def state(self, invitation: Invitation) -> SafeString:
        if invitation.accepted_by_id is not None:
            return pill("accepted", "ok")
        return pill("open", "warn") if invitation.closed_at is None else pill("withdrawn")

    @display(description="ends", ordering="ends_at")
    def ends(self, invitation: Invitation) -> Cell:
        return moment(invitation.ends_at)

    def facts(self, found: Invitation) -> list[tuple[str, Cell]]:
        return [
            ("E-mail address", found.email),
            ("Team", link_to(found.team)),
            ("Role", found.get_role_display()),
            ("State", self.state(found)),
            ("Invited by", link_to(found.invited_by)),
            ("Made", moment(found.created_at)),
            ("Ends", moment(found.ends_at)),
            ("Accepted by", link_to(found.accepted_by)),
        ]
