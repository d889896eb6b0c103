"""The pages of a team's own roles, for whoever manages them."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_team, access_team_role, role_in
from accounts.audit import acting
from accounts.models import CustomRole, Membership, User
from accounts.pages.parts import show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right, rights_of
from accounts.signed_in import person_of
from accounts.writes.custom_roles import change_team_role, make_team_role, remove_role

RIGHTS_EXPLAINED: dict[Right, Any] = {
    Right.SEE_TEAM: gettext_lazy("See the team, its members, service accounts and limits"),
    Right.CALL_MODELS: gettext_lazy("Call models with keys of their own"),
    Right.ISSUE_OWN_KEYS: gettext_lazy("Issue keys of their own"),
    Right.ASK_FOR_ACCESS: gettext_lazy("Ask for access to models"),
    Right.SEE_USAGE: gettext_lazy("See the whole team's usage and calls"),
    Right.SEE_AUDIT: gettext_lazy("See the audit trail and all keys"),
    Right.MANAGE_KEYS: gettext_lazy("Issue and revoke keys of service accounts, revoke all keys"),
    Right.MANAGE_SERVICE_ACCOUNTS: gettext_lazy("Create and disable service accounts"),
    Right.MANAGE_LIMITS: gettext_lazy("Set limits within those of administrators"),
    Right.MANAGE_MEMBERS: gettext_lazy("Invite, change and remove members"),
    Right.MANAGE_OWNERS: gettext_lazy("Change the team itself, make and unmake owners"),
    Right.MANAGE_ROLES: gettext_lazy("Make and change the team's own roles"),
}


class TeamRoleForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=60)
    description = forms.CharField(
        label=gettext_lazy("What it is for"), max_length=500, required=False
    )
    rights = forms.MultipleChoiceField(
        label=gettext_lazy("Allows to"), widget=forms.CheckboxSelectMultiple
    )

    def offer(self, own: Membership) -> None:
        """Leave out what the person does not have themselves."""
        self.fields["rights"].choices = [  # type: ignore[attr-defined]
            (right.value, RIGHTS_EXPLAINED[right]) for right in Right if right in rights_of(own)
        ]


@require_http_methods(["GET", "HEAD", "POST"])
def team_roles(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's own roles, and make one."""
    person = person_of(request)
    team = access_team(person, slug, right=Right.MANAGE_ROLES)
    form = TeamRoleForm(request.POST or None, initial={"rights": [Right.SEE_TEAM.value]})
    form.offer(role_in(person, team))
    if request.method == "POST" and form.is_valid():
        facts = _facts(form, person)
        if _is_written(form, lambda: make_team_role(team, **facts)):
            messages.success(request, _("The role is there. Give it to members on their pages."))
            return redirect("team-roles", slug)
    roles = [(role, _words(role)) for role in team.custom_roles.order_by("name")]
    return render_team(
        request, "accounts/team_roles.html", team, tab="team-roles", roles=roles, form=form
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_role(request: HttpRequest, slug: str, role_id: uuid.UUID) -> HttpResponse:
    """Show one of them, and change it."""
    person = person_of(request)
    found = _role_of(person, slug, role_id)
    team = access_team(person, slug)
    initial = {"name": found.name, "description": found.description, "rights": found.rights}
    form = TeamRoleForm(request.POST or None, initial=initial)
    form.offer(role_in(person, team))
    if request.method == "POST" and form.is_valid():
        facts = _facts(form, person)
        if _is_written(form, lambda: change_team_role(found, **facts)):
            messages.success(request, _("The role is changed. It counts from now on."))
            return redirect("team-roles", slug)
    holders = found.memberships.select_related("person").order_by("person__email")[:50]
    return render_team(
        request,
        "accounts/team_role.html",
        team,
        tab="team-roles",
        role=found,
        holders=holders,
        form=form,
    )


@require_POST
def team_role_remove(request: HttpRequest, slug: str, role_id: uuid.UUID) -> HttpResponse:
    """Remove a role that nobody has."""
    person = person_of(request)
    found = _role_of(person, slug, role_id)
    try:
        remove_role(found, actor=acting(person))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("team-role", slug, role_id)
    messages.success(request, _("The role is removed."))
    return redirect("team-roles", slug)


def _role_of(person: User, slug: str, role_id: uuid.UUID) -> CustomRole:
    found = access_team_role(person, role_id)
    if found.team is None or found.team.slug != slug:
        raise Http404
    return found


def _facts(form: TeamRoleForm, person: User) -> dict[str, Any]:
    given = form.cleaned_data
    rights = [Right(right) for right in given["rights"]]
    return {
        "name": given["name"],
        "description": given["description"],
        "rights": rights,
        "actor": acting(person),
    }


def _is_written(form: forms.Form, write: Any) -> bool:
    try:
        write()
    except ValidationError as error:
        show_refusal(form, error)
        return False
    except PermissionDenied as error:
        form.add_error(None, str(error))
        return False
    return True


def _words(role: CustomRole) -> list[Any]:
    return [words for right, words in RIGHTS_EXPLAINED.items() if right.value in role.rights]
