"""What was used, summed by day, model, key, holder or team; from the roll-up alone."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import access_team
from accounts.api.fields import Choice, Given, Text
from accounts.api.operations import operation
from accounts.api.problems import ProblemCode
from accounts.api.views import ManagementView
from proxy.access import sight_of
from proxy.api.spans import SpanQuery, span_of
from proxy.usage.kept import kept_summary
from proxy.usage.names import credential_names, holder_names, model_names, team_names
from proxy.usage.summary import Figures, Holder, Summary

DAYS, DAYS_MAX = 30, 400
ROWS_MAX = 1000
BY = ("day", "model", "key", "holder", "team")


class FiguresGiven(Given):
    calls = serializers.IntegerField()
    failures = serializers.IntegerField(help_text="Of the calls, those that failed.")
    refusals = serializers.IntegerField(help_text="Of the calls, those that were not let in.")
    input_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField(help_text="Of the input.")
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField(help_text="Of the output.")
    cost_micro_usd = serializers.IntegerField(help_text="1e-6 USD.")


class UsageRowGiven(FiguresGiven):
    of = serializers.CharField(
        allow_null=True, help_text="The day, or the id of the model, key, holder or team."
    )
    name = serializers.CharField(
        allow_null=True, help_text="Its name; null where it has none any more."
    )


class UsageGiven(Given):
    first = serializers.DateField()
    last = serializers.DateField()
    by = serializers.ChoiceField(choices=BY)
    total = FiguresGiven()
    rows = UsageRowGiven(many=True, help_text="Days in their order; all else the dearest first.")
    more = serializers.IntegerField(
        help_text=f"How many rows beyond {ROWS_MAX} are left out; the total holds them."
    )


class UsageQuery(SpanQuery):
    by = Choice(choices=BY, required=False, default="day")
    team = Text(required=False, max_length=60, help_text="The slug of one of your teams.")


class Usage(ManagementView):
    @operation(
        "get_usage",
        "Read what was used.",
        gives=UsageGiven,
        query=UsageQuery,
        refuses=[ProblemCode.NOT_FOUND],
    )
    def get(self, request: Request) -> Response:
        """Answer sums over whole days in UTC, of the last 30 unless others are named, at most 400.

        Owners, managers and auditors see their whole team's; everybody sees what their own keys used.
        """
        span = span_of(self.asked, days=DAYS, most=DAYS_MAX)
        sight = sight_of(self.person)
        if "team" in self.asked:
            sight = sight.narrowed_to(access_team(self.person, self.asked["team"]).pk)
        summary = kept_summary(sight, span, keys_max=ROWS_MAX)
        by = self.asked["by"]
        side = _side(summary, by)
        shown = side[:ROWS_MAX]
        names = _names(by, shown)
        answer = {
            "first": span.first,
            "last": span.last,
            "by": by,
            "total": summary.total,
            "rows": [
                vars(figures) | {"of": _id(of), "name": names.get(of)} for of, figures in shown
            ],
            "more": (summary.key_count if by == "key" else len(side)) - len(shown),
        }
        return Response(UsageGiven(answer).data)


def _side(summary: Summary, by: str) -> list[tuple[Any, Figures]]:
    """The usage from one side: days in their order, all else the dearest first."""
    if by == "day":
        return list(summary.by_day.items())
    sides: dict[str, dict[Any, Figures]] = {
        "model": summary.by_model,
        "key": summary.by_key,
        "holder": summary.by_holder,
        "team": summary.by_team,
    }
    return sorted(sides[by].items(), key=_dearness)


def _dearness(row: tuple[Any, Figures]) -> tuple[int, int, str]:
    of, figures = row
    return -figures.cost_micro_usd, -figures.calls, _id(of) or ""


def _names(by: str, side: list[tuple[Any, Figures]]) -> Mapping[Any, str]:
    ids = [of for of, _ in side]
    if by == "model":
        return model_names(ids)
    if by == "key":
        return credential_names(ids)
    if by == "holder":
        return holder_names(ids)
    return team_names(ids) if by == "team" else {}


def _id(of: object) -> str | None:
    if isinstance(of, Holder):
        of = of.service_account_id or of.person_id
    return None if of is None else str(of)
