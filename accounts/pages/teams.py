"""The pages of one's teams: all of them, and what a team's role opens beside its members."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import access_team, locked_teams_of, teams_of
from accounts.audit import Fact, acting
from accounts.models import AuditEntry, Membership, Team, User
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right
from accounts.second_factors import has_second_factor
from accounts.signed_in import person_of
from accounts.writes.teams import change_team


class TeamForm(forms.Form):
    """What an owner may change of a team."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    cost_centre = forms.CharField(
        label=gettext_lazy("Cost centre"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("New keys get it unless they name their own."),
    )
    requires_second_factor = forms.BooleanField(
        label=gettext_lazy("Members need a second factor"),
        required=False,
        help_text=gettext_lazy(
            "Whoever has none is led to set one up before anything of the team opens to them. Keys go on calling models."
        ),
    )


@require_safe
def teams(request: HttpRequest) -> HttpResponse:
    """List the person's teams with their role in each."""
    person = person_of(request)
    memberships = (
        Membership.objects.filter(person=person, team__in=teams_of(person))
        .select_related("team", "custom_role")
        .order_by("team__name")
    )
    context = {"page": page_of(request, memberships), "locked": locked_teams_of(person)}
    return render(request, "accounts/teams.html", context)


@require_safe
def team_audit(request: HttpRequest, slug: str) -> HttpResponse:
    """List what was done in the team, newest first."""
    team = access_team(person_of(request), slug, right=Right.SEE_AUDIT)
    page = page_of(request, AuditEntry.objects.filter(team_id=team.id).order_by("-id"))
    entries = list(page)
    _explain(entries)
    return render_team(
        request, "accounts/team_audit.html", team, tab="team-audit", page=page, entries=entries
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Rename the team, or give it another cost centre."""
    person = person_of(request)
    team = access_team(person, slug, right=Right.MANAGE_OWNERS)
    initial = {
        "name": team.name,
        "cost_centre": team.cost_centre,
        "requires_second_factor": team.requires_second_factor,
    }
    form = TeamForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid() and _changed(team, form, person):
        messages.success(request, _("The team is changed."))
        return redirect("team-settings", team.slug)
    return render_team(request, "accounts/team_settings.html", team, tab="team-settings", form=form)


def _changed(team: Team, form: TeamForm, person: User) -> bool:
    if form.cleaned_data["requires_second_factor"] and not has_second_factor(person):
        form.add_error(
            "requires_second_factor",
            _(
                "You have none yourself, and would be the first whom it shuts out. Set one up first."
            ),
        )
        return False
    try:
        change_team(team, actor=acting(person), **form.cleaned_data)
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True


def _explain(entries: list[AuditEntry]) -> None:
    """Give each entry the people it speaks of, asked for at once, and its facts as text. Whoever was erased has none."""
    ids = {entry.actor_id for entry in entries}
    ids |= {entry.subject_id for entry in entries if entry.subject_kind == "person"}
    people = User.objects.in_bulk([one for one in ids if one is not None])
    for entry in entries:
        entry.actor = people.get(entry.actor_id)  # type: ignore[attr-defined]
        entry.subject = people.get(entry.subject_id)  # type: ignore[attr-defined]
        said = [(name, _as_text(name, value)) for name, value in entry.facts.items()]
        entry.said = [(name, text) for name, text in said if text]  # type: ignore[attr-defined]


def _as_text(name: str, value: Fact) -> str:
    if name.endswith("_at") and isinstance(value, str):
        # To the minute, as the entry's own time.
        return value[:16].replace("T", ", ")
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)
