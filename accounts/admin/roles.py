"""Roles of the portal that an organisation made itself. Those of a team are its owners', and stand on its own pages."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, Table, link_to, moment, text
from accounts.audit import acting
from accounts.models import CustomRole, Proposal, User
from accounts.roles import PortalRight
from accounts.two_person_roles import ask_to_change, ask_to_make
from accounts.writes.custom_roles import remove_role

SHOWN_MAX = 50


class NewRoleForm(ActForm):
    name = forms.CharField(max_length=60)
    description = forms.CharField(max_length=500, required=False)
    rights = forms.MultipleChoiceField(
        choices=[(right.value, right.value) for right in PortalRight],
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Only what you may do yourself. docs/roles.md says what each allows."
        ),
    )
    reason = ReasonForm.base_fields["reason"]


class RoleForm(NewRoleForm):
    def prepare(self) -> None:
        for name in ("name", "description", "rights"):
            self.initial.setdefault(name, getattr(self.subject, name))


def _make(nothing: None, actor: User, values: dict[str, Any]) -> Proposal:
    return ask_to_make(
        name=values["name"],
        description=values["description"],
        rights=[PortalRight(right) for right in values["rights"]],
        by=actor,
        why=values["reason"],
    )


def _change(role: CustomRole, actor: User, values: dict[str, Any]) -> Proposal | None:
    return ask_to_change(
        role,
        name=values["name"],
        description=values["description"],
        rights=[PortalRight(right) for right in values["rights"]],
        by=actor,
        why=values["reason"],
    )


def _remove(role: CustomRole, actor: User, values: dict[str, Any]) -> None:
    remove_role(role, actor=acting(actor))


@admin.register(CustomRole)
class CustomRoleAdmin(PortalAdmin):
    """Sets of rights for the whole portal. A new one, or a wider one, takes two people."""

    sees = right = PortalRight.MANAGE_ROLES
    list_display = ("name", "allows", "people", "created")
    search_fields = ("name", "description")
    search_help_text = gettext_lazy("Name or description")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Add role"),
        _make,
        gettext_lazy("The role is there."),
        NewRoleForm,
        warning=gettext_lazy("A second person has to confirm a new role."),
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The role is changed. It counts from everybody's next request on."),
            RoleForm,
            warning=gettext_lazy("A second person has to confirm it where the role becomes wider."),
        ),
        Act(
            "remove",
            gettext_lazy("Remove"),
            _remove,
            gettext_lazy("The role is removed."),
            warning=gettext_lazy("Only a role that nobody has is removed."),
            is_danger=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CustomRole]:
        roles: QuerySet[CustomRole] = super().get_queryset(request)
        return roles.filter(team=None).annotate(people_count=Count("portal_assignments"))

    @display(description=gettext_lazy("allows"))
    def allows(self, role: CustomRole) -> str:
        return ", ".join(role.rights)

    @display(description=gettext_lazy("people"), ordering="people_count")
    def people(self, role: Any) -> int:
        return int(role.people_count)

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, role: CustomRole) -> Cell:
        return moment(role.created_at)

    def facts(self, found: CustomRole) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("Description"), text(found.description)),
            (_("Allows"), ", ".join(found.rights)),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: CustomRole) -> list[Table]:
        assigned = found.portal_assignments.select_related("person")[:SHOWN_MAX]
        return [
            Table(
                _("People who have it"),
                [_("Person"), _("Since")],
                [[link_to(one.person), moment(one.created_at)] for one in assigned],
                empty=_("Nobody has this role."),
            )
        ]
