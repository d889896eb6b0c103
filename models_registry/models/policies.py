"""Approval policies: who has to agree before a request becomes access. A version is never changed, only followed by another."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower

from accounts.models import Team
from models_registry.models.catalogue import DataClass
from models_registry.models.limits import AMOUNT_MAX
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

NAMED_MAX = 200
STEPS_MAX = 10
NEEDS_MAX = 10
# A quarter of a year.
HOURS_MAX = 2160


class StepBy(models.TextChoices):
    """Who can agree in a step.

    GROUP: a team as a group of people, each of its members who may see it. OWNER, MANAGER: whoever manages the keys of
    the team that owns the model, and of the team that asks. SECURITY: whoever has that role of the portal.
    """

    DECIDERS = "deciders", "whoever decides on requests"
    GROUP = "group", "a group"
    OWNER = "owner", "the model's owner"
    MANAGER = "manager", "the team's manager"
    SECURITY = "security", "security"


class WhenLate(models.TextChoices):
    """What becomes of a step that is not met in time: another reminder, deciders who may agree too, or a denial."""

    REMIND = "remind", "remind them again"
    ESCALATE = "escalate", "whoever decides on requests may agree too"
    DENY = "deny", "deny the request"


class ApprovalPolicy(models.Model):
    """A policy under its name. in_force: the version by which new requests are judged; None while it is switched off."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    in_force = models.OneToOneField(
        "PolicyVersion", models.PROTECT, related_name="+", null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        verbose_name_plural = "approval policies"
        constraints = [models.UniqueConstraint(Lower("name"), name="policy_name_once")]

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """What a policy says: for which requests it counts, and by its steps what they need. Without steps they need nobody.

    model_ids, data_classes, team_ids: for these alone; empty for all. Ids without foreign keys: with one that went, a
        list would be shorter, and an empty one is every model.
    budget_over, budget_up_to: for requests whose budget a month is more, and at most this many micro-USD. One that names
        no budget asks for more than any.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    policy = models.ForeignKey(ApprovalPolicy, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    model_ids = ArrayField(models.UUIDField(), default=list, blank=True, size=NAMED_MAX)
    data_classes = ArrayField(
        models.CharField(max_length=12, choices=DataClass.choices), default=list, blank=True, size=4
    )
    team_ids = ArrayField(models.UUIDField(), default=list, blank=True, size=NAMED_MAX)
    budget_over = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(AMOUNT_MAX)]
    )
    budget_up_to = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MaxValueValidator(AMOUNT_MAX)]
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, editable=False
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="policy_version_once"),
            models.CheckConstraint(
                condition=models.Q(budget_over__isnull=True)
                | models.Q(budget_up_to__isnull=True)
                | models.Q(budget_over__lt=models.F("budget_up_to")),
                name="policy_budgets_in_order",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} version {self.number}"


class StepFacts(models.Model):
    """What a step says, in a policy and in the requests that were made under it.

    stage: steps of one stage are met side by side, and each stage waits for those before it.
    remind_hours, due_hours: after its turn came.
    """

    stage = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(STEPS_MAX)]
    )
    by = models.CharField(max_length=10, choices=StepBy.choices)
    needs = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(NEEDS_MAX)]
    )
    remind_hours = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(HOURS_MAX)]
    )
    due_hours = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(HOURS_MAX)]
    )
    when_late = models.CharField(max_length=10, choices=WhenLate.choices, default=WhenLate.REMIND)

    class Meta:
        abstract = True


class PolicyStep(StepFacts):
    """One step of a version. team: the group of one that is a group's."""

    version = models.ForeignKey(PolicyVersion, models.CASCADE, related_name="steps")
    # A group that went would leave a step that nobody, or anybody, meets.
    team = models.ForeignKey(Team, models.PROTECT, related_name="+", null=True, blank=True)

    class Meta:
        ordering = ("stage", "id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(by=StepBy.GROUP, team__isnull=False)
                | ~models.Q(by=StepBy.GROUP) & models.Q(team__isnull=True),
                name="policy_step_of_a_group",
            ),
            models.CheckConstraint(
                condition=models.Q(needs__gte=1, needs__lte=NEEDS_MAX), name="policy_step_needs"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.needs} of {self.by}"
