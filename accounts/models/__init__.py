from accounts.models.audit import AuditEntry
from accounts.models.changes import Change
from accounts.models.decoys import DecoyKey, DecoyUse
from accounts.models.idempotency import IdempotentReply
from accounts.models.invitations import Invitation
from accounts.models.keys import ApiKey, HandOver, IdleKey, KeyUse, PreviousSecretUse
from accounts.models.leaks import Leak, ReporterKey
from accounts.models.notifications import CaughtMail, Notification, NotificationChoice
from accounts.models.oauth import (
    EndedToken,
    OAuthAccessToken,
    OAuthApplication,
    OAuthDeviceGrant,
    OAuthGrant,
    OAuthIdToken,
    OAuthRefreshToken,
    SigningKey,
    SpentAssertion,
)
from accounts.models.people import User
from accounts.models.proposals import Proposal
from accounts.models.roles import CustomRole, PortalAssignment
from accounts.models.sign_on import (
    SignOnConnection,
    SignOnIdentity,
    SignOnMapping,
    SignOnMembership,
)
from accounts.models.teams import Membership, ServiceAccount, Team
from accounts.models.webhooks import Webhook, WebhookDelivery
from accounts.models.workload import IssuerFetch, TrustedIssuer, TrustRule

__all__ = [
    "ApiKey",
    "AuditEntry",
    "CaughtMail",
    "Change",
    "CustomRole",
    "DecoyKey",
    "DecoyUse",
    "EndedToken",
    "HandOver",
    "IdempotentReply",
    "IdleKey",
    "Invitation",
    "IssuerFetch",
    "KeyUse",
    "Leak",
    "Membership",
    "Notification",
    "NotificationChoice",
    "OAuthAccessToken",
    "OAuthApplication",
    "OAuthDeviceGrant",
    "OAuthGrant",
    "OAuthIdToken",
    "OAuthRefreshToken",
    "PortalAssignment",
    "PreviousSecretUse",
    "Proposal",
    "ReporterKey",
    "ServiceAccount",
    "SignOnConnection",
    "SignOnIdentity",
    "SignOnMapping",
    "SignOnMembership",
    "SigningKey",
    "SpentAssertion",
    "Team",
    "TrustRule",
    "TrustedIssuer",
    "User",
    "Webhook",
    "WebhookDelivery",
]
