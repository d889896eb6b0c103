from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, Table, link_to, list_of, moment, pill
from accounts.admin.lists import ChoiceFilter
from accounts.audit import acting
from accounts.models import ApiKey, Proposal, User
from accounts.role_choices import label_of, portal_role_choices, read_portal_role, value_of
from accounts.roles import PortalRight, portal_roles
from accounts.second_factors import has_second_factor
from accounts.two_person_roles import ask_to_give, ask_to_take
from accounts.writes.people import disable_person, enable_person
from accounts.writes.second_factors import remove_all_factors

SHOWN_MAX = 50


class StateFilter(ChoiceFilter):
    """Whether the person may sign in."""

    title = gettext_lazy("state")
    parameter_name = "state"
    field_path = "is_active"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("True", _("May sign in")), ("False", _("Disabled"))]


class RoleFilter(ChoiceFilter):
    title = gettext_lazy("portal role")
    parameter_name = "role"
    field_path = "is_staff"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return [("True", _("Staff")), ("False", _("No staff"))]


class GiveRoleForm(ActForm):
    """A role that the person has not, and why."""

    role = forms.ChoiceField(
        help_text=gettext_lazy("A second person has to confirm every role but an approver's.")
    )
    reason = ReasonForm.base_fields["reason"]

    def prepare(self) -> None:
        own = {value_of(role) for role in portal_roles(self.subject)}
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (value, label)
            for value, label in portal_role_choices()
            if (value in own) == self.is_to_take
        ]

    is_to_take = False


class TakeRoleForm(GiveRoleForm):
    """A role that the person has, and why it is taken."""

    is_to_take = True


def _disable(person: User, actor: User, values: dict[str, Any]) -> None:
    if person.pk == actor.pk:
        raise ValidationError(_("Nobody disables themselves. Ask another administrator."))
    disable_person(person, actor=acting(actor), reason=values["reason"])


def _enable(person: User, actor: User, values: dict[str, Any]) -> None:
    enable_person(person, actor=acting(actor))


def _remove_factors(person: User, actor: User, values: dict[str, Any]) -> None:
    remove_all_factors(person, actor=acting(actor), reason=values["reason"])


def _give(person: User, actor: User, values: dict[str, Any]) -> Proposal | None:
    role = read_portal_role(values["role"])
    return ask_to_give(person, role=role, by=actor, why=values["reason"])


def _take(person: User, actor: User, values: dict[str, Any]) -> Proposal | None:
    role = read_portal_role(values["role"])
    return ask_to_take(person, role=role, by=actor, why=values["reason"])


@admin.register(User)
class PersonAdmin(PortalAdmin):
    """People. They are invited or created elsewhere; a password is never shown and never set here."""

    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_PEOPLE
    list_display = ("email", "name", "state", "role", "teams", "created")
    list_filter = (StateFilter, RoleFilter)
    search_fields = ("email", "name")
    search_help_text = gettext_lazy("E-mail address or name")
    ordering = ("email",)
    acts = (
        Act(
            "give-role",
            gettext_lazy("Give a portal role"),
            _give,
            gettext_lazy("The person has the role now."),
            GiveRoleForm,
            right=PortalRight.MANAGE_ROLES,
        ),
        Act(
            "take-role",
            gettext_lazy("Take a portal role"),
            _take,
            gettext_lazy("The person has the role no longer."),
            TakeRoleForm,
            shows=lambda person: bool(portal_roles(person)),
            right=PortalRight.MANAGE_ROLES,
        ),
        Act(
            "remove-second-factors",
            gettext_lazy("Remove second factors"),
            _remove_factors,
            gettext_lazy("The person signs in by password alone, until they set one up again."),
            ReasonForm,
            shows=has_second_factor,
            warning=gettext_lazy(
                "For somebody who has lost them. Make sure by another way that it is them who asks."
            ),
            is_danger=True,
        ),
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("Nobody can sign in as this person or call with their keys any more."),
            ReasonForm,
            shows=lambda person: person.is_active,
            warning=gettext_lazy(
                "They are signed out everywhere, their keys are refused in every team, and their running calls are cut."
            ),
            is_danger=True,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The person can sign in and call again."),
            shows=lambda person: not person.is_active,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        counted = people.annotate(team_count=Count("memberships"))
        return counted.prefetch_related("portal_roles")

    @display(description=gettext_lazy("state"), ordering="is_active")
    def state(self, person: User) -> SafeString:
        return pill(_("active"), "ok") if person.is_active else pill(_("disabled"), "bad")

    @display(description=gettext_lazy("portal roles"))
    def role(self, person: User) -> str:
        return ", ".join(label_of(role) for role in portal_roles(person))

    @display(description=gettext_lazy("teams"), ordering="team_count")
    def teams(self, person: Any) -> int:
        return int(person.team_count)

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, person: User) -> Cell:
        return moment(person.created_at)

    def facts(self, found: User) -> list[tuple[str, Cell]]:
        return [
            (_("E-mail address"), found.email),
            (_("Name"), found.name),
            (_("State"), self.state(found)),
            (_("Portal roles"), self.role(found)),
            (_("Last sign-in"), moment(found.last_login)),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: User) -> list[Table]:
        memberships = found.memberships.select_related("team", "custom_role").order_by(
            "team__name"
        )[:SHOWN_MAX]
        keys = found.keys.select_related("team").order_by("-created_at")[:SHOWN_MAX]
        return [
            Table(
                _("Teams"),
                [_("Team"), _("Role"), _("Since")],
                [
                    [
                        link_to(membership.team),
                        link_to(membership, membership.role_name),
                        moment(membership.created_at),
                    ]
                    for membership in memberships
                ],
                empty=_("This person is in no team, and can therefore have no key."),
            ),
            Table(
                _("Keys of their own"),
                [_("Key"), _("Name"), _("Team"), _("Ends")],
                [
                    [link_to(key), key.name, link_to(key.team), moment(key.expires_at)]
                    for key in keys
                ],
                empty=_("This person has no key of their own."),
                more=list_of(ApiKey, f"?q={found.pk}"),
            ),
        ]
