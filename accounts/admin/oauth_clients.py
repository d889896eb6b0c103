from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.acts import Act, ReasonForm
from accounts.admin.base import PortalAdmin
from accounts.admin.cells import NOTHING, Cell, code, link_to, moment, pill
from accounts.admin.lists import ChoiceFilter, RelatedFilter
from accounts.admin.teams import DisabledFilter, disabled_facts
from accounts.audit import acting
from accounts.models import KeyUse, OAuthApplication, User
from accounts.roles import PortalRight
from accounts.writes.oauth_clients import (
    ClientGrant,
    disable_client,
    enable_client,
    remove_client,
)


class GrantFilter(ChoiceFilter):
    title = gettext_lazy("how it gets tokens")
    parameter_name = "grant"
    field_path = "authorization_grant_type"

    def choices_for(self, request: HttpRequest) -> list[tuple[str, str]]:
        return list(ClientGrant.choices)


def _disable(client: OAuthApplication, actor: User, values: dict[str, Any]) -> None:
    disable_client(client, actor=acting(actor), reason=values["reason"])


def _enable(client: OAuthApplication, actor: User, values: dict[str, Any]) -> None:
    enable_client(client, actor=acting(actor), by_administrator=True)


def _remove(client: OAuthApplication, actor: User, values: dict[str, Any]) -> None:
    remove_client(client, actor=acting(actor))


@admin.register(OAuthApplication)
class OAuthClientAdmin(PortalAdmin):
    """OAuth clients of every team. One is registered in the portal, where its secret is shown once."""

    sees = PortalRight.SEE_PEOPLE
    right = PortalRight.MANAGE_TEAMS
    list_display = ("name", "team", "grant", "may", "state", "used")
    list_filter = (DisabledFilter, GrantFilter, ("team", RelatedFilter))
    list_select_related = ("team",)
    search_fields = ("name", "client_id", "team__name", "service_account__name")
    search_help_text = gettext_lazy("Name, client id, team or service account")
    ordering = ("-id",)
    acts = (
        Act(
            "disable",
            gettext_lazy("Disable"),
            _disable,
            gettext_lazy("The client is disabled, and its tokens have ended."),
            ReasonForm,
            shows=lambda client: not client.is_held_by_administrator,
            warning=gettext_lazy(
                "It gets no more tokens, and those it has are refused within a second."
            ),
            is_danger=True,
            is_bulk=True,
            right=PortalRight.REVOKE_KEYS,
        ),
        Act(
            "enable",
            gettext_lazy("Enable"),
            _enable,
            gettext_lazy("The client may get tokens again."),
            shows=lambda client: client.disabled_at is not None,
        ),
        Act(
            "remove",
            gettext_lazy("Remove"),
            _remove,
            gettext_lazy("The client is removed, and its tokens have ended."),
            warning=gettext_lazy(
                "The client and all its tokens are deleted for good. Its calls stay in the ledger."
            ),
            is_danger=True,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With when and from where each was last used, which gateways note as they do for keys."""
        rows: QuerySet[Any] = super().get_queryset(request)
        use = KeyUse.objects.filter(key_id=OuterRef("credential_id"))
        used: QuerySet[Any] = rows.annotate(
            last_used_at=Subquery(use.values("last_used_at")[:1]),
            last_peer=Subquery(use.values("last_peer")[:1]),
        )
        return used

    def trail_of(self, found: OAuthApplication) -> str:
        return str(found.credential_id)

    @display(description=gettext_lazy("gets tokens"), ordering="authorization_grant_type")
    def grant(self, client: OAuthApplication) -> str:
        return str(ClientGrant(client.authorization_grant_type).label)

    @display(description=gettext_lazy("scopes"))
    def may(self, client: OAuthApplication) -> str:
        return ", ".join(client.scopes)

    @display(description=gettext_lazy("state"), ordering="disabled_at")
    def state(self, client: OAuthApplication) -> SafeString:
        if client.disabled_at is not None:
            return pill(_("disabled"), "bad")
        return pill(_("ended")) if client.is_over else pill(_("active"), "ok")

    @display(description=gettext_lazy("last used"), ordering="last_used_at")
    def used(self, client: Any) -> Cell:
        return moment(client.last_used_at)

    def facts(self, found: Any) -> list[tuple[str, Cell]]:
        maker = User.objects.filter(pk=found.created_by).first() if found.created_by else None
        return [
            (_("Name"), found.name),
            (_("Client id"), code(found.client_id)),
            (_("Team"), link_to(found.team)),
            (_("Gets tokens"), self.grant(found)),
            (_("Calls for"), link_to(found.service_account)),
            (_("Proves itself by"), _proof_of(found)),
            (_("Scopes"), ", ".join(found.scopes)),
            (_("Redirect URIs"), ", ".join(found.redirect_uris.split()) or NOTHING),
            (_("Networks"), ", ".join(found.networks) or _("Any")),
            (_("State"), self.state(found)),
            *disabled_facts(found),
            (_("Reason"), found.disabled_reason or NOTHING),
            (_("Ends"), moment(found.expires_at)),
            (_("Last used"), self.used(found)),
            (_("From"), found.last_peer or NOTHING),
            (_("Registered"), moment(found.created)),
            (_("Registered by"), link_to(maker)),
        ]


def _proof_of(client: OAuthApplication) -> str:
    if client.jwks:
        return _("its own key")
    return _("nothing") if client.is_public else _("a secret")
