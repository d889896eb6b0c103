"""People, teams, keys, the audit trail and mail in the admin."""

from accounts.admin import (
    audit,
    invitations,
    issuers,
    keys,
    leaks,
    mail,
    memberships,
    oauth_clients,
    people,
    proposals,
    roles,
    service_accounts,
    sign_on,
    teams,
    trust_rules,
    webhooks,
)

__all__ = [
    "audit",
    "invitations",
    "issuers",
    "keys",
    "leaks",
    "mail",
    "memberships",
    "oauth_clients",
    "people",
    "proposals",
    "roles",
    "service_accounts",
    "sign_on",
    "teams",
    "trust_rules",
    "webhooks",
]
