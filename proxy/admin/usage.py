"""Usage by hour and by day in the admin, to read."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.audit import TeamFilter
from accounts.admin.cells import Cell, micro_usd, moment, whole
from accounts.admin.lists import PeriodFilter
from proxy.admin.ledger import (
    LedgerAdmin,
    ModelFilter,
    StatusFilter,
    holders_of,
    input_words,
    milliseconds,
    outcome_pill,
    output_words,
)
from proxy.models import UsageDay, UsageHour


class HourPeriodFilter(PeriodFilter):
    field_path = "hour"
    default = "week"


class DayPeriodFilter(PeriodFilter):
    """Whole days: the first one is that in which the period began."""

    default = "month"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.since()
        return queryset if since is None else queryset.filter(day__gte=since.date())


class UsageAdmin(LedgerAdmin):
    """What keys used, counted from the ledger."""

    list_display = (
        "when",
        "team",
        "key",
        "model_shown",
        "outcome",
        "calls_shown",
        "tokens_in",
        "tokens_out",
        "cost",
    )
    search_fields = ("key_id",)
    search_help_text = gettext_lazy("A key, such as lk_…")

    def span_of(self, row: Any) -> Cell:
        """The hour or day that the row is of."""
        raise NotImplementedError

    @display(description=gettext_lazy("calls"), ordering="calls")
    def calls_shown(self, row: Any) -> str:
        return whole(row.calls)

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        return [
            (str(self.opts.verbose_name).capitalize(), self.span_of(found)),
            (_("Status"), outcome_pill(found.status)),
            *holders_of(found),
            (_("Calls"), whole(found.calls)),
            (
                _("Input tokens"),
                input_words(found),
            ),
            (
                _("Output tokens"),
                output_words(found),
            ),
            (_("Cost"), micro_usd(found.cost_micro_usd)),
            (_("Time together"), milliseconds(found.duration_us)),
        ]


@admin.register(UsageHour)
class UsageHourAdmin(UsageAdmin):
    list_filter = (HourPeriodFilter, StatusFilter, TeamFilter, ModelFilter)
    ordering = ("-hour", "-id")

    def span_of(self, row: UsageHour) -> Cell:
        return moment(row.hour)

    @display(description=gettext_lazy("hour"), ordering="hour")
    def when(self, row: UsageHour) -> Cell:
        return self.span_of(row)


@admin.register(UsageDay)
class UsageDayAdmin(UsageAdmin):
    list_filter = (DayPeriodFilter, StatusFilter, TeamFilter, ModelFilter)
    ordering = ("-day", "-id")

    def span_of(self, row: UsageDay) -> Cell:
        return row.day.isoformat()

    @display(description=gettext_lazy("day"), ordering="day")
    def when(self, row: UsageDay) -> Cell:
        return self.span_of(row)
