from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import display
from django.core.exceptions import ValidationError
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.bounds import NetworksField
from accounts.admin.cells import Cell, Table, code, link_to, moment, pill
from accounts.audit import acting
from accounts.models import User
from accounts.roles import PortalRight
from models_registry.discovery import ProviderSilent, list_upstream_models
from models_registry.models import Provider
from models_registry.models.catalogue import validate_base_url
from models_registry.writes.providers import (
    add_provider,
    change_provider,
    keep_credential_at_home,
    open_credential,
)
from portal.lib.crypto import SealBroken

FOUND_MAX = 20


class ProviderForm(ActForm):
    """Where a provider is and how it is called. It is asked for its models before it is saved."""

    base_url = forms.CharField(
        label=gettext_lazy("Base URL"),
        max_length=500,
        validators=[validate_base_url],
        help_text=gettext_lazy(
            "The address before /chat/completions, such as https://models.corp/v1."
        ),
    )
    credential = forms.CharField(
        max_length=1000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("It is sealed, and never shown again."),
    )
    networks = NetworksField(
        help_text=gettext_lazy(
            "One CIDR a line, from which callers may reach its models. Empty: from anywhere."
        )
    )
    save_anyway = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save although the test failed"),
        help_text=gettext_lazy("Only where you know why the provider does not answer yet."),
    )

    def clean(self) -> dict[str, Any]:
        values = dict(super().clean() or {})
        if self.errors:
            return values
        credential = self.credential_to_test()
        if self.errors or values["save_anyway"]:
            return values
        try:
            names = list_upstream_models(
                values["base_url"],
                credential=credential,
                networks=settings.LATCHKEY_PROVIDER_NETWORKS,
            )
        except ProviderSilent as silent:
            self.add_error(
                None,
                _("The test failed: %(fault)s. Nothing was saved. Correct it, or tick the box.")
                % {"fault": silent},
            )
        else:
            values["found"] = names
        return values

    def credential_to_test(self) -> str:
        return str(self.cleaned_data["credential"])


class NewProviderForm(ProviderForm):
    name = forms.SlugField(max_length=60, help_text=gettext_lazy("Letters, digits, - and _."))
    field_order = ("name", "base_url", "credential", "networks", "save_anyway")


class ChangedProviderForm(ProviderForm):
    """An empty credential keeps the one there is, but never takes it to another server than it was given for."""

    without_credential = forms.BooleanField(
        required=False, label=gettext_lazy("Call it without a credential from now on")
    )
    field_order = ("base_url", "credential", "without_credential", "networks", "save_anyway")

    def prepare(self) -> None:
        self.initial.setdefault("base_url", self.subject.base_url)
        self.initial.setdefault("networks", "\n".join(self.subject.networks))
        if self.subject.sealed_credential is not None:
            self.fields["credential"].help_text = _(
                "It has one, which is never shown. Leave this empty to keep it."
            )

    def credential_to_test(self) -> str:
        values = self.cleaned_data
        if values["credential"] and values["without_credential"]:
            self.add_error("credential", _("Give a credential or go without one, not both."))
            return ""
        if values["credential"] or values["without_credential"]:
            return str(values["credential"])
        if self.subject.sealed_credential is None:
            return ""
        try:
            keep_credential_at_home(self.subject, base_url=values["base_url"], credential=None)
        except ValidationError as error:
            self.add_error(None, error)
            return ""
        try:
            return open_credential(self.subject)
        except SealBroken:
            self.add_error("credential", _("The kept credential cannot be opened. Give it again."))
            return ""


def _add(nothing: None, actor: User, values: dict[str, Any]) -> Provider:
    return add_provider(
        values["name"],
        base_url=values["base_url"],
        credential=values["credential"],
        networks=values["networks"],
        actor=acting(actor),
    )


def _change(provider: Provider, actor: User, values: dict[str, Any]) -> None:
    is_new = bool(values["credential"]) or values["without_credential"]
    change_provider(
        provider,
        base_url=values["base_url"],
        credential=values["credential"] if is_new else None,
        networks=values["networks"],
        actor=acting(actor),
    )


class TestForm(ActForm):
    """Asks the provider, as it stands, for its models."""

    __test__ = False

    def clean(self) -> dict[str, Any]:
        try:
            list_upstream_models(
                self.subject.base_url,
                credential=open_credential(self.subject),
                networks=settings.LATCHKEY_PROVIDER_NETWORKS,
            )
        except ProviderSilent as silent:
            raise forms.ValidationError(
                _("The test failed: %(fault)s.") % {"fault": silent}
            ) from None
        except SealBroken:
            raise forms.ValidationError(
                _("The credential cannot be opened. Give it again.")
            ) from None
        return dict(super().clean() or {})


def _nothing(provider: Provider, actor: User, values: dict[str, Any]) -> None:
    """A test changes nothing."""


@admin.register(Provider)
class ProviderAdmin(PortalAdmin):
    """Servers that answer calls. A credential goes in and never comes out."""

    sees = PortalRight.SEE_REGISTRY
    right = PortalRight.MANAGE_REGISTRY
    list_display = ("name", "base_url", "credential", "is_demonstration", "created")
    search_fields = ("name", "base_url")
    search_help_text = gettext_lazy("Name or address")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Test and add provider"),
        _add,
        gettext_lazy("The provider is added."),
        NewProviderForm,
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The provider is changed."),
            ChangedProviderForm,
        ),
        Act(
            "test",
            gettext_lazy("Test"),
            _nothing,
            gettext_lazy("The provider answered with its models."),
            TestForm,
            warning=gettext_lazy(
                "The provider is asked for its models with its credential. Nothing is changed."
            ),
        ),
    )

    @display(description=gettext_lazy("credential"))
    def credential(self, provider: Provider) -> SafeString:
        return pill(_("has one"), "ok") if provider.sealed_credential else pill(_("none"))

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, provider: Provider) -> Cell:
        return moment(provider.created_at)

    def facts(self, found: Provider) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("Base URL"), code(found.base_url)),
            (_("Credential"), self.credential(found)),
            (_("Callers from"), ", ".join(found.networks) or _("Anywhere")),
            (_("Of the demonstration"), _("Yes") if found.is_demonstration else _("No")),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: Provider) -> list[Table]:
        deployments = found.deployments.select_related("model").order_by("model__name")[:FOUND_MAX]
        return [
            Table(
                _("Models served here"),
                [_("Model"), _("Name at the provider"), _("State")],
                [
                    [
                        link_to(one.model),
                        link_to(one, one.upstream_name),
                        pill(_("on"), "ok") if one.enabled else pill(_("off")),
                    ]
                    for one in deployments
                ],
                empty=_("No model is served here yet. Add a deployment on a model's page."),
            )
        ]
