from accounts.models.audit import AuditEntry
from accounts.models.changes import Change
from accounts.models.keys import ApiKey, KeyUse
from accounts.models.oauth import (
    OAuthAccessToken,
    OAuthApplication,
    OAuthDeviceGrant,
    OAuthGrant,
    OAuthIdToken,
    OAuthRefreshToken,
)
from accounts.models.people import User
from accounts.models.teams import Membership, ServiceAccount, Team

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Change",
    "KeyUse",
    "Membership",
    "OAuthAccessToken",
    "OAuthApplication",
    "OAuthDeviceGrant",
    "OAuthGrant",
    "OAuthIdToken",
    "OAuthRefreshToken",
    "ServiceAccount",
    "Team",
    "User",
]
