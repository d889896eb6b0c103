from typing import Any

from django import forms
from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, code, link_to, pill
from accounts.audit import acting
from accounts.models import User
from accounts.roles import PortalRight
from models_registry.models import Deployment
from models_registry.writes.catalogue import change_deployment


class PositionForm(ActForm):
    position = forms.IntegerField(
        min_value=0,
        max_value=32767,
        help_text=gettext_lazy("The lowest position that is on is used first."),
    )

    def prepare(self) -> None:
        self.initial.setdefault("position", self.subject.position)


def _switch_on(deployment: Deployment, actor: User, values: dict[str, Any]) -> None:
    change_deployment(deployment, enabled=True, actor=acting(actor))


def _switch_off(deployment: Deployment, actor: User, values: dict[str, Any]) -> None:
    change_deployment(deployment, enabled=False, actor=acting(actor))


def _move(deployment: Deployment, actor: User, values: dict[str, Any]) -> None:
    change_deployment(deployment, position=values["position"], actor=acting(actor))


@admin.register(Deployment)
class DeploymentAdmin(PortalAdmin):
    """Where models are served; reached from a model or a provider."""

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY
    list_display = ("upstream_name", "model", "provider", "position", "enabled")
    list_select_related = ("model", "provider")
    search_fields = ("upstream_name", "model__name", "provider__name")
    ordering = ("model__name", "position")
    acts = (
        Act(
            "switch-on",
            gettext_lazy("Switch on"),
            _switch_on,
            gettext_lazy("The deployment is on."),
            shows=lambda deployment: not deployment.enabled,
        ),
        Act(
            "switch-off",
            gettext_lazy("Switch off"),
            _switch_off,
            gettext_lazy("The deployment is off."),
            shows=lambda deployment: deployment.enabled,
            warning=gettext_lazy(
                "Calls go to the next deployment of the model; without one they are refused."
            ),
            is_danger=True,
        ),
        Act(
            "move",
            gettext_lazy("Change position"),
            _move,
            gettext_lazy("The position is changed."),
            PositionForm,
        ),
    )

    def name_of(self, found: Deployment) -> str:
        return _("%(model)s at %(provider)s") % {"model": found.model, "provider": found.provider}

    def trail_of(self, found: Deployment) -> str:
        return str(found.model_id)

    def facts(self, found: Deployment) -> list[tuple[str, Cell]]:
        return [
            (_("Model"), link_to(found.model)),
            (_("Provider"), link_to(found.provider)),
            (_("Name at the provider"), code(found.upstream_name)),
            (_("Position"), found.position),
            (_("State"), pill(_("on"), "ok") if found.enabled else pill(_("off"))),
        ]
