"""The ledger's calls in the admin, to read."""

import uuid
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.audit import TeamFilter
from accounts.admin.cells import Cell, Table, code, micro_usd, moment, whole
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
from proxy.models import Adjustment, Call, first_id_since


class CallPeriodFilter(PeriodFilter):
    """By the time in the id, which keeps the query to the months it needs."""

    default = "day"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.since()
        return queryset if since is None else queryset.filter(id__gte=first_id_since(since))


@admin.register(Call)
class CallAdmin(LedgerAdmin):
    list_display = (
        "when",
        "outcome",
        "model_shown",
        "team",
        "key",
        "tokens_in",
        "tokens_out",
        "cost",
        "took",
    )
    list_filter = (CallPeriodFilter, StatusFilter, TeamFilter, ModelFilter)
    search_fields = ("id",)
    search_help_text = gettext_lazy("A call's id or a key, such as lk_…")
    ordering = ("-id",)

    def of_term(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        try:
            return rows.filter(pk=uuid.UUID(term))
        except ValueError:
            return super().of_term(rows, term)

    @display(description=gettext_lazy("admitted"))
    def when(self, call: Call) -> Cell:
        return moment(call.admitted_at)

    @display(description=gettext_lazy("took"))
    def took(self, call: Call) -> str:
        return milliseconds(call.duration_us)

    def name_of(self, found: Call) -> str:
        return _("Call %(id)s") % {"id": found.pk}

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        return [
            (_("Admitted"), moment(found.admitted_at)),
            (_("Status"), outcome_pill(found.status)),
            (_("Answered with"), str(found.http_status)),
            (_("Code"), code(found.code)),
            (
                _("Kind"),
                _("%(kind)s, as a stream") % {"kind": found.kind} if found.stream else found.kind,
            ),
            *holders_of(found),
            (_("Peer"), found.peer),
            (_("Request id"), code(found.request_id)),
            (_("Purpose"), found.purpose),
            (
                _("Input tokens"),
                input_words(found, audio=found.input_audio_tokens),
            ),
            (
                _("Output tokens"),
                output_words(found, audio=found.output_audio_tokens),
            ),
            (_("Counted by"), _("an estimate") if found.usage_estimated else _("the upstream")),
            (_("Reserved"), _("%(tokens)s tokens") % {"tokens": whole(found.reserved_tokens)}),
            (_("Cost"), micro_usd(found.cost_micro_usd)),
            (_("Took"), milliseconds(found.duration_us)),
            (_("Of that upstream"), milliseconds(found.upstream_us)),
            (_("First byte after"), milliseconds(found.first_byte_us)),
            (_("Attempts"), str(found.attempts)),
            (_("Answer"), _("%(bytes)s bytes") % {"bytes": whole(found.answer_bytes)}),
        ]

    def tables(self, found: Call) -> list[Table]:
        late = Adjustment.objects.filter(call_id=found.pk).order_by("id")
        return [
            Table(
                _("Corrections that came later"),
                [
                    _("Booked"),
                    _("Kind"),
                    _("Status now"),
                    _("Input tokens"),
                    _("Output tokens"),
                    _("Cost"),
                ],
                [
                    [
                        moment(one.at),
                        one.kind,
                        outcome_pill(one.status),
                        f"{one.input_tokens:+,}",
                        f"{one.output_tokens:+,}",
                        micro_usd(one.cost_micro_usd),
                    ]
                    for one in late
                ],
                empty=_("Nothing was corrected."),
            )
        ]
