from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin import display
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ActForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import Cell, Table, code, link, link_to, moment, pill, text
from accounts.audit import acting
from accounts.models import SignOnConnection, SignOnMapping, Team, User
from accounts.models.sign_on import SignOnKind
from accounts.role_choices import any_team_role_choices, read_team_role
from accounts.writes.sign_on import (
    add_connection,
    change_connection,
    map_group,
    remove_encryption_key,
    replace_encryption_key,
    unmap_group,
)

SHOWN_MAX = 50


class Domains(forms.CharField):
    """Domains, one a line or parted by commas."""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value) or ""
        return [one.strip().lower() for one in text.replace(",", "\n").split("\n") if one.strip()]


class ConnectionForm(ActForm):
    """An identity provider, and whom it may speak for."""

    name = forms.CharField(
        max_length=60, help_text=gettext_lazy("As people read it on the button.")
    )
    issuer = forms.CharField(
        max_length=500,
        help_text=gettext_lazy(
            "The issuer's address or, with SAML, its entity id; letter by letter as the provider writes it."
        ),
    )
    client_id = forms.CharField(
        max_length=300,
        required=False,
        label=gettext_lazy("Client id"),
        help_text=gettext_lazy("OpenID Connect alone."),
    )
    secret = forms.CharField(
        max_length=1000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy(
            "It is sealed, and never shown again. Empty keeps the one there is."
        ),
    )
    sso_url = forms.CharField(
        max_length=500,
        required=False,
        label=gettext_lazy("Address for signing in"),
        help_text=gettext_lazy(
            "SAML alone: the provider's address with the binding HTTP-Redirect."
        ),
    )
    certificate = forms.CharField(
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("SAML alone: what the provider signs with, in PEM."),
    )
    domains = Domains(
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy(
            "E-mail domains that your organisation owns, one a line. The provider speaks for their addresses and no others."
        ),
    )
    group_claim = forms.CharField(
        max_length=200,
        required=False,
        help_text=gettext_lazy("The claim that lists a person's groups, such as groups."),
    )
    is_enforced = forms.BooleanField(
        required=False,
        label=gettext_lazy("People of these domains sign in here alone"),
        help_text=gettext_lazy(
            "Their passwords count no more, but for break-glass administrators."
        ),
    )
    is_enabled = forms.BooleanField(required=False, initial=True, label=gettext_lazy("Switched on"))


class NewConnectionForm(ConnectionForm):
    kind = forms.ChoiceField(choices=SignOnKind.choices)
    slug = forms.SlugField(
        max_length=60,
        help_text=gettext_lazy("Its part of the address that the provider leads back to."),
    )
    field_order = ("name", "kind", "slug")


class ChangedConnectionForm(ConnectionForm):
    def prepare(self) -> None:
        for name in self.fields.keys() - {"secret", "domains"}:
            self.initial.setdefault(name, getattr(self.subject, name))
        self.initial.setdefault("domains", "\n".join(self.subject.domains))


class MappingForm(ActForm):
    group = forms.CharField(max_length=300, help_text=gettext_lazy("As the provider writes it."))
    team = forms.ModelChoiceField(Team.objects.filter(disabled_at=None).order_by("name"))
    role = forms.ChoiceField(help_text=gettext_lazy("A built-in one, or one of the team's own."))

    def prepare(self) -> None:
        self.fields["role"].choices = any_team_role_choices()  # type: ignore[attr-defined]


def _add(nothing: None, actor: User, values: dict[str, Any]) -> SignOnConnection:
    slug, kind = values.pop("slug"), SignOnKind(values.pop("kind"))
    return add_connection(slug, kind=kind, actor=acting(actor), **values)


def _change(connection: SignOnConnection, actor: User, values: dict[str, Any]) -> None:
    secret = values.pop("secret")
    change_connection(connection, actor=acting(actor), secret=secret or None, **values)


def _map(connection: SignOnConnection, actor: User, values: dict[str, Any]) -> None:
    map_group(
        connection,
        group=values["group"],
        team=values["team"],
        role=read_team_role(values["team"], values["role"]),
        actor=acting(actor),
    )


def _unmap(mapping: SignOnMapping, actor: User, values: dict[str, Any]) -> None:
    unmap_group(mapping, actor=acting(actor))


def _encrypt(connection: SignOnConnection, actor: User, values: dict[str, Any]) -> None:
    replace_encryption_key(connection, actor=acting(actor))


def _encrypt_no_more(connection: SignOnConnection, actor: User, values: dict[str, Any]) -> None:
    remove_encryption_key(connection, actor=acting(actor))


