"""Workloads that prove who they are by a token of their own platform: whose tokens are believed, and what they are worth."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models.disabling import Disabled, disabled_by_team_only_while_disabled
from accounts.models.keys import CALL_SCOPE_CHOICES
from accounts.models.teams import ServiceAccount, Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

URL_MAX = 500
SPIFFE = "spiffe://"
SUBJECT_MAX = 500
AUDIENCE_MAX = 300
TOKEN_AGE_MAX_S = 7 * 24 * 60 * 60


class KeySource(models.TextChoices):
    """How an issuer's public keys are found: its discovery document, an address of the keys, or what somebody pasted."""

    DISCOVERY = "discovery"
    JWKS_URL = "jwks_url"
    PASTED = "pasted"


class SigningAlgorithm(models.TextChoices):
    """What a foreign token may be signed with: public keys alone, as whoever holds a shared secret can sign as well."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class TrustedIssuer(models.Model):
    """Somebody whose tokens are believed, under the exact name that stands in them, or in their subjects' SPIFFE ids.

    audiences: the names of this portal of which a token has to name one. keys: the issuer's public keys, as last fetched.
    is_open_to_teams: whether managers of teams make rules for it; if not, administrators alone do.
    certificate_authority: PEM of the only authority its address is believed by; empty for those that browsers believe.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.SlugField(max_length=60, unique=True)
    issuer = models.CharField(max_length=URL_MAX, unique=True)
    key_source = models.CharField(max_length=10, choices=KeySource.choices)
    jwks_url = models.CharField(max_length=URL_MAX, blank=True)
    certificate_authority = models.TextField(max_length=20_000, blank=True)
    algorithms = ArrayField(
        models.CharField(max_length=5, choices=SigningAlgorithm.choices), size=10
    )
    audiences = ArrayField(models.CharField(max_length=AUDIENCE_MAX), size=10)
    max_token_age_s = models.PositiveIntegerField(
        default=3600, validators=[MinValueValidator(60), MaxValueValidator(TOKEN_AGE_MAX_S)]
    )
    is_open_to_teams = models.BooleanField(default=True)
    keys = models.JSONField(default=list, blank=True, editable=False)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    disabled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(key_source="jwks_url") & ~models.Q(jwks_url="")
                | ~models.Q(key_source="jwks_url") & models.Q(jwks_url=""),
                name="issuer_keys_at_an_address",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def trust_domain(self) -> str:
        """The SPIFFE trust domain that it is, such as `spiffe://corp.example`; "" where it is none."""
        return self.issuer if self.issuer.startswith(SPIFFE) else ""


class IssuerFetch(models.Model):
    """When an issuer's keys were fetched and asked for. A table of its own: writing it wakes no gateway.

    wanted_at: when a token last named a key that is not known. fault: what went wrong at the last try; "" for nothing.
    """

    issuer = models.OneToOneField(
        TrustedIssuer, models.CASCADE, primary_key=True, related_name="fetch"
    )
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField(null=True)
    fault = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.issuer_id} at {self.fetched_at}"


class TrustRule(Disabled):
    """Which tokens of an issuer stand for a service account. What it matches never changes: another match is another rule.

    subject: the token's subject, whole, or a beginning that ends in `:*` or `/*`.
    audience: the one of the issuer's audiences that the token has to name; "" for any of them.
    claims: what else the token has to say: [{"claim": name or JSON pointer, "one_of": [texts]}], all of them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="trust_rules")
    issuer = models.ForeignKey(TrustedIssuer, models.PROTECT, related_name="rules")
    service_account = models.ForeignKey(ServiceAccount, models.CASCADE, related_name="trust_rules")
    name = models.CharField(max_length=100)
    subject = models.CharField(max_length=SUBJECT_MAX)
    audience = models.CharField(max_length=AUDIENCE_MAX, blank=True)
    claims = models.JSONField(default=list, blank=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=CALL_SCOPE_CHOICES), size=20)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    created_by = models.UUIDField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="trust_rule_name_once"),
            disabled_by_team_only_while_disabled("trust_rule_disabled_by_team"),
        ]
        indexes = [models.Index(fields=["issuer", "subject"], name="trust_rule_by_subject")]

    def __str__(self) -> str:
        return self.name
