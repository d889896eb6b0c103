from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, Table, link_to, list_of, moment, pill
from accounts.admin.lists import ChoiceFilter
from accounts.audit import acting
from accounts.models import ApiKey, User
from accounts.writes.people import disable_person, enable_person
from accounts.writes.portal_roles import PortalRole, change_portal_role, portal_role

SHOWN_MAX = 50


class StateFilter(ChoiceFilter):
    """Whether the person may sign in."""

    title = "state"
    parameter_name = "state"
    field_path = "is_active"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("True", "May sign in"), ("False", "Disabled")]


class RoleFilter(ChoiceFilter):
    title = "portal role"
    parameter_name = "role"
    field_path = "is_staff"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("True", "Staff"), ("False", "No staff")]


class RoleForm(ActForm):
    role = forms.ChoiceField(
        choices=PortalRole.choices,
        widget=forms.RadioSelect,
        help_text="An approver decides on access requests. An administrator may do everything here.",
    )

    def prepare(self) -> None:
        self.initial.setdefault("role", portal_role(self.subject))


def _disable(person: User, actor: User, values: dict[str, Any]) -> None:
    if person.pk == actor.pk:
        raise ValidationError("Nobody disables themselves. Ask another administrator.")
    disable_person(person, actor=acting(actor), reason=values["reason"])


def _enable(person: User, actor: User, values: dict[str, Any]) -> None:
    enable_person(person, actor=acting(actor))


def _change_role(person: User, actor: User, values: dict[str, Any]) -> None:
    change_portal_role(person, role=PortalRole(values["role"]), actor=actor)


@admin.register(User)
class PersonAdmin(PortalAdmin):
    """People. They are invited or created elsewhere; a password is never shown and never set here."""

    list_display = ("email", "name", "state", "role", "teams", "created")
    list_filter = (StateFilter, RoleFilter)
    search_fields = ("email", "name")
    search_help_text = "E-mail address or name"
    ordering = ("email",)
    acts = (
        Act(
            "portal-role",
            "Change portal role",
            _change_role,
            "The portal role is changed.",
            RoleForm,
        ),
        Act(
            "disable",
            "Disable",
            _disable,
            "Nobody can sign in as this person or call with their keys any more.",
            ReasonForm,
            shows=lambda person: person.is_active,
            warning="They are signed out everywhere, their keys are refused in every team, and their running calls are cut.",
            is_danger=True,
        ),
        Act(
            "enable",
            "Enable",
            _enable,
            "The person can sign in and call again.",
            shows=lambda person: not person.is_active,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        return people.annotate(team_count=Count("memberships"))

    @display(description="state", ordering="is_active")
    def state(self, person: User) -> SafeString:
        return pill("active", "ok") if person.is_active else pill("disabled", "bad")

    @display(description="portal role")
    def role(self, person: User) -> str:
        return portal_role(person).label

    @display(description="teams", ordering="team_count")
    def teams(self, person: Any) -> int:
        return int(person.team_count)

    @display(description="since", ordering="created_at")
    def created(self, person: User) -> Cell:
        return moment(person.created_at)

    def facts(self, found: User) -> list[tuple[str, Cell]]:
        return [
            ("E-mail address", found.email),
            ("Name", found.name),
            ("State", self.state(found)),
            ("Portal role", portal_role(found).label),
            ("Last sign-in", moment(found.last_login)),
            ("Since", moment(found.created_at)),
        ]

    def tables(self, found: User) -> list[Table]:
        memberships = found.memberships.select_related("team").order_by("team__name")[:SHOWN_MAX]
        keys = found.keys.select_related("team").order_by("-created_at")[:SHOWN_MAX]
        return [
            Table(
                "Teams",
                ["Team", "Role", "Since"],
                [
                    [
                        link_to(membership.team),
                        link_to(membership, membership.get_role_display()),
                        moment(membership.created_at),
                    ]
                    for membership in memberships
                ],
                empty="This person is in no team, and can therefore have no key.",
            ),
            Table(
                "Keys of their own",
                ["Key", "Name", "Team", "Ends"],
                [
                    [link_to(key), key.name, link_to(key.team), moment(key.expires_at)]
                    for key in keys
                ],
                empty="This person has no key of their own.",
                more=list_of(ApiKey, f"?q={found.pk}"),
            ),
        ]
