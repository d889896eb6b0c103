from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

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
from accounts.roles import PortalRight
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

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY
    list_display = ("name", "kind", "status_shown", "data_class", "owner", "price")
    list_filter = (
        ("status", ChoicesFilter),
        ("kind", ChoicesFilter),
        ("data_class", ChoicesFilter),
        ("owner", RelatedFilter),
    )
    list_select_related = ("owner",)
    search_fields = ("name", "description")
    search_help_text = gettext_lazy("Name or description")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Add model"),
        _add,
        gettext_lazy("The model is there, as a draft."),
        NewModelForm,
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change facts"),
            _change,
            gettext_lazy("The model is changed."),
            ModelForm,
        ),
        Act(
            "deploy",
            gettext_lazy("Add deployment"),
            _deploy,
            gettext_lazy("The deployment is added."),
            DeploymentForm,
        ),
        Act(
            "publish",
            gettext_lazy("Publish"),
            _publish,
            gettext_lazy("The model is published."),
            shows=_may_become(ModelStatus.PUBLISHED),
            warning=gettext_lazy(
                "Everyone it is visible to finds it in the catalogue, and whoever has a grant may call it."
            ),
        ),
        Act(
            "deprecate",
            gettext_lazy("Deprecate"),
            _deprecate,
            gettext_lazy("The model is deprecated."),
            SunsetForm,
            shows=_may_become(ModelStatus.DEPRECATED),
            warning=gettext_lazy("It goes on answering; callers are told by a header."),
        ),
        Act(
            "retire",
            gettext_lazy("Retire"),
            _retire,
            gettext_lazy("The model is retired."),
            shows=_may_become(ModelStatus.RETIRED),
            warning=gettext_lazy("Every call is refused from then on. It cannot be undone."),
            is_danger=True,
        ),
    )

    @display(description=gettext_lazy("status"), ordering="status")
    def status_shown(self, model: AiModel) -> SafeString:
        return status_of(model)

    @display(description=gettext_lazy("price in / out"))
    def price(self, model: AiModel) -> str:
        return f"{micro_usd(model.price_input)} / {micro_usd(model.price_output)}"

    def facts(self, found: AiModel) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), code(found.name)),
            (_("Kind"), found.get_kind_display()),
            (_("Status"), status_of(found)),
            (_("Deprecated"), moment(found.deprecated_at)),
            (_("Ends"), moment(found.sunset_at)),
            (_("Description"), text(found.description)),
            (_("Owner"), link_to(found.owner)),
            (_("Class of data"), found.get_data_class_display()),
            (_("Visible to"), found.get_visibility_display()),
            (_("Context window"), _tokens(found.context_tokens)),
            (_("Largest output"), _tokens(found.max_output_tokens)),
            (_("Tokens a byte"), str(found.tokens_per_byte)),
            (_("Price of input"), _a_million(found.price_input)),
            (_("Price of cached input"), _a_million(found.price_cached_input)),
            (_("Price of output"), _a_million(found.price_output)),
            (_("Price of reasoning"), _price_apart(found.price_reasoning, _("as output"))),
            (_("Price of audio input"), _price_apart(found.price_audio_input, _("as input"))),
            (_("Price of audio output"), _price_apart(found.price_audio_output, _("as output"))),
            (_("Further members"), ", ".join(found.extra_members)),
            (_("Output cap"), code(found.output_cap_member)),
            (_("On hang-up"), found.get_hang_up_display()),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: AiModel) -> list[Table]:
        return [_deployments(found), _grants(found)]


def _price_apart(price: int | None, else_as: str) -> str:
    return else_as if price is None else _a_million(price)


def _deployments(model: AiModel) -> Table:
    found = model.deployments.select_related("provider").order_by("position")[:SHOWN_MAX]
    return Table(
        _("Deployments, in the order they are used"),
        [_("Position"), _("Provider"), _("Name there"), _("State")],
        [
            [
                one.position,
                link_to(one.provider),
                link_to(one, one.upstream_name),
                pill(_("on"), "ok") if one.enabled else pill(_("off")),
            ]
            for one in found
        ],
        empty=_("No provider serves this model yet: calls would be refused. Add a deployment."),
    )


def _grants(model: AiModel) -> Table:
    live = model.grants.filter(ends_at__gt=utc_now())
    found = live.select_related("team", "service_account").order_by("ends_at")[:SHOWN_MAX]
    return Table(
        _("Live grants, the next to end first"),
        [_("Granted to"), _("Kinds of call"), _("Ends")],
        [
            [
                link_to(grant, grant.team or grant.service_account),
                ", ".join(grant.scopes),
                moment(grant.ends_at),
            ]
            for grant in found
        ],
        empty=_("Nobody may call this model at present."),
        more=list_of(Grant, f"?model__id__exact={model.pk}"),
    )


def _tokens(number: int) -> str:
    return _("%(tokens)s tokens") % {"tokens": whole(number)}


def _a_million(price: int) -> str:
    return _("%(price)s a million tokens") % {"price": micro_usd(price)}
