"""What a request needs before it becomes access, as the policies in force said when it was made, and who agreed."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from accounts.models import Team
from models_registry.models.policies import NEEDS_MAX, PolicyVersion, StepBy, StepFacts
from models_registry.models.requests import REASON_MAX, AccessRequest
from portal.lib.clock import utc_now
from portal.lib.ids import new_id


class RequestStep(StepFacts):
    """One step of a request. It stays what it was, whatever becomes of the policy.

    version: of the policy that asks for it; None for the portal's own single step, where no policy says anything.
    team: whose people can agree, where it is a team's: the group, the owner of the model, the team that asks.
    turn_at: when its stage's turn came. met_at: when enough people had agreed. late_at: when it was found late.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(AccessRequest, models.CASCADE, related_name="steps")
    version = models.ForeignKey(PolicyVersion, models.RESTRICT, related_name="+", null=True)
    team = models.ForeignKey(Team, models.RESTRICT, related_name="+", null=True)
    turn_at = models.DateTimeField(null=True, editable=False)
    met_at = models.DateTimeField(null=True, editable=False)
    reminded_at = models.DateTimeField(null=True, editable=False)
    late_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("stage", "id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    by__in=[StepBy.GROUP, StepBy.OWNER, StepBy.MANAGER], team__isnull=False
                )
                | models.Q(by__in=[StepBy.DECIDERS, StepBy.SECURITY], team__isnull=True),
                name="request_step_of_a_team",
            ),
            models.CheckConstraint(
                condition=models.Q(needs__gte=1, needs__lte=NEEDS_MAX), name="request_step_needs"
            ),
            models.CheckConstraint(
                condition=models.Q(met_at__isnull=True) | models.Q(turn_at__isnull=False),
                name="request_step_met_in_turn",
            ),
        ]
        indexes = [
            models.Index(
                fields=["turn_at"],
                condition=models.Q(met_at__isnull=True, turn_at__isnull=False),
                name="request_step_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.needs} of {self.by} for {self.request_id}"


class StepApproval(models.Model):
    """Somebody agreed in a step, to what stands here: never more than what was left when they did. Rows are only added.

    in_place_of: who was away, where a delegate agreed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    step = models.ForeignKey(RequestStep, models.CASCADE, related_name="approvals")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True
    )
    in_place_of = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True
    )
    at = models.DateTimeField(default=utc_now, editable=False)
    reason = models.CharField(max_length=REASON_MAX, blank=True)

    model_ids = ArrayField(models.UUIDField(), size=20)
    ends_at = models.DateTimeField()
    requests_per_minute = models.PositiveIntegerField(null=True)
    tokens_per_minute = models.PositiveIntegerField(null=True)
    budget_micro_usd = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["step", "person"], name="step_approved_once_by_each"),
            models.UniqueConstraint(
                fields=["step", "in_place_of"], name="step_approved_once_in_place_of_each"
            ),
        ]

    def __str__(self) -> str:
        return f"Approval of {self.at:%Y-%m-%d %H:%M}"
