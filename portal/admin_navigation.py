"""The admin's side bar."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

# Each group with its items: title, symbol, and the name of the part of the admin.
_GROUPS: list[tuple[str, list[tuple[str, str, str]]]] = [
    ("Approvals", [("Access requests", "approval", "models_registry_accessrequest")]),
    (
        "Registry",
        [
            ("Models", "neurology", "models_registry_aimodel"),
            ("Providers", "dns", "models_registry_provider"),
            ("Grants", "handshake", "models_registry_grant"),
            ("Limits", "speed", "models_registry_limit"),
        ],
    ),
    (
        "People and teams",
        [
            ("People", "person", "accounts_user"),
            ("Teams", "groups", "accounts_team"),
            ("Memberships", "badge", "accounts_membership"),
            ("Service accounts", "smart_toy", "accounts_serviceaccount"),
            ("Invitations", "drafts", "accounts_invitation"),
        ],
    ),
    ("Keys", [("API keys", "key", "accounts_apikey")]),
    (
        "Ledger",
        [
            ("Calls", "receipt_long", "proxy_call"),
            ("Usage by hour", "bar_chart", "proxy_usagehour"),
        ],
    ),
    ("Audit", [("Audit trail", "policy", "accounts_auditentry")]),
    (
        "Mail",
        [
            ("Notifications", "outgoing_mail", "accounts_notification"),
            ("Mail of the demonstration", "inbox", "accounts_caughtmail"),
        ],
    ),
]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of what the person may see; the theme leaves out a group without any."""
    home = {"title": "Home", "icon": "home", "link": reverse_lazy("admin:index")}
    # The theme takes every address for one below the portal's home, and would mark it as where one is.
    portal = {
        "title": "To the portal",
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


def _item(title: str, symbol: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": symbol, "link": reverse_lazy(f"admin:{name}_changelist")}


def _may_see(request: HttpRequest, name: str) -> bool:
    """Ask the part of the admin itself, so that the side bar shows no door that is locked."""
    from django.contrib import admin  # noqa: PLC0415 - the site is made from this module's settings.

    for model, part in admin.site._registry.items():  # noqa: SLF001 - there is no other way to it by name.
        if f"{model._meta.app_label}_{model._meta.model_name}" == name:  # noqa: SLF001 - Django's own name for it.
            return part.has_view_permission(request)
    return False
