"""The pages of a team's limits: all that bound it and what belongs to it, and those that its managers set."""

import uuid
from dataclasses import dataclass

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import access_team, role_in
from accounts.models import Team, User
from accounts.pages.parts import page_of, show_refusal
from accounts.pages.team_frame import render_team
from accounts.roles import Right, may
from accounts.signed_in import person_of
from models_registry.limit_access import access_limit, limits_of_team, may_change
from models_registry.limit_amounts import counted_facts
from models_registry.limit_standings import LimitStanding, standings_of
from models_registry.limit_words import amount_text, limit_text
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.pages.limit_forms import LimitForm, NewLimitForm
from models_registry.writes.limits_as import change_limit_as, remove_limit_as, set_limit_as

TAB = "team-limits"


@dataclass(frozen=True)
class LimitRow:
    """A limit as a page shows it. standing: None while it cannot be told."""

    limit: Limit
    text: str
    standing: LimitStanding | None

    @property
    def used(self) -> str:
        return amount_text(self.standing.used, self.limit.measure) if self.standing else ""

    @property
    def held(self) -> str:
        return amount_text(self.standing.held, self.limit.measure) if self.standing else ""

    @property
    def percent(self) -> int:
        """What is used and held, of the limit; a meter shows at most 100."""
        if self.standing is None:
            return 0
        return min((self.standing.used + self.standing.held) * 100 // self.limit.amount, 100)


def limit_rows(limits: list[Limit]) -> list[LimitRow]:
    """The limits with how they stand, asked for at once."""
    standings = standings_of(limits)
    return [LimitRow(limit, limit_text(limit), standings.get(limit.pk)) for limit in limits]


@require_http_methods(["GET", "HEAD", "POST"])
def team_limits(request: HttpRequest, slug: str) -> HttpResponse:
    """List the team's limits with how they stand; who manages them sets one here."""
    person = person_of(request)
    right = Right.MANAGE_LIMITS if request.method == "POST" else Right.SEE_TEAM
    team = access_team(person, slug, right=right)
    form = None
    if may(role_in(person, team), Right.MANAGE_LIMITS):
        form = NewLimitForm(team, request.POST or None, of=request.GET.get("of", ""))
    if request.method == "POST" and form and form.is_valid() and _is_set(person, form):
        messages.success(request, _("The limit is set. It acts within a second."))
        return redirect(TAB, team.slug)
    page = page_of(request, limits_of_team(person, team).order_by("-id"))
    rows = limit_rows(list(page))
    return render_team(
        request,
        "models_registry/limits.html",
        team,
        tab=TAB,
        page=page,
        rows=rows,
        knows_standings=any(row.standing for row in rows),
        form=form,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def team_limit(request: HttpRequest, slug: str, limit_id: uuid.UUID) -> HttpResponse:
    """Show one limit; who manages the team's limits changes it here."""
    person = person_of(request)
    limit, team = _limit_of(person, slug, limit_id)
    if request.method == "POST" and not may_change(person, limit):
        raise PermissionDenied
    form = LimitForm.of(limit, request.POST or None)
    if request.method == "POST" and form.is_valid() and _is_changed(person, limit, form):
        messages.success(request, _("The limit is changed. It acts within a second."))
        return redirect("team-limit", slug, limit_id)
    (row,) = limit_rows([limit])
    return render_team(
        request,
        "models_registry/limit.html",
        team,
        tab=TAB,
        row=row,
        may_change=may_change(person, limit),
        form=form,
    )


@require_POST
def team_limit_remove(request: HttpRequest, slug: str, limit_id: uuid.UUID) -> HttpResponse:
    """Take the limit away."""
    person = person_of(request)
    limit, _team = _limit_of(person, slug, limit_id)
    remove_limit_as(person, limit)
    messages.success(request, _("The limit is removed."))
    return redirect(TAB, slug)


def _limit_of(person: User, slug: str, limit_id: uuid.UUID) -> tuple[Limit, Team]:
    team = access_team(person, slug)
    limit = access_limit(person, limit_id)
    if limit.owning_team_id != team.pk:
        raise Http404
    return limit, team


def _is_set(person: User, form: NewLimitForm) -> bool:
    values = form.cleaned_data
    try:
        set_limit_as(
            person,
            values["subject"],
            measure=LimitMeasure(values["measure"]),
            period=LimitPeriod(values["period"]),
            **counted_facts(values, measure=values["measure"]),
        )
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True


def _is_changed(person: User, limit: Limit, form: LimitForm) -> bool:
    try:
        change_limit_as(person, limit, **counted_facts(form.cleaned_data, measure=limit.measure))
    except ValidationError as error:
        show_refusal(form, error)
        return False
    return True
