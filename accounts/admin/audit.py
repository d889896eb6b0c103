import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join

from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING, Cell, code, link_to, moment
from accounts.admin.lists import ChoiceFilter, PeriodFilter
from accounts.models import AuditEntry, Team, User
from accounts.models.audit import ActorKind, AuditTag


class EntryPeriodFilter(PeriodFilter):
    field_path = "at"


class TagFilter(ChoiceFilter):
    title = "tag"
    parameter_name = "tag"
    field_path = "tag"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return [(tag.value, tag.value) for tag in AuditTag]


class ActorKindFilter(ChoiceFilter):
    title = "kind of actor"
    parameter_name = "actor_kind"
    field_path = "actor_kind"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return ActorKind.choices


class ActorFilter(ChoiceFilter):
    """Who acted, of those who are staff; anybody else is found by e-mail address in the search."""

    title = "actor"
    parameter_name = "actor"
    field_path = "actor_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        staff = User.objects.filter(is_staff=True).order_by("email")
        return [(str(pk), email) for pk, email in staff.values_list("pk", "email")]


class TeamFilter(ChoiceFilter):
    """The team by its id, which the ledger and the trail hold without a foreign key."""

    title = "team"
    parameter_name = "team"
    field_path = "team_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        teams = Team.objects.order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in teams]


def team_name() -> Subquery:
    return Subquery(Team.objects.filter(pk=OuterRef("team_id")).values("name")[:1])


@admin.register(AuditEntry)
class AuditAdmin(PortalAdmin):
    """The audit trail. Nobody writes here: the database refuses it too."""

    list_display = ("when", "tag_shown", "actor", "team", "subject", "what")
    list_filter = (EntryPeriodFilter, TagFilter, TeamFilter, ActorFilter, ActorKindFilter)
    search_fields = ("subject_id",)
    search_help_text = "An id, or the actor's e-mail address"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        entries: QuerySet[AuditEntry] = super().get_queryset(request)
        email = User.objects.filter(pk=OuterRef("actor_id")).values("email")[:1]
        return entries.annotate(actor_email=Subquery(email), team_name=team_name())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Whole ids and whole addresses alone: neither reads the table from end to end."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            wanted = uuid.UUID(term)
        except ValueError:
            person = User.objects.filter(email__iexact=term).values_list("pk", flat=True)
            return queryset.filter(actor_id__in=list(person)), False
        return queryset.filter(Q(subject_id=wanted) | Q(actor_id=wanted)), False

    @display(description="when")
    def when(self, entry: AuditEntry) -> Cell:
        return moment(entry.at)

    @display(description="what")
    def tag_shown(self, entry: AuditEntry) -> Cell:
        return code(entry.tag)

    @display(description="actor")
    def actor(self, entry: Any) -> str:
        return entry.actor_email or str(entry.actor_id or entry.actor_kind)

    @display(description="team")
    def team(self, entry: Any) -> str:
        return entry.team_name or str(entry.team_id or NOTHING)

    @display(description="subject")
    def subject(self, entry: AuditEntry) -> str:
        return entry.subject_kind

    @display(description="facts")
    def what(self, entry: AuditEntry) -> Cell:
        return format_html_join("", "{}: {}<br>", _facts(entry))

    def trail_of(self, found: AuditEntry) -> None:
        return None

    def facts(self, found: AuditEntry) -> list[tuple[str, Cell]]:
        actor = User.objects.filter(pk=found.actor_id).first() if found.actor_id else None
        team = Team.objects.filter(pk=found.team_id).first() if found.team_id else None
        return [
            ("Number", found.pk),
            ("When", moment(found.at)),
            ("Tag", code(found.tag)),
            ("Kind of actor", found.get_actor_kind_display()),
            ("Actor", link_to(actor) if actor else code(found.actor_id) or NOTHING),
            ("Team", link_to(team) if team else code(found.team_id) or NOTHING),
            ("Subject", found.subject_kind),
            ("Subject's id", code(found.subject_id)),
            *[(name, text) for name, text in _facts(found)],
        ]


def _facts(entry: AuditEntry) -> list[tuple[str, str]]:
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    return [
        (str(name), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in facts.items()
    ]
