"""API keys. The row can prove a key and never yield it: it holds a peppered digest, not the secret."""

import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models

from accounts.models.teams import ServiceAccount, Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class Scope(models.TextChoices):
    """What a key can allow. Kinds of call can be granted too; the other two open the management API to a person's key.

    manage: act there as the person, within the key's team. administer: act there as the administrator the person is.
    """

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    MANAGE = "manage"
    ADMINISTER = "administer"


CALL_SCOPES = (Scope.CHAT, Scope.EMBEDDINGS)
CALL_SCOPE_CHOICES = [(scope.value, scope.label) for scope in CALL_SCOPES]


class ApiKey(models.Model):
    """One credential of one team, held by one service account or one person.

    is_narrowed: a list says which of the granted models it may call, and goes on saying so when nothing stands in it.
    rotates_after_days: at which age of its secret it is rotated by itself; None leaves that to what the house demands.
    rotated_at: when its secret was last replaced; the columns of the previous secret are filled from then on.
    disabled_at: since when it is refused because nobody used it; enabled_at: when somebody last ended that.
    previous_ends_at: until when that secret works beside the new one. Nobody has to end it: it is over to the second.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    public_id = models.CharField(max_length=16, unique=True, editable=False)
    pepper_id = models.CharField(max_length=16, editable=False)
    digest = models.BinaryField(max_length=32, editable=False)
    rotates_after_days = models.PositiveSmallIntegerField(null=True, editable=False)
    rotated_at = models.DateTimeField(null=True, editable=False)
    previous_pepper_id = models.CharField(max_length=16, blank=True, editable=False)
    previous_digest = models.BinaryField(max_length=32, null=True, editable=False)
    previous_ends_at = models.DateTimeField(null=True, editable=False)

    team = models.ForeignKey(Team, models.CASCADE, related_name="keys")
    service_account = models.ForeignKey(
        ServiceAccount, models.CASCADE, related_name="keys", null=True, blank=True
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="keys", null=True, blank=True
    )

    name = models.CharField(max_length=100)
    purpose = models.CharField(max_length=500, blank=True)
    tags = ArrayField(models.CharField(max_length=60), default=list, blank=True, size=20)
    cost_centre = models.CharField(max_length=60, blank=True)

    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), size=20)
    is_narrowed = models.BooleanField(default=False, editable=False)
    networks = ArrayField(models.CharField(max_length=50), default=list, blank=True, size=100)
    hours = models.JSONField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )

    created_at = models.DateTimeField(default=utc_now, editable=False)
    created_by = models.UUIDField(null=True, editable=False)
    expires_at = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True, editable=False)
    enabled_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.UUIDField(null=True, editable=False)
    revoked_reason = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(service_account__isnull=False, person__isnull=True)
                | models.Q(service_account__isnull=True, person__isnull=False),
                name="key_has_one_holder",
            ),
            models.CheckConstraint(
                condition=models.Q(revoked_at__isnull=True, revoked_reason="")
                | models.Q(revoked_at__isnull=False) & ~models.Q(revoked_reason=""),
                name="key_revoked_with_reason",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    rotated_at__isnull=True,
                    previous_pepper_id="",
                    previous_digest__isnull=True,
                    previous_ends_at__isnull=True,
                )
                | models.Q(
                    rotated_at__isnull=False,
                    previous_digest__isnull=False,
                    previous_ends_at__isnull=False,
                )
                & ~models.Q(previous_pepper_id=""),
                name="key_rotated_from_a_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"lk_{self.public_id}_…"

    def has_two_secrets(self, *, now: datetime.datetime) -> bool:
        """Whether the previous secret still works beside the new one."""
        return self.previous_ends_at is not None and self.previous_ends_at > now


class KeyUse(models.Model):
    """When a key was last used. A table of its own: writing it must neither wait for nor wake anything about the key."""

    key = models.OneToOneField(
        ApiKey, models.CASCADE, primary_key=True, related_name="use", db_constraint=False
    )
    last_used_at = models.DateTimeField()
    last_peer = models.CharField(max_length=45, blank=True)

    def __str__(self) -> str:
        return f"{self.key_id} at {self.last_used_at}"


class PreviousSecretUse(models.Model):
    """Calls with the secret that the rotation at `rotated_at` replaced. A table of its own, for the reason of `KeyUse`."""

    key = models.OneToOneField(
        ApiKey, models.CASCADE, primary_key=True, related_name="previous_use", db_constraint=False
    )
    rotated_at = models.DateTimeField()
    calls = models.PositiveBigIntegerField()
    last_used_at = models.DateTimeField()
    last_peer = models.CharField(max_length=45, blank=True)

    def __str__(self) -> str:
        return f"{self.calls} calls with the previous secret of {self.key_id}"


class IdleKey(models.Model):
    """A key that nobody has used for long, and what is to become of it: the rows that beat's task reads.

    idle_since: the last sign of life. A key that was used since is no longer idle.
    disables_at: when it is to be disabled. removes_at: when, once disabled, it is to be revoked for good; None for never.
    """

    key = models.OneToOneField(ApiKey, models.CASCADE, primary_key=True, related_name="idle")
    idle_since = models.DateTimeField()
    disables_at = models.DateTimeField()
    removes_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.key_id} since {self.idle_since:%Y-%m-%d}"


class HandOver(models.Model):
    """A new secret that waits, sealed, for whoever holds the old one. The row goes when it was fetched."""

    key = models.OneToOneField(ApiKey, models.CASCADE, primary_key=True, related_name="hand_over")
    sealed = models.BinaryField(editable=False)

    def __str__(self) -> str:
        return f"of {self.key_id}"
