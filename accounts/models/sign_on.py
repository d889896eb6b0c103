"""Single sign-on: where people of a domain prove who they are, and what their groups there mean here."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from accounts.models.roles import CustomRole
from accounts.models.teams import Membership, Role, Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

DOMAINS_MAX = 50
domain_name = RegexValidator(
    r"^(?=.{4,253}$)([a-z0-9](-?[a-z0-9])*\.)+[a-z]{2,}$",
    "A domain is written in lower case, such as corp.example.",
)


class SignOnKind(models.TextChoices):
    """The protocol that a connection speaks."""

    OIDC = "oidc", "OpenID Connect"
    SAML = "saml", "SAML 2.0"


class SignOnConnection(models.Model):
    """An identity provider. Its secret and its key are sealed, bound to this row, and never shown again.

    issuer: OpenID Connect's issuer, which is compared letter by letter, or the entity id of SAML.
    client_id: what the provider knows the portal as; OpenID Connect alone.
    sso_url, certificate: where SAML begins, and what its assertions are signed with.
    encryption_certificate, sealed_encryption_key: what a SAML provider encrypts assertions for us with, and what opens them.
    domains: whose addresses the provider may speak for; each belongs to one connection.
    group_claim: the claim or attribute that names a person's groups.
    is_enforced: whether people of these domains sign in through it alone.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=60)
    slug = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=10, choices=SignOnKind.choices)
    issuer = models.CharField(max_length=500)
    client_id = models.CharField(max_length=300, blank=True)
    sealed_secret = models.BinaryField(null=True, editable=False)
    sso_url = models.URLField(max_length=500, blank=True)
    certificate = models.TextField(max_length=10_000, blank=True)
    encryption_certificate = models.TextField(max_length=10_000, blank=True, editable=False)
    sealed_encryption_key = models.BinaryField(null=True, editable=False)
    domains = ArrayField(
        models.CharField(max_length=253, validators=[domain_name]), size=DOMAINS_MAX
    )
    group_claim = models.CharField(max_length=200, blank=True)
    is_enforced = models.BooleanField(default=False)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        verbose_name = "sign-on connection"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(encryption_certificate="", sealed_encryption_key__isnull=True)
                | ~models.Q(encryption_certificate="")
                & models.Q(sealed_encryption_key__isnull=False),
                name="sign_on_encryption_key_with_certificate",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class SignOnIdentity(models.Model):
    """Who a person is at a provider. The provider's own name for them decides, never an address that may pass on."""

    connection = models.ForeignKey(SignOnConnection, models.CASCADE, related_name="identities")
    subject = models.CharField(max_length=500)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="sign_on_identities"
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        verbose_name_plural = "sign-on identities"
        constraints = [
            models.UniqueConstraint(fields=["connection", "subject"], name="sign_on_subject_once"),
            models.UniqueConstraint(fields=["connection", "person"], name="sign_on_person_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} at {self.connection_id}"


class SignOnMapping(models.Model):
    """Whoever is in the group at the provider is in the team here, in this role.

    role: empty where a custom role of the team stands in its place.
    """

    connection = models.ForeignKey(SignOnConnection, models.CASCADE, related_name="mappings")
    group = models.CharField(max_length=300)
    team = models.ForeignKey(Team, models.CASCADE, related_name="sign_on_mappings")
    role = models.CharField(max_length=10, blank=True, choices=Role.choices)
    custom_role = models.ForeignKey(
        CustomRole, models.RESTRICT, related_name="sign_on_mappings", null=True, blank=True
    )

    class Meta:
        verbose_name = "sign-on mapping"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values, custom_role__isnull=True)
                | models.Q(role="", custom_role__isnull=False),
                name="sign_on_mapping_of_one_role",
            ),
            models.UniqueConstraint(
                fields=["connection", "group", "team"], name="sign_on_mapping_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} → {self.team_id}"

    @property
    def role_name(self) -> str:
        """The role as people read it."""
        return self.get_role_display() if self.custom_role is None else self.custom_role.name


class SignOnMembership(models.Model):
    """A membership that a connection gave, and may therefore take."""

    membership = models.OneToOneField(
        Membership, models.CASCADE, primary_key=True, related_name="sign_on"
    )
    connection = models.ForeignKey(SignOnConnection, models.CASCADE, related_name="memberships")

    def __str__(self) -> str:
        return f"{self.membership_id} of {self.connection_id}"
