"""People, teams, keys, the audit trail and mail in the admin."""

from accounts.admin import (
    audit,
    invitations,
    keys,
    mail,
    memberships,
    people,
    service_accounts,
    sign_on,
    teams,
)

__all__ = [
    "audit",
    "invitations",
    "keys",
    "mail",
    "memberships",
    "people",
    "service_accounts",
    "sign_on",
    "teams",
]
