"""What stands around each page of a team: its name and the tabs that the role opens."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.access import role_in
from accounts.models import Team
from accounts.roles import Right, may
from accounts.signed_in import person_of

_TABS = (
    (_("Members"), "team", Right.SEE_TEAM),
    (_("Service accounts"), "team-service-accounts", Right.SEE_TEAM),
    (_("OAuth clients"), "team-oauth-clients", Right.SEE_TEAM),
    (_("Workloads"), "team-trust-rules", Right.SEE_TEAM),
    (_("Limits"), "team-limits", Right.SEE_TEAM),
    (_("Webhooks"), "team-webhooks", Right.MANAGE_KEYS),
    (_("Audit trail"), "team-audit", Right.SEE_AUDIT),
    (_("Roles"), "team-roles", Right.MANAGE_ROLES),
    (_("Settings"), "team-settings", Right.MANAGE_OWNERS),
)


@dataclass(frozen=True)
class Tab:
    """One page of a team."""

    label: str | Promise
    url: str
    is_current: bool


def render_team(
    request: HttpRequest,
    template: str,
    team: Team,
    *,
    tab: str,
    **context: object,
) -> HttpResponse:
    """Answer a page of the team. `may` in it holds the rights that the person has, by their names."""
    membership = role_in(person_of(request), team)
    rights = {right.value for right in Right if may(membership, right)}
    tabs = [
        Tab(label, reverse(route, args=[team.slug]), route == tab)
        for label, route, right in _TABS
        if right in rights
    ]
    frame = {"team": team, "membership": membership, "tabs": tabs, "may": rights}
    return render(request, template, frame | context)
