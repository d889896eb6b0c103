"""Webhooks of teams, and their outbox: what is to be delivered, written in the transaction of what it tells of."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models.notifications import NotificationKind, notification_kinds
from accounts.models.teams import Team
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

# What a team as a whole is told; everything else is somebody's own.
WEBHOOK_KINDS = (
    NotificationKind.KEY_ENDING,
    NotificationKind.KEY_LEAKED,
    NotificationKind.GRANT_ENDING,
    NotificationKind.LIMIT_ALERT,
    NotificationKind.REQUEST_DECIDED,
)


class WebhookFormat(models.TextChoices):
    """What a webhook's receiver reads: our own signed form, or that of a chat's incoming webhook."""

    SIGNED = "signed"
    SLACK = "slack"
    TEAMS = "teams"


class Webhook(models.Model):
    """A URL of a team's that hears of some kinds.

    sealed_url: whole, since a chat's URL is a secret by itself; host is what may be shown of it.
    sealed_secret: what deliveries are signed with; None where the format has no signature.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=100)
    format = models.CharField(max_length=10, choices=WebhookFormat.choices)
    kinds = ArrayField(models.CharField(max_length=30, choices=notification_kinds), size=20)
    host = models.CharField(max_length=255, editable=False)
    sealed_url = models.BinaryField(editable=False)
    sealed_secret = models.BinaryField(null=True, editable=False)
    created_at = models.DateTimeField(default=utc_now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, editable=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="webhook_name_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} at {self.host}"


class DeliveryState(models.TextChoices):
    """Where a delivery stands. A dead one is delivered again by somebody's decision alone."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


class WebhookDelivery(models.Model):
    """One thing told to one webhook. It may arrive twice, under the same id.

    payload: what is sent, in our own form; ids and plain values, never a secret.
    once: a name that no second delivery may bear.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    kind = models.CharField(max_length=30, choices=notification_kinds)
    payload = models.JSONField()
    once = models.CharField(max_length=200, unique=True, null=True)  # noqa: DJ001
    created_at = models.DateTimeField(default=utc_now, editable=False)
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.WAITING
    )
    tries = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(default=utc_now)
    delivered_at = models.DateTimeField(null=True)
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(state="waiting"),
                name="delivery_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.created_at:%Y-%m-%d %H:%M}"
