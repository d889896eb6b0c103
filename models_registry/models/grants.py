"""Who may call what: grants, and a key's narrower list."""

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models

from accounts.models import ApiKey, ServiceAccount, Team
from accounts.models.keys import CALL_SCOPE_CHOICES
from models_registry.models.catalogue import AiModel
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class Grant(models.Model):
    """A team or one of its service accounts may call a model, for these kinds of call, from start to end.

    requests_per_minute, tokens_per_minute: what all keys together may spend through this grant; None sets no limit.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="grants", null=True, blank=True)
    service_account = models.ForeignKey(
        ServiceAccount, models.CASCADE, related_name="grants", null=True, blank=True
    )
    model = models.ForeignKey(AiModel, models.CASCADE, related_name="grants")
    scopes = ArrayField(models.CharField(max_length=20, choices=CALL_SCOPE_CHOICES), size=20)
    starts_at = models.DateTimeField(default=utc_now)
    ends_at = models.DateTimeField()
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(team__isnull=False, service_account__isnull=True)
                | models.Q(team__isnull=True, service_account__isnull=False),
                name="grant_to_one",
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__gte=models.F("starts_at")),
                name="grant_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} until {self.ends_at:%Y-%m-%d}"


class KeyModel(models.Model):
    """A narrowed key's list: of the models granted, it may call those that stand here."""

    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="models")
    model = models.ForeignKey(AiModel, models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "model"], name="key_model_once")]

    def __str__(self) -> str:
        return f"{self.key_id} may call {self.model_id}"
