import datetime
import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString

from accounts.admin.audit import TeamFilter, team_name
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING, Cell, Table, code, link_to, micro_usd, moment, pill, whole
from accounts.admin.lists import ChoiceFilter, PeriodFilter
from accounts.models import ApiKey, ServiceAccount, Team, User
from models_registry.models import AiModel, Deployment, Provider
from proxy.call import CallStatus
from proxy.models import Adjustment, Call, UsageHour, first_id_at


class CallPeriodFilter(PeriodFilter):
    """By the time in the id, which keeps the query to the months it needs."""

    default = "day"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = self.since()
        return queryset if since is None else queryset.filter(id__gte=_first_id(since))


class UsagePeriodFilter(PeriodFilter):
    field_path = "hour"
    default = "week"


class StatusFilter(ChoiceFilter):
    title = "status"
    parameter_name = "status"
    field_path = "status"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return [(status.value, status.value) for status in CallStatus]


class ModelFilter(ChoiceFilter):
    title = "model"
    parameter_name = "model"
    field_path = "model_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        models = AiModel.objects.order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in models]


def _first_id(since: datetime.datetime) -> uuid.UUID:
    return first_id_at(int(since.timestamp() * 1000))


def _model_name() -> Subquery:
    return Subquery(AiModel.objects.filter(pk=OuterRef("model_id")).values("name")[:1])


def _key_id() -> Subquery:
    return Subquery(ApiKey.objects.filter(pk=OuterRef("key_id")).values("public_id")[:1])


def _parts(tokens: int, **parts: int) -> str:
    told = ", ".join(f"{name} {whole(part)}" for name, part in parts.items())
    return f"{whole(tokens)}, of them {told}"


def _outcome(status: str) -> SafeString:
    if status == CallStatus.ANSWERED:
        return pill(status, "ok")
    return pill(status, "warn" if status in {CallStatus.REFUSED, CallStatus.CLIENT_GONE} else "bad")