def _saml_facts(found: SignOnConnection) -> list[tuple[str, Cell]]:
    """What the provider's administrators need; of OpenID Connect there is nothing of the kind."""
    if found.kind != SignOnKind.SAML:
        return []
    home = f"{settings.LATCHKEY_BASE_URL}{reverse('sign-on-metadata', args=[found.slug])}"
    has_key = bool(found.encryption_certificate)
    return [
        (_("Metadata"), link(home, home)),
        (
            _("Key for encrypted assertions"),
            pill(_("has one"), "ok") if has_key else pill(_("none")),
        ),
        (_("Its certificate"), text(found.encryption_certificate)),
    ]


def _leads_back_to(found: SignOnConnection) -> str:
    """What the provider has to be told of the portal; for SAML its entity id is the same without the last part."""
    route = "sign-on-saml" if found.kind == SignOnKind.SAML else "sign-on-callback"
    return f"{settings.LATCHKEY_BASE_URL}{reverse(route, args=[found.slug])}"


@admin.register(SignOnConnection)
class ConnectionAdmin(PortalAdmin):
    """Identity providers. A secret goes in and never comes out."""

    list_display = ("name", "issuer", "state", "created")
    search_fields = ("name", "issuer")
    search_help_text = gettext_lazy("Name or issuer")
    ordering = ("name",)
    add_act = Act(
        "add",
        gettext_lazy("Add connection"),
        _add,
        gettext_lazy("The connection is added."),
        NewConnectionForm,
    )
    acts = (
        Act(
            "change",
            gettext_lazy("Change"),
            _change,
            gettext_lazy("The connection is changed."),
            ChangedConnectionForm,
        ),
        Act(
            "map-group",
            gettext_lazy("Map a group"),
            _map,
            gettext_lazy("It counts from the next sign-in of each person."),
            MappingForm,
        ),
        Act(
            "new-encryption-key",
            gettext_lazy("Make a key for encrypted assertions"),
            _encrypt,
            gettext_lazy("The key is made. Its certificate stands in the metadata."),
            shows=lambda found: found.kind == SignOnKind.SAML,
            warning=gettext_lazy(
                "The provider may encrypt assertions then. If it does so already, nobody signs in through it until it has the new metadata."
            ),
        ),
        Act(
            "remove-encryption-key",
            gettext_lazy("Remove the key for encrypted assertions"),
            _encrypt_no_more,
            gettext_lazy("The key is removed: encrypted assertions are refused."),
            shows=lambda found: bool(found.encryption_certificate),
            warning=gettext_lazy("Let the provider stop encrypting first."),
            is_danger=True,
        ),
    )

    @display(description=gettext_lazy("state"))
    def state(self, found: SignOnConnection) -> SafeString:
        if not found.is_enabled:
            return pill(_("off"))
        return pill(_("enforced"), "ok") if found.is_enforced else pill(_("on"), "ok")

    @display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, found: SignOnConnection) -> Cell:
        return moment(found.created_at)

    def facts(self, found: SignOnConnection) -> list[tuple[str, Cell]]:
        return [
            (_("Name"), found.name),
            (_("Kind"), found.get_kind_display()),
            (_("Issuer"), code(found.issuer)),
            (_("Leads back to"), code(_leads_back_to(found))),
            *_saml_facts(found),
            (_("Client id"), code(found.client_id)),
            (_("Secret"), pill(_("has one"), "ok") if found.sealed_secret else pill(_("none"))),
            (_("Domains"), ", ".join(found.domains)),
            (_("Claim of groups"), found.group_claim),
            (_("State"), self.state(found)),
            (_("Since"), moment(found.created_at)),
        ]

    def tables(self, found: SignOnConnection) -> list[Table]:
        mappings = found.mappings.select_related("team", "custom_role").order_by("group")
        return [
            Table(
                _("Groups"),
                [_("Group"), _("Team"), _("Role")],
                [
                    [link_to(one, one.group), link_to(one.team), one.role_name]
                    for one in mappings[:SHOWN_MAX]
                ],
                empty=_("No group brings anybody into a team yet."),
            )
        ]


@admin.register(SignOnMapping)
class MappingAdmin(PortalAdmin):
    """What groups at a provider mean here."""

    list_display = ("group", "connection", "team", "role_shown")
    list_select_related = ("connection", "team", "custom_role")
    search_fields = ("group",)
    search_help_text = gettext_lazy("Group")
    ordering = ("group",)
    acts = (
        Act(
            "remove",
            gettext_lazy("Remove"),
            _unmap,
            gettext_lazy("The group means nothing here any more."),
            warning=gettext_lazy("Whom it brought into the team leaves it at their next sign-in."),
            is_danger=True,
        ),
    )

    @display(description=gettext_lazy("role"), ordering="role")
    def role_shown(self, found: SignOnMapping) -> str:
        return found.role_name

    def facts(self, found: SignOnMapping) -> list[tuple[str, Cell]]:
        return [
            (_("Group"), found.group),
            (_("Connection"), link_to(found.connection)),
            (_("Team"), link_to(found.team)),
            (_("Role"), found.role_name),
        ]

    def trail_of(self, found: SignOnMapping) -> str | None:
        return str(found.connection_id)
