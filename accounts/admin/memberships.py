from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, link_to, moment
from accounts.admin.lists import ChoicesFilter, RelatedFilter
from accounts.audit import acting
from accounts.models import Membership, Team, User
from accounts.models.teams import Role
from accounts.role_choices import read_team_role, team_role_choices, value_of
from accounts.roles import PortalRight
from accounts.writes.teams import add_member, change_member_role, remove_member, role_of


class NewMemberForm(ActForm):
    team = forms.ModelChoiceField(Team.objects.order_by("name"))
    email = forms.EmailField(
        label=gettext_lazy("E-mail address"),
        max_length=254,
        help_text=gettext_lazy(
            "Of somebody who has an account. Others are invited on the team's page in the portal."
        ),
    )
    role = forms.ChoiceField(choices=Role.choices, initial=Role.MEMBER)

    def clean_email(self) -> User:
        person = User.objects.filter(email__iexact=self.cleaned_data["email"]).first()
        if person is None:
            raise forms.ValidationError(_("Nobody has an account with this address."))
        return person


class MemberRoleForm(ActForm):
    role = forms.ChoiceField()

    def prepare(self) -> None:
        self.fields["role"].choices = team_role_choices(self.subject.team)  # type: ignore[attr-defined]
        self.initial.setdefault("role", value_of(role_of(self.subject)))


def _add(nothing: None, actor: User, values: dict[str, Any]) -> Membership:
    return add_member(
        values["team"], person=values["email"], role=Role(values["role"]), actor=acting(actor)
    )


def _change(membership: Membership, actor: User, values: dict[str, Any]) -> None:
    role = read_team_role(membership.team, values["role"])
    change_member_role(membership, role=role, actor=acting(actor))


def _remove(membership: Membership, actor: User, values: dict[str, Any]) -> None:
    remove_member(membership, actor=acting(actor))


@admin.register(Membership)
class MembershipAdmin(PortalAdmin):
    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS
    list_display = ("person", "team", "role_name", "created")
    list_display_links = ("person",)
    list_filter = (("team", RelatedFilter), ("role", ChoicesFilter))
    list_select_related = ("person", "team", "custom_role")
    search_fields = ("person__email", "team__name")
    search_help_text = gettext_lazy("E-mail address or team")
    ordering = ("team__name", "person__email")
    add_act = Act(
        "add",
        gettext_lazy("Add member"),
        _add,
        gettext_lazy("The person is in the team now."),
        NewMemberForm,
    )
    acts = (
        Act(
            "role",
            gettext_lazy("Change role"),
            _change,
            gettext_lazy("The role is changed."),
            MemberRoleForm,
        ),
        Act(
            "remove",
            gettext_lazy("Remove from team"),
            _remove,
            gettext_lazy("The person has left the team, and their keys there are revoked."),
            warning=gettext_lazy("Their own keys of this team are revoked for good."),
            is_danger=True,
        ),
    )

    @display(description=gettext_lazy("role"), ordering="role")
    def role_name(self, membership: Membership) -> str:
        return membership.role_name

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, membership: Membership) -> Cell:
        return moment(membership.created_at)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("person", "team", "custom_role")

    def name_of(self, found: Membership) -> str:
        return _("%(person)s in %(team)s") % {"person": found.person, "team": found.team}

    def trail_of(self, found: Membership) -> str:
        return str(found.person_id)

    def facts(self, found: Membership) -> list[tuple[str, Cell]]:
        return [
            (_("Person"), link_to(found.person)),
            (_("Team"), link_to(found.team)),
            (_("Role"), found.role_name),
            (_("Since"), moment(found.created_at)),
        ]
