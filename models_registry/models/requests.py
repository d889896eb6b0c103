"""Access that was asked for: who wants which models for what, what was said about it, and what was decided."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models import ServiceAccount, Team
from accounts.models.keys import CALL_SCOPE_CHOICES
from models_registry.models.catalogue import AiModel, DataClass
from models_registry.models.grants import Grant
from models_registry.models.limits import AMOUNT_MAX
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

JUSTIFICATION_MAX = 2000
COMMENT_MAX = 2000
REASON_MAX = 500


class RequestStatus(models.TextChoices):
    """A request's life. Every status but open is its end."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class AccessRequest(models.Model):
    """A team asks for models. What was asked stays as it was; what was granted stands in the grants.

    service_account: where the grant is to be one application's and not the whole team's.
    wanted_until: the end that was asked for.
    data_class: the most sensitive data that is to be sent; empty for requests from before it was asked.
    requests_per_minute, tokens_per_minute: the limits that were asked for; None asks for none of its own.
    budget_micro_usd: of the team's calls of each of the models, in a calendar month of UTC; None asks for none of its own.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    team = models.ForeignKey(Team, models.CASCADE, related_name="access_requests")
    service_account = models.ForeignKey(
        ServiceAccount, models.CASCADE, related_name="access_requests", null=True, blank=True
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="access_requests", null=True
    )
    scopes = ArrayField(models.CharField(max_length=20, choices=CALL_SCOPE_CHOICES), size=20)
    justification = models.TextField(max_length=JUSTIFICATION_MAX)
    data_class = models.CharField(max_length=12, choices=DataClass.choices, blank=True)
    wanted_until = models.DateTimeField()
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    budget_micro_usd = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(AMOUNT_MAX)]
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    status = models.CharField(
        max_length=10, choices=RequestStatus.choices, default=RequestStatus.OPEN, editable=False
    )
    decided_at = models.DateTimeField(null=True, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, editable=False
    )
    decision_reason = models.CharField(max_length=REASON_MAX, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["status", "id"], name="request_by_status"),
            models.Index(fields=["team", "id"], name="request_by_team"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status=RequestStatus.OPEN, decided_at__isnull=True)
                | ~models.Q(status=RequestStatus.OPEN) & models.Q(decided_at__isnull=False),
                name="request_decided_with_time",
            ),
        ]

    def __str__(self) -> str:
        return f"Request of {self.created_at:%Y-%m-%d %H:%M}"


class RequestedModel(models.Model):
    """One model of a request, and the grant that came of it.

    team, is_open: the request's own, repeated so that the database refuses a second open request for the same model.
    """

    request = models.ForeignKey(AccessRequest, models.CASCADE, related_name="requested_models")
    team = models.ForeignKey(Team, models.CASCADE, related_name="+")
    model = models.ForeignKey(AiModel, models.CASCADE, related_name="requested_models")
    is_open = models.BooleanField(default=True)
    grant = models.OneToOneField(
        Grant, models.SET_NULL, related_name="requested_model", null=True, blank=True
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "model"], name="requested_model_once"),
            models.UniqueConstraint(
                fields=["team", "model"],
                condition=models.Q(is_open=True),
                name="one_open_request_per_team_and_model",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} in {self.request_id}"


class RequestComment(models.Model):
    """What somebody said about a request, to whoever may see it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(AccessRequest, models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True
    )
    at = models.DateTimeField(default=utc_now, editable=False)
    text = models.TextField(max_length=COMMENT_MAX)

    def __str__(self) -> str:
        return f"Comment of {self.at:%Y-%m-%d %H:%M}"
