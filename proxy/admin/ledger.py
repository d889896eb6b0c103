"""What the ledger's calls and the usage counted from them have in common in the admin."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import display
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.cells import NOTHING, Cell, code, link_to, micro_usd, pill, whole
from accounts.admin.lists import ChoiceFilter
from accounts.admin.records import RecordAdmin
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.roles import PortalRight
from models_registry.models import AiModel, Deployment, Provider
from proxy.call import CallStatus


class StatusFilter(ChoiceFilter):
    title = gettext_lazy("status")
    parameter_name = "status"
    field_path = "status"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        return [(status.value, status.value) for status in CallStatus]


class ModelFilter(ChoiceFilter):
    title = gettext_lazy("model")
    parameter_name = "model"
    field_path = "model_id"

    def choices_for(self, request: HttpRequest) -> Iterable[tuple[str, str]]:
        models = AiModel.objects.order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in models]


class LedgerAdmin(RecordAdmin):
    """Rows of the ledger, found by the whole id of a key."""

    sees = PortalRight.SEE_CALLS

    def names(self) -> dict[str, Subquery]:
        model = AiModel.objects.filter(pk=OuterRef("model_id")).values("name")[:1]
        key = ApiKey.objects.filter(pk=OuterRef("key_id")).values("public_id")[:1]
        return {
            **super().names(),
            "model_name": Subquery(model),
            "key_public_id": Subquery(key),
        }

    def of_term(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        key = ApiKey.objects.filter(public_id=term.removeprefix("lk_").split("_")[0]).first()
        return rows.filter(key_id=key.pk) if key is not None else rows.none()

    @display(description=gettext_lazy("key"))
    def key(self, row: Any) -> Cell:
        return code(f"lk_{row.key_public_id}_…" if row.key_public_id else row.key_id)

    @display(description=gettext_lazy("model"))
    def model_shown(self, row: Any) -> str:
        return row.model_name or str(row.model_id or NOTHING)

    @display(description=gettext_lazy("status"))
    def outcome(self, row: Any) -> SafeString:
        return outcome_pill(row.status)

    @display(description=gettext_lazy("input tokens"))
    def tokens_in(self, row: Any) -> str:
        return whole(row.input_tokens)

    @display(description=gettext_lazy("output tokens"))
    def tokens_out(self, row: Any) -> str:
        return whole(row.output_tokens)

    @display(description=gettext_lazy("cost"))
    def cost(self, row: Any) -> str:
        return micro_usd(row.cost_micro_usd)


def outcome_pill(status: str) -> SafeString:
    if status == CallStatus.ANSWERED:
        return pill(status, "ok")
    return pill(status, "warn" if status in {CallStatus.REFUSED, CallStatus.CLIENT_GONE} else "bad")


def input_words(row: Any, *, audio: int | None = None) -> str:
    return _in_parts(row.input_tokens, [(_("cached"), row.cached_tokens), (_("audio"), audio)])


def output_words(row: Any, *, audio: int | None = None) -> str:
    reasoning = (_("reasoning"), row.reasoning_tokens)
    return _in_parts(row.output_tokens, [reasoning, (_("audio"), audio)])


def _in_parts(tokens: int, parts: list[tuple[str, int | None]]) -> str:
    told = ", ".join(f"{name} {whole(part)}" for name, part in parts if part is not None)
    return _("%(tokens)s, of them %(parts)s") % {"tokens": whole(tokens), "parts": told}


# Which of a row's ids are shown, and what they are ids of.
_NAMED: "list[tuple[str | Promise, str, type[Any]]]" = [
    (gettext_lazy("Team"), "team_id", Team),
    (gettext_lazy("Key"), "key_id", ApiKey),
    (gettext_lazy("Service account"), "service_account_id", ServiceAccount),
    (gettext_lazy("Person"), "person_id", User),
    (gettext_lazy("Model"), "model_id", AiModel),
    (gettext_lazy("Deployment"), "deployment_id", Deployment),
    (gettext_lazy("Provider"), "provider_id", Provider),
]


def holders_of(row: Any) -> list[tuple[str, Cell]]:
    """Each of the row's ids as a link to what it names, or as it is where that is gone."""
    shown: list[tuple[str, Cell]] = []
    for label, name, model in _NAMED:
        wanted = getattr(row, name, None)
        if wanted is not None:
            found = model.objects.filter(pk=wanted).first()
            shown.append((str(label), link_to(found) if found else code(wanted)))
    return shown


def milliseconds(us: int) -> str:
    return f"{us / 1000:,.0f} ms" if us < 10_000_000 else f"{us / 1_000_000:,.1f} s"
