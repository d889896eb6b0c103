"""Records that nobody writes in the admin: the audit trail, the ledger, and what is counted from it."""

from typing import Any

from django.contrib.admin import display
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING
from accounts.models import Team


class RecordAdmin(PortalAdmin):
    """Rows to read. They hold ids alone; names stand beside them while there are any."""

    def names(self) -> dict[str, Subquery]:
        """The names that are read with each row, by the attribute they get."""
        return {
            "team_name": Subquery(Team.objects.filter(pk=OuterRef("team_id")).values("name")[:1])
        }

    def of_term(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """The rows that a search means, found by an index."""
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = rows.annotate(**self.names())
        return named

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Whole ids and addresses alone: no search reads a table from end to end."""
        term = search_term.strip()
        return (self.of_term(queryset, term) if term else queryset), False

    def trail_of(self, found: Any) -> None:
        return None

    @display(description=gettext_lazy("team"))
    def team(self, row: Any) -> str:
        return row.team_name or str(row.team_id or NOTHING)
