"""The page of usage and its CSV: sums of whole days, never of more than the person sees."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.signed_in import person_of
from portal.lib.clock import utc_now
from proxy.access import Sight, sight_of
from proxy.pages.forms import PRESETS, SpanForm
from proxy.templatetags.figures import short, usd, usd_short, whole
from proxy.usage.chart import DAYS_MAX, Chart, columns_of, draw
from proxy.usage.csv_export import csv_parts
from proxy.usage.kept import kept_summary
from proxy.usage.names import credential_labels, holder_names, model_names
from proxy.usage.summary import Figures, Summary
from proxy.usage.unattributed import unattributed_in

ROWS_MAX = 50
K = TypeVar("K")


@dataclass(frozen=True)
class Measure:
    """Something a chart can show: the values of a day, how each is called and coloured, and how a value is written."""

    label: "str | Promise"
    series: "tuple[tuple[int, str | Promise], ...]"
    values: Callable[[Figures], tuple[int, ...]]
    words: Callable[[int], str]
    short: Callable[[int], str]


MEASURES = {
    "calls": Measure(
        gettext_lazy("Calls"),
        (
            (1, gettext_lazy("Other calls")),
            (3, gettext_lazy("Refused")),
            (4, gettext_lazy("Failed")),
        ),
        lambda day: (day.calls - day.refusals - day.failures, day.refusals, day.failures),
        whole,
        short,
    ),
    "tokens": Measure(
        gettext_lazy("Tokens"),
        ((1, gettext_lazy("Input")), (2, gettext_lazy("Output"))),
        lambda day: (day.input_tokens, day.output_tokens),
        whole,
        short,
    ),
    "cost": Measure(
        gettext_lazy("Cost"),
        ((1, gettext_lazy("Cost")),),
        lambda day: (day.cost_micro_usd,),
        usd,
        usd_short,
    ),
}


@dataclass(frozen=True)
class Row:
    """A line of a table: what it is of, with its id where its name is gone."""

    figures: Figures
    name: str = ""
    note: str = ""
    id: uuid.UUID | None = None


@dataclass(frozen=True)
class Table:
    """Rows of one kind, the dearest first; `more` is how many more there are. Their ids go into links to the calls."""

    title: str
    parameter: str
    rows: list[Row]
    more: int


@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    """Show what was used, in all and by day, model, key, person and team."""
    sight = sight_of(person_of(request))
    form = SpanForm(request.GET, teams=sight.teams, today=utc_now().date())
    chosen = request.GET.get("show", "")
    measure = chosen if chosen in MEASURES else "calls"
    shown: dict[str, object] = {"form": form, "presets": PRESETS, "measures": MEASURES}
    shown |= {"measure": measure, "sees_whole": bool(sight.whole_teams)}
    if form.is_valid():
        summary = kept_summary(_narrowed(sight, form), form.span)
        shown |= {"summary": summary, "span": form.span, "days": sorted(summary.by_day.items())}
        shown |= {"charts": _charts(summary, MEASURES[measure]), "tables": _tables(summary, sight)}
        whole = _narrowed(sight, form).whole_teams
        shown |= {"unattributed": unattributed_in(whole, form.span) if whole else ()}
        shown |= {"series": MEASURES[measure].series, "is_weekly": len(form.span.days) > DAYS_MAX}
    return render(request, "usage/usage.html", shown)


@require_safe
def usage_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the same usage by day, key and model."""
    sight = sight_of(person_of(request))
    form = SpanForm(request.GET, teams=sight.teams, today=utc_now().date())
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=400, content_type="text/plain")
    span = form.span
    parts = _in_threads(csv_parts(_narrowed(sight, form), span))
    answer = StreamingHttpResponse(parts, content_type="text/csv; charset=utf-8")
    name = f"usage-{span.first:%Y-%m-%d}-{span.last:%Y-%m-%d}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    return answer


def _narrowed(sight: Sight, form: SpanForm) -> Sight:
    return sight if form.team_id is None else sight.narrowed_to(form.team_id)


async def _in_threads(parts: Iterator[str]) -> AsyncIterator[str]:
    """Make each part in a thread and give its connection back: whoever reads slowly holds none."""

    def make_next() -> str | None:
        try:
            return next(parts, None)
        finally:
            for connection in connections.all(initialized_only=True):
                if not connection.in_atomic_block:
                    connection.close()

    while (part := await sync_to_async(make_next)()) is not None:
        yield part


def _charts(summary: Summary, measure: Measure) -> dict[str, Chart]:
    days: list[tuple[date, tuple[int, ...]]] = [
        (day, measure.values(figures)) for day, figures in sorted(summary.by_day.items())
    ]
    columns = columns_of(days, measure.words)
    colours = [number for number, _name in measure.series]
    sizes = {"wide": (880, 240), "narrow": (340, 190)}
    return {
        name: draw(columns, measure.short, colours=colours, width=width, height=height)
        for name, (width, height) in sizes.items()
    }


def _tables(summary: Summary, sight: Sight) -> list[Table]:
    models = model_names(summary.by_model)
    credentials = credential_labels(summary.by_key)
    holders = _dearest(summary.by_holder)
    holder_of = holder_names(holders[:ROWS_MAX])
    teams = {team.pk: team.name for team in sight.teams}
    kinds = {True: _("Person"), False: _("Service account")}
    tables = [
        _table(
            _("By model"),
            "model",
            summary.by_model,
            lambda one: (models.get(one, "") if one else _("No model"), "", one),
        ),
        _table(
            _("By key"),
            "key",
            summary.by_key,
            lambda one: (*credentials.get(one, ("", "")), one),
            count=summary.key_count,
        ),
        _table(
            _("By person and service account"),
            "",
            summary.by_holder,
            lambda one: (
                holder_of.get(one, ""),
                kinds[one.person_id is not None],
                one.person_id or one.service_account_id,
            ),
        ),
    ]
    if len(summary.by_team) > 1:
        by_team = summary.by_team
        tables.append(_table(_("By team"), "", by_team, lambda one: (teams.get(one, ""), "", one)))
    return tables


def _table(
    title: str,
    parameter: str,
    figures: dict[K, Figures],
    describe: Callable[[K], tuple[str, str, uuid.UUID | None]],
    *,
    count: int | None = None,
) -> Table:
    """Return the table. count: how many there are, where `figures` has the dearest of them alone."""
    ordered = _dearest(figures)
    rows = []
    for one in ordered[:ROWS_MAX]:
        name, note, id_ = describe(one)
        rows.append(Row(figures[one], name, note, id_))
    return Table(title, parameter, rows, (len(ordered) if count is None else count) - len(rows))


def _dearest(figures: dict[K, Figures]) -> list[K]:
    return sorted(
        figures, key=lambda one: (-figures[one].cost_micro_usd, -figures[one].calls, str(one))
    )