class LedgerAdmin(PortalAdmin):
    """Rows of the ledger, to read. They hold ids alone; names stand beside them while there are any."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        named: QuerySet[Any] = rows.annotate(
            team_name=team_name(), model_name=_model_name(), key_public_id=_key_id()
        )
        return named

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Whole ids alone, of a key or of the row itself: nothing reads the ledger from end to end."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return self.of_id(queryset, term), False

    def of_id(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        key = ApiKey.objects.filter(public_id=term.removeprefix("lk_").split("_")[0]).first()
        return rows.filter(key_id=key.pk) if key is not None else rows.none()

    def trail_of(self, found: Any) -> None:
        return None

    @display(description="team")
    def team(self, row: Any) -> str:
        return row.team_name or str(row.team_id)

    @display(description="key")
    def key(self, row: Any) -> Cell:
        return code(f"lk_{row.key_public_id}_…" if row.key_public_id else row.key_id)

    @display(description="model")
    def model_shown(self, row: Any) -> str:
        return row.model_name or str(row.model_id or NOTHING)

    @display(description="status")
    def outcome(self, row: Any) -> SafeString:
        return _outcome(row.status)

    @display(description="input tokens")
    def tokens_in(self, row: Any) -> str:
        return whole(row.input_tokens)

    @display(description="output tokens")
    def tokens_out(self, row: Any) -> str:
        return whole(row.output_tokens)

    @display(description="cost")
    def cost(self, row: Any) -> str:
        return micro_usd(row.cost_micro_usd)


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
    search_help_text = "A call's id or a key, such as lk_…"
    ordering = ("-id",)

    def of_id(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        try:
            return rows.filter(pk=uuid.UUID(term))
        except ValueError:
            return super().of_id(rows, term)

    @display(description="admitted")
    def when(self, call: Call) -> Cell:
        return moment(call.admitted_at)

    @display(description="took")
    def took(self, call: Call) -> str:
        return _seconds(call.duration_us)

    def name_of(self, found: Call) -> str:
        return f"Call {found.pk}"

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        return [
            ("Admitted", moment(found.admitted_at)),
            ("Status", _outcome(found.status)),
            ("Answered with", str(found.http_status)),
            ("Code", code(found.code)),
            ("Kind", f"{found.kind}, as a stream" if found.stream else found.kind),
            *_holders(found),
            ("Peer", found.peer),
            ("Request id", code(found.request_id)),
            ("Purpose", found.purpose),
            (
                "Input tokens",
                _parts(
                    found.input_tokens, cached=found.cached_tokens, audio=found.input_audio_tokens
                ),
            ),
            (
                "Output tokens",
                _parts(
                    found.output_tokens,
                    reasoning=found.reasoning_tokens,
                    audio=found.output_audio_tokens,
                ),
            ),
            ("Counted by", "an estimate" if found.usage_estimated else "the upstream"),
            ("Reserved", f"{whole(found.reserved_tokens)} tokens"),
            ("Cost", micro_usd(found.cost_micro_usd)),
            ("Took", _seconds(found.duration_us)),
            ("Of that upstream", _seconds(found.upstream_us)),
            ("First byte after", _seconds(found.first_byte_us)),
            ("Attempts", str(found.attempts)),
            ("Answer", f"{whole(found.answer_bytes)} bytes"),
        ]

    def tables(self, found: Call) -> list[Table]:
        late = Adjustment.objects.filter(call_id=found.pk).order_by("id")
        return [
            Table(
                "Corrections that came later",
                ["Booked", "Kind", "Status now", "Input tokens", "Output tokens", "Cost"],
                [
                    [
                        moment(one.at),
                        one.kind,
                        _outcome(one.status),
                        f"{one.input_tokens:+,}",
                        f"{one.output_tokens:+,}",
                        micro_usd(one.cost_micro_usd),
                    ]
                    for one in late
                ],
                empty="Nothing was corrected.",
            )
        ]


@admin.register(UsageHour)
class UsageHourAdmin(LedgerAdmin):
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
    list_filter = (UsagePeriodFilter, StatusFilter, TeamFilter, ModelFilter)
    search_fields = ("key_id",)
    search_help_text = "A key, such as lk_…"
    ordering = ("-hour", "-id")

    @display(description="hour", ordering="hour")
    def when(self, row: UsageHour) -> Cell:
        return moment(row.hour)

    @display(description="calls", ordering="calls")
    def calls_shown(self, row: UsageHour) -> str:
        return whole(row.calls)

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        return [
            ("Hour", moment(found.hour)),
            ("Status", _outcome(found.status)),
            *_holders(found),
            ("Calls", whole(found.calls)),
            (
                "Input tokens",
                f"{whole(found.input_tokens)}, of them cached {whole(found.cached_tokens)}",
            ),
            (
                "Output tokens",
                f"{whole(found.output_tokens)}, of them reasoning {whole(found.reasoning_tokens)}",
            ),
            ("Cost", micro_usd(found.cost_micro_usd)),
            ("Time together", _seconds(found.duration_us)),
        ]


# Which of a row's ids are shown, and what they are ids of.
_NAMED: list[tuple[str, str, type[Any]]] = [
    ("Team", "team_id", Team),
    ("Key", "key_id", ApiKey),
    ("Service account", "service_account_id", ServiceAccount),
    ("Person", "person_id", User),
    ("Model", "model_id", AiModel),
    ("Deployment", "deployment_id", Deployment),
    ("Provider", "provider_id", Provider),
]


def _holders(row: Any) -> list[tuple[str, Cell]]:
    """Each of the row's ids as a link to what it names, or as it is where that is gone."""
    shown: list[tuple[str, Cell]] = []
    for label, name, model in _NAMED:
        wanted = getattr(row, name, None)
        if wanted is not None:
            found = model.objects.filter(pk=wanted).first()
            shown.append((label, link_to(found) if found else code(wanted)))
    return shown


def _seconds(us: int) -> str:
    return f"{us / 1000:,.0f} ms" if us < 10_000_000 else f"{us / 1_000_000:,.1f} s"
