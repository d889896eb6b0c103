"""Lists of the admin that stay quick however long the table is."""

import datetime
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.admin import ModelAdmin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminSelectWidget

from portal.lib.clock import utc_now

ROWS_MAX = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most ROWS_MAX rows and leafs through no more: a narrower filter finds the rest."""

    template_name = "admin/latchkey/pagination.html"

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return min(rows.order_by()[: ROWS_MAX + 1].count(), ROWS_MAX)
        return min(len(rows), ROWS_MAX)

    @property
    def is_cut(self) -> bool:
        return bool(self.count >= ROWS_MAX)


class BoundedChangeList(ChangeList):  # type: ignore[misc]
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # The theme would say beside each title how many rows there are in all, which nobody counted.
        self.full_result_count = self.result_count


class PlainDropdown(forms.Form):
    """A select as browsers have it; the theme's own needs a script."""

    def __init__(self, name: str, label: str, choices: Any, **options: Any) -> None:
        options.pop("multiple", None)
        super().__init__(**options)
        self.fields[name] = forms.ChoiceField(
            label=label, required=False, choices=choices, widget=UnfoldAdminSelectWidget
        )


class ChoicesFilter(ChoicesDropdownFilter):  # type: ignore[misc]
    form_class = PlainDropdown


class RelatedFilter(RelatedDropdownFilter):  # type: ignore[misc]
    form_class = PlainDropdown


class ChoiceFilter(DropdownFilter):  # type: ignore[misc]
    """A filter with choices of its own."""

    form_class = PlainDropdown
    field_path = ""

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        raise NotImplementedError

    def lookups(
        self, request: HttpRequest, model_admin: "ModelAdmin[Any]"
    ) -> list[tuple[str, str]]:
        return list(self.choices_for(request))

    def chosen(self) -> str | None:
        """The choice, if it is one of those offered."""
        value = self.value()
        return value if value in {choice for choice, _ in self.lookup_choices} else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.chosen()
        return queryset if chosen is None else queryset.filter(**{self.field_path: chosen})


PERIODS = {
    "hour": (gettext_lazy("Last hour"), datetime.timedelta(hours=1)),
    "day": (gettext_lazy("Last 24 hours"), datetime.timedelta(days=1)),
    "week": (gettext_lazy("Last 7 days"), datetime.timedelta(days=7)),
    "month": (gettext_lazy("Last 30 days"), datetime.timedelta(days=30)),
    "quarter": (gettext_lazy("Last 90 days"), datetime.timedelta(days=90)),
    "year": (gettext_lazy("Last 366 days"), datetime.timedelta(days=366)),
}


class PeriodFilter(ChoiceFilter):
    """How far back the list reaches. `default` keeps a list bounded where nothing is chosen."""

    title = gettext_lazy("period")
    parameter_name = "period"
    default: str | None = None

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return [(name, str(label)) for name, (label, _) in PERIODS.items()]

    def value(self) -> str | None:
        return super().value() or self.default

    def since(self) -> datetime.datetime | None:
        chosen = self.chosen() or self.default
        return None if chosen is None else utc_now() - PERIODS[chosen][1]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.since()
        return queryset if since is None else queryset.filter(**{f"{self.field_path}__gte": since})
