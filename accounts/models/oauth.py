"""The OAuth library's models, swapped for ours in the first migration, and what our authorization server keeps besides them.

A client is a team's, as a key is. Whatever is issued for a person is issued for one team of theirs.
"""

import uuid
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from oauth2_provider import models as library

from accounts.models.disabling import Disabled, disabled_by_team_only_while_disabled
from accounts.models.keys import Scope
from accounts.models.teams import ServiceAccount, Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

# RFC 8252, section 8.3: the addresses, never the name `localhost`, which may be resolved to somewhere else.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1"})
# What a client's stored secret begins with; accounts/oauth/secrets.py hashes it.
HASHED_SECRET = "latchkey_hmac$"  # noqa: S105 - the name of the hash.


class OAuthApplication(library.AbstractApplication, Disabled):
    """A client of a team: an application that gets tokens for a service account or for people.

    credential_id: what the ledger and the change log name it by; `client_id` is the same as text.
    service_account: whom it calls for by itself, where it uses client credentials; None where people authorize it.
    scopes: what its tokens can hold at most.
    jwks: the public keys that it proves itself by, instead of a secret.
    """

    credential_id = models.UUIDField(unique=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="+")
    service_account = models.ForeignKey(
        ServiceAccount, models.CASCADE, related_name="+", null=True, blank=True
    )
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), size=20)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    jwks = models.JSONField(default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=500, blank=True, editable=False)
    created_by = models.UUIDField(null=True, editable=False)

    class Meta(library.AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"
        verbose_name = "OAuth client"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    authorization_grant_type="client-credentials", service_account__isnull=False
                )
                | ~models.Q(authorization_grant_type="client-credentials")
                & models.Q(service_account__isnull=True),
                name="oauth_client_calls_for_one_subject",
            ),
            models.CheckConstraint(
                condition=models.Q(disabled_at__isnull=True, disabled_reason="")
                | models.Q(disabled_at__isnull=False) & ~models.Q(disabled_reason=""),
                name="oauth_client_disabled_with_reason",
            ),
            disabled_by_team_only_while_disabled("oauth_client_disabled_by_team"),
            # Hashed by us before it comes here: no secret can be written as it is.
            models.CheckConstraint(
                condition=models.Q(client_secret="")
                | models.Q(client_secret__startswith=HASHED_SECRET),
                name="oauth_client_secret_hashed",
            ),
        ]

    @property
    def is_public(self) -> bool:
        """Whether it runs where no secret can be kept."""
        return bool(self.client_type == self.CLIENT_PUBLIC)

    @property
    def is_over(self) -> bool:
        """Whether its own end has come."""
        return self.expires_at is not None and self.expires_at <= utc_now()

    def is_usable(self, request: object = None) -> bool:
        """Whether it may be issued tokens, and tokens of it be used, now."""
        account = self.service_account
        return (
            self.disabled_at is None
            and not self.is_over
            and self.team.disabled_at is None
            and (account is None or account.disabled_at is None)
        )

    def get_allowed_schemes(self) -> list[str]:
        """A program on the person's own machine may be answered there without TLS (RFC 8252); nobody else."""
        return ["https", "http"] if self.is_public else ["https"]

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Exactly one of those registered; of a loopback address the port may differ (RFC 8252, section 7.3)."""
        return is_safe_redirect(uri) and bool(super().redirect_uri_allowed(uri))


def is_safe_redirect(uri: str) -> bool:
    """Whether a code may be sent there: over TLS, or to this very machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    if "*" in uri or "#" in uri or not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)


class OAuthGrant(library.AbstractGrant):
    """An authorization code, stored under a digest.

    family: of the tokens that it is exchanged for; whoever shows the code a second time ends them all.
    """

    team = models.ForeignKey(Team, models.CASCADE, related_name="+")
    family = models.UUIDField(default=uuid.uuid4)
    used_at = models.DateTimeField(null=True)

    class Meta(library.AbstractGrant.Meta):
        swappable = "OAUTH2_PROVIDER_GRANT_MODEL"
        verbose_name = "OAuth authorization code"


class OAuthAccessToken(library.AbstractAccessToken):
    """An access token: its digest, and what it was issued for. Deleting the row is what revokes it."""

    jti = models.UUIDField(unique=True, default=uuid.uuid4)
    team = models.ForeignKey(Team, models.CASCADE, related_name="+")

    class Meta(library.AbstractAccessToken.Meta):
        swappable = "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL"
        verbose_name = "OAuth access token"


class OAuthRefreshToken(library.AbstractRefreshToken):
    """A refresh token: its digest, and what was granted, however much less of it was asked for since."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="+")
    scope = models.TextField()

    class Meta(library.AbstractRefreshToken.Meta):
        swappable = "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL"
        verbose_name = "OAuth refresh token"


class OAuthIdToken(library.AbstractIDToken):
    class Meta(library.AbstractIDToken.Meta):
        swappable = "OAUTH2_PROVIDER_ID_TOKEN_MODEL"
        verbose_name = "OAuth ID token"


class OAuthDeviceGrant(library.AbstractDeviceGrant):
    """A device's wait for a person who authorizes it in one of their teams. Its code is stored under a digest."""

    team = models.ForeignKey(Team, models.CASCADE, related_name="+", null=True)
    asked_at = models.DateTimeField(null=True)

    class Meta(library.AbstractDeviceGrant.Meta):
        swappable = "OAUTH2_PROVIDER_DEVICE_GRANT_MODEL"
        verbose_name = "OAuth device grant"


class SigningKey(models.Model):
    """A key that signs access tokens (ES256): the one that began last signs. Its id is the `kid` of its tokens."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    public = models.JSONField()
    sealed_private = models.BinaryField()
    signs_from = models.DateTimeField()
    created_at = models.DateTimeField(default=utc_now, editable=False)

    def __str__(self) -> str:
        return str(self.pk)


class EndedToken(models.Model):
    """An access token that was ended before its time. The database writes it where the token's row goes, whoever deletes it."""

    id = models.UUIDField(primary_key=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.pk)


class SpentAssertion(models.Model):
    """A client's signed assertion that was accepted once and is never accepted again (RFC 7523, section 3)."""

    digest = models.BinaryField(primary_key=True, max_length=32)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return bytes(self.digest).hex()
