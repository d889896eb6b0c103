from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString

from accounts.admin.acts import Act
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import (
    Cell,
    Table,
    code,
    link_to,
    list_of,
    micro_usd,
    moment,
    pill,
    text,
    whole,
)
from accounts.admin.lists import ChoicesFilter, RelatedFilter
from accounts.audit import acting
from accounts.models import User
from models_registry.admin.model_forms import (
    DeploymentForm,
    ModelForm,
    NewModelForm,
    SunsetForm,
    facts_of,
)
from models_registry.models import AiModel, Deployment, Grant, ModelKind, ModelStatus
from models_registry.writes.catalogue import (
    NEXT_STATUSES,
    add_model,
    change_model,
    deploy_model,
    set_model_status,
)
from portal.lib.clock import utc_now

SHOWN_MAX = 50
_TONES = {
    ModelStatus.DRAFT: "quiet",
    ModelStatus.PUBLISHED: "ok",
    ModelStatus.DEPRECATED: "warn",
    ModelStatus.RETIRED: "bad",
}


def status_of(model: AiModel) -> SafeString:
    status = ModelStatus(model.status)
    return pill(str(status.label), _TONES[status])


def _add(nothing: None, actor: User, values: dict[str, Any]) -> AiModel:
    kind = ModelKind(values["kind"])
    return add_model(values["name"], kind=kind, actor=acting(actor), **facts_of(values))


def _change(model: AiModel, actor: User, values: dict[str, Any]) -> None:
    change_model(model, actor=acting(actor), **facts_of(values))


def _deploy(model: AiModel, actor: User, values: dict[str, Any]) -> Deployment:
    return deploy_model(
        model,
        provider=values["provider"],
        upstream_name=values["upstream_name"],
        position=values["position"],
        actor=acting(actor),
    )


def _publish(model: AiModel, actor: User, values: dict[str, Any]) -> None:
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=acting(actor))


def _deprecate(model: AiModel, actor: User, values: dict[str, Any]) -> None:
    set_model_status(
        model,
        status=ModelStatus.DEPRECATED,
        sunset_at=values["sunset_at"],
        actor=acting(actor),
    )


def _retire(model: AiModel, actor: User, values: dict[str, Any]) -> None:
    set_model_status(model, status=ModelStatus.RETIRED, actor=acting(actor))


def _may_become(status: ModelStatus) -> Any:
    return lambda model: status in NEXT_STATUSES[ModelStatus(model.status)]


@admin.register(AiModel)
class AiModelAdmin(PortalAdmin):
    """What can be called. Its life goes on by steps, each with a button of its own."""

    list_display = ("name", "kind", "status_shown", "data_class", "owner", "price")
    list_filter = (
        ("status", ChoicesFilter),
        ("kind", ChoicesFilter),
        ("data_class", ChoicesFilter),
        ("owner", RelatedFilter),
    )
    list_select_related = ("owner",)
    search_fields = ("name", "description")
    search_help_text = "Name or description"
    ordering = ("name",)
    add_act = Act("add", "Add model", _add, "The model is there, as a draft.", NewModelForm)
    acts = (
        Act("change", "Change facts", _change, "The model is changed.", ModelForm),
        Act("deploy", "Add deployment", _deploy, "The deployment is added.", DeploymentForm),
        Act(
            "publish",
            "Publish",
            _publish,
            "The model is published.",
            shows=_may_become(ModelStatus.PUBLISHED),
            warning="Everyone it is visible to finds it in the catalogue, and whoever has a grant may call it.",
        ),
        Act(
            "deprecate",
            "Deprecate",
            _deprecate,
            "The model is deprecated.",
            SunsetForm,
            shows=_may_become(ModelStatus.DEPRECATED),
            warning="It goes on answering; callers are told by a header.",
        ),
        Act(
            "retire",
            "Retire",
            _retire,
            "The model is retired.",
            shows=_may_become(ModelStatus.RETIRED),
            warning="Every call is refused from then on. It cannot be undone.",
            is_danger=True,
        ),
    )

    @display(description="status", ordering="status")
    def status_shown(self, model: AiModel) -> SafeString:
        return status_of(model)

    @display(description="price in / out")
    def price(self, model: AiModel) -> str:
        return f"{micro_usd(model.price_input)} / {micro_usd(model.price_output)}"

    def facts(self, found: AiModel) -> list[tuple[str, Cell]]:
        return [
            ("Name", code(found.name)),
            ("Kind", found.get_kind_display()),
            ("Status", status_of(found)),
            ("Deprecated", moment(found.deprecated_at)),
            ("Ends", moment(found.sunset_at)),
            ("Description", text(found.description)),
            ("Owner", link_to(found.owner)),
            ("Class of data", found.get_data_class_display()),
            ("Visible to", found.get_visibility_display()),
            ("Context window", f"{whole(found.context_tokens)} tokens"),
            ("Largest output", f"{whole(found.max_output_tokens)} tokens"),
            ("Tokens a byte", str(found.tokens_per_byte)),
            ("Price of input", f"{micro_usd(found.price_input)} a million tokens"),
            ("Price of cached input", f"{micro_usd(found.price_cached_input)} a million tokens"),
            ("Price of output", f"{micro_usd(found.price_output)} a million tokens"),
            ("Price of reasoning", _price_apart(found.price_reasoning, "output")),
            ("Price of audio input", _price_apart(found.price_audio_input, "input")),
            ("Price of audio output", _price_apart(found.price_audio_output, "output")),
            ("Further members", ", ".join(found.extra_members)),
            ("Output cap", code(found.output_cap_member)),
            ("On hang-up", found.get_hang_up_display()),
            ("Since", moment(found.created_at)),
        ]

    def tables(self, found: AiModel) -> list[Table]:
        return [_deployments(found), _grants(found)]


def _price_apart(price: int | None, else_as: str) -> str:
    return f"as {else_as}" if price is None else f"{micro_usd(price)} a million tokens"


def _deployments(model: AiModel) -> Table:
    found = model.deployments.select_related("provider").order_by("position")[:SHOWN_MAX]
    return Table(
        "Deployments, in the order they are used",
        ["Position", "Provider", "Name there", "State"],
        [
            [
                one.position,
                link_to(one.provider),
                link_to(one, one.upstream_name),
                pill("on", "ok") if one.enabled else pill("off"),
            ]
            for one in found
        ],
        empty="No provider serves this model yet: calls would be refused. Add a deployment.",
    )


def _grants(model: AiModel) -> Table:
    live = model.grants.filter(ends_at__gt=utc_now())
    found = live.select_related("team", "service_account").order_by("ends_at")[:SHOWN_MAX]
    return Table(
        "Live grants, the next to end first",
        ["Granted to", "Kinds of call", "Ends"],
        [
            [
                link_to(grant, grant.team or grant.service_account),
                ", ".join(grant.scopes),
                moment(grant.ends_at),
            ]
            for grant in found
        ],
        empty="Nobody may call this model at present.",
        more=list_of(Grant, f"?model__id__exact={model.pk}"),
    )
