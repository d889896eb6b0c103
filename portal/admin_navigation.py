"""The admin's side bar."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

# The pages that are of no table.
EXPLAIN, REVOKE_KEYS = "explain", "revoke-keys"
# Each group with its items: title, symbol, and the name of the part of the admin.
_GROUPS: "list[tuple[str | Promise, list[tuple[str | Promise, str, str]]]]" = [
    (
        gettext_lazy("Approvals"),
        [
            (gettext_lazy("Access requests"), "approval", "models_registry_accessrequest"),
            (gettext_lazy("Approval policies"), "rule_settings", "models_registry_approvalpolicy"),
            (gettext_lazy("Proposals"), "group_add", "accounts_proposal"),
        ],
    ),
    (
        gettext_lazy("Registry"),
        [
            (gettext_lazy("Models"), "neurology", "models_registry_aimodel"),
            (gettext_lazy("Providers"), "dns", "models_registry_provider"),
            (gettext_lazy("Grants"), "handshake", "models_registry_grant"),
            (gettext_lazy("Limits"), "speed", "models_registry_limit"),
        ],
    ),
    (
        gettext_lazy("People and teams"),
        [
            (gettext_lazy("People"), "person", "accounts_user"),
            (gettext_lazy("Teams"), "groups", "accounts_team"),
            (gettext_lazy("Memberships"), "badge", "accounts_membership"),
            (gettext_lazy("Service accounts"), "smart_toy", "accounts_serviceaccount"),
            (gettext_lazy("Invitations"), "drafts", "accounts_invitation"),
            (gettext_lazy("Single sign-on"), "passkey", "accounts_signonconnection"),
            (gettext_lazy("Groups of single sign-on"), "rule", "accounts_signonmapping"),
            (gettext_lazy("Roles"), "shield_person", "accounts_customrole"),
        ],
    ),
    (
        gettext_lazy("Ways in"),
        [
            (gettext_lazy("API keys"), "key", "accounts_apikey"),
            (gettext_lazy("Revoke keys"), "key_off", REVOKE_KEYS),
            (gettext_lazy("Leaked keys"), "leak_add", "accounts_leak"),
            (gettext_lazy("Decoy keys"), "phishing", "accounts_decoykey"),
            (gettext_lazy("OAuth clients"), "apps", "accounts_oauthapplication"),
            (gettext_lazy("Trusted issuers"), "verified_user", "accounts_trustedissuer"),
            (gettext_lazy("Trust rules"), "rule", "accounts_trustrule"),
            (gettext_lazy("Explain"), "help", EXPLAIN),
        ],
    ),
    (
        gettext_lazy("Ledger"),
        [
            (gettext_lazy("Calls"), "receipt_long", "proxy_call"),
            (gettext_lazy("Usage by hour"), "bar_chart", "proxy_usagehour"),
            (gettext_lazy("Usage by day"), "calendar_month", "proxy_usageday"),
        ],
    ),
    (gettext_lazy("Audit"), [(gettext_lazy("Audit trail"), "policy", "accounts_auditentry")]),
    (
        gettext_lazy("Mail"),
        [
            (gettext_lazy("Notifications"), "outgoing_mail", "accounts_notification"),
            (gettext_lazy("Deliveries of webhooks"), "webhook", "accounts_webhookdelivery"),
            (gettext_lazy("Mail of the demonstration"), "inbox", "accounts_caughtmail"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of what the person may see; the theme leaves out a group without any."""
    home = {"title": _("Home"), "icon": "home", "link": reverse_lazy("admin:index")}
    # The theme takes every address for one below the portal's home, and would mark it as where one is.
    portal = {
        "title": _("To the portal"),
        "icon": "arrow_back",
        "link": reverse_lazy("home"),
        "active": False,
    }
    groups: list[dict[str, Any]] = [{"title": None, "items": [home, portal]}]
    for title, items in _GROUPS:
        seen = [_item(*item) for item in items if _may_see(request, item[2])]
        if seen:
            groups.append({"title": title, "items": seen})
    return groups


def _item(title: "str | Promise", symbol: str, name: str) -> dict[str, Any]:
    route = f"admin:{name}" if name in {EXPLAIN, REVOKE_KEYS} else f"admin:{name}_changelist"
    return {"title": title, "icon": symbol, "link": reverse_lazy(route)}


def _may_see(request: HttpRequest, name: str) -> bool:
    """Ask the part of the admin itself, so that the side bar shows no door that is locked."""
    from django.contrib import admin  # noqa: PLC0415 - the site is made from this module's settings.

    from accounts.admin.base import may_in_admin  # noqa: PLC0415 - as above.
    from accounts.roles import PortalRight  # noqa: PLC0415 - as above.
    from portal.admin_explain import may_explain  # noqa: PLC0415 - as above.

    if name == EXPLAIN:
        return may_explain(request)
    if name == REVOKE_KEYS:
        return may_in_admin(request, PortalRight.REVOKE_KEYS)
    for model, part in admin.site._registry.items():  # noqa: SLF001 - there is no other way to it by name.
        if f"{model._meta.app_label}_{model._meta.model_name}" == name:  # noqa: SLF001 - Django's own name for it.
            return part.has_view_permission(request)
    return False
