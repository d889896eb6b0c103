import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.cells import NOTHING, Cell, code, link_to, moment
from accounts.admin.lists import ChoiceFilter, PeriodFilter
from accounts.admin.records import RecordAdmin
from accounts.models import AuditEntry, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.roles import PortalRight


class EntryPeriodFilter(PeriodFilter):
    field_path = "at"


class TagFilter(ChoiceFilter):
    title = gettext_lazy("tag")
    parameter_name = "tag"
    field_path = "tag"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return [(tag.value, tag.value) for tag in AuditTag]


class ActorKindFilter(ChoiceFilter):
    title = gettext_lazy("kind of actor")
    parameter_name = "actor_kind"
    field_path = "actor_kind"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return ActorKind.choices


class ActorFilter(ChoiceFilter):
    """Who acted, of those who are staff; anybody else is found by e-mail address in the search."""

    title = gettext_lazy("actor")
    parameter_name = "actor"
    field_path = "actor_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        staff = User.objects.filter(is_staff=True).order_by("email")
        return [(str(pk), email) for pk, email in staff.values_list("pk", "email")]


class TeamFilter(ChoiceFilter):
    """The team by its id, which the ledger and the trail hold without a foreign key."""

    title = gettext_lazy("team")
    parameter_name = "team"
    field_path = "team_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        teams = Team.objects.order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in teams]


@admin.register(AuditEntry)
class AuditAdmin(RecordAdmin):
    """The audit trail. Nobody writes here: the database refuses it too."""

    sees = PortalRight.SEE_AUDIT
    list_display = ("when", "tag_shown", "actor", "team", "subject", "what")
    list_filter = (EntryPeriodFilter, TagFilter, TeamFilter, ActorFilter, ActorKindFilter)
    search_fields = ("subject_id",)
    search_help_text = gettext_lazy("An id, or the actor's e-mail address")
    ordering = ("-id",)

    def names(self) -> dict[str, Subquery]:
        email = User.objects.filter(pk=OuterRef("actor_id")).values("email")[:1]
        return {**super().names(), "actor_email": Subquery(email)}

    def of_term(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        try:
            wanted = uuid.UUID(term)
        except ValueError:
            person = User.objects.filter(email__iexact=term).values_list("pk", flat=True)
            return rows.filter(actor_id__in=list(person))
        return rows.filter(Q(subject_id=wanted) | Q(actor_id=wanted))

    @display(description=gettext_lazy("when"))
    def when(self, entry: AuditEntry) -> Cell:
        return moment(entry.at)

    @display(description=gettext_lazy("what"))
    def tag_shown(self, entry: AuditEntry) -> Cell:
        return code(entry.tag)

    @display(description=gettext_lazy("actor"))
    def actor(self, entry: Any) -> str:
        return entry.actor_email or str(entry.actor_id or entry.actor_kind)

    @display(description=gettext_lazy("subject"))
    def subject(self, entry: AuditEntry) -> str:
        return entry.subject_kind

    @display(description=gettext_lazy("facts"))
    def what(self, entry: AuditEntry) -> Cell:
        return format_html_join("", "{}: {}<br>", _facts(entry))

    def facts(self, found: AuditEntry) -> list[tuple[str, Cell]]:
        actor = User.objects.filter(pk=found.actor_id).first() if found.actor_id else None
        team = Team.objects.filter(pk=found.team_id).first() if found.team_id else None
        return [
            (_("Number"), found.pk),
            (_("When"), moment(found.at)),
            (_("Tag"), code(found.tag)),
            (_("Kind of actor"), found.get_actor_kind_display()),
            (_("Actor"), link_to(actor) if actor else code(found.actor_id) or NOTHING),
            (_("Team"), link_to(team) if team else code(found.team_id) or NOTHING),
            (_("Subject"), found.subject_kind),
            (_("Subject's id"), code(found.subject_id)),
            *[(name, text) for name, text in _facts(found)],
        ]


def _facts(entry: AuditEntry) -> list[tuple[str, str]]:
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    return [
        (str(name), ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in facts.items()
    ]
