"""Limits and budgets: how much one subject may use of one measure in one period."""

import uuid
import zoneinfo
from enum import StrEnum
from functools import cache

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models import ApiKey, ServiceAccount, Team
from models_registry.models.catalogue import AiModel
from portal.lib.clock import utc_now
from portal.lib.ids import new_id

# What the store counts exactly; see proxy/leases/window.py.
AMOUNT_MAX = 10**15
PERCENT_MAX = 500
ALERTS_MAX = 10


class LimitMeasure(models.TextChoices):
    """What is counted. Money is in micro-USD (1e-6 USD)."""

    REQUESTS = "requests"
    INPUT_TOKENS = "input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    TOKENS = "tokens", "input and output tokens"
    MICRO_USD = "micro_usd", "money"
    CONCURRENT = "concurrent", "concurrent calls"


class LimitPeriod(models.TextChoices):
    """In what time it is counted: any stretch of a length, a calendar's period in a zone, for good, or at one moment."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day", "24 hours"
    CALENDAR_DAY = "calendar_day", "calendar day"
    CALENDAR_WEEK = "calendar_week", "calendar week"
    CALENDAR_MONTH = "calendar_month", "calendar month"
    FIXED_SUM = "fixed_sum", "in all"
    AT_ONCE = "at_once", "at once"


CALENDAR_PERIODS = (
    LimitPeriod.CALENDAR_DAY,
    LimitPeriod.CALENDAR_WEEK,
    LimitPeriod.CALENDAR_MONTH,
)
# Alerts are looked for once a minute: what is shorter than an hour would be over before anybody was told.
ALERTED_PERIODS = (LimitPeriod.HOUR, LimitPeriod.DAY, *CALENDAR_PERIODS, LimitPeriod.FIXED_SUM)


class SubjectKind(StrEnum):
    """Of whom a limit is. A member is a person in one team; a person's own limit counts over all their teams."""

    KEY = "key"
    SERVICE_ACCOUNT = "service_account"
    PERSON = "person"
    MEMBER = "member"
    TEAM = "team"
    MODEL = "model"
    TEAM_MODEL = "team_model"


# By the columns that are filled: key, service account, person, team, model.
_SHAPES: dict[tuple[bool, bool, bool, bool, bool], SubjectKind] = {
    (True, False, False, False, False): SubjectKind.KEY,
    (False, True, False, False, False): SubjectKind.SERVICE_ACCOUNT,
    (False, False, True, False, False): SubjectKind.PERSON,
    (False, False, True, True, False): SubjectKind.MEMBER,
    (False, False, False, True, False): SubjectKind.TEAM,
    (False, False, False, False, True): SubjectKind.MODEL,
    (False, False, False, True, True): SubjectKind.TEAM_MODEL,
}
_SUBJECT = ("key", "service_account", "person", "team", "model")


def of_kind(kind: SubjectKind) -> models.Q:
    """The limits of subjects of this kind."""
    shape = next(shape for shape, found in _SHAPES.items() if found is kind)
    filled = zip(_SUBJECT, shape, strict=True)
    return models.Q(**{f"{name}__isnull": not is_filled for name, is_filled in filled})


def _one_shape() -> models.Q:
    shapes = models.Q()
    for kind in SubjectKind:
        shapes |= of_kind(kind)
    return shapes


@cache
def zones() -> frozenset[str]:
    """The names of every time zone that this host knows."""
    return frozenset(zoneinfo.available_timezones())


def validate_zone(name: str) -> None:
    """Refuse what is no time zone. Raises: ValidationError."""
    if name not in zones():
        raise ValidationError("Name a time zone of the IANA database, such as Europe/Berlin.")


class Limit(models.Model):
    """One subject may use at most `amount` of the measure in each period.

    team: with a person it is that member of the team, with a model the team's calls of that model.
    zone: the calendar's time zone; "" where no calendar counts.
    is_soft: nothing is refused; whoever answers for it is told at the percentages.
    by_administrator: set by one; whoever manages a team leaves it as it is.
    period_set_at: since when its periods begin and end as they do; what was used of the first before that is in the ledger.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.ForeignKey(ApiKey, models.CASCADE, related_name="limits", null=True, blank=True)
    service_account = models.ForeignKey(
        ServiceAccount, models.CASCADE, related_name="limits", null=True, blank=True
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="limits", null=True, blank=True
    )
    team = models.ForeignKey(Team, models.CASCADE, related_name="limits", null=True, blank=True)
    model = models.ForeignKey(AiModel, models.CASCADE, related_name="limits", null=True, blank=True)

    measure = models.CharField(max_length=14, choices=LimitMeasure.choices)
    period = models.CharField(max_length=16, choices=LimitPeriod.choices)
    zone = models.CharField(max_length=64, blank=True)
    amount = models.PositiveBigIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(AMOUNT_MAX)]
    )
    is_soft = models.BooleanField(default=False)
    alert_percents = ArrayField(
        models.PositiveSmallIntegerField(
            validators=[MinValueValidator(1), MaxValueValidator(PERCENT_MAX)]
        ),
        default=list,
        blank=True,
        size=ALERTS_MAX,
    )

    by_administrator = models.BooleanField(editable=False)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, related_name="+", null=True, editable=False
    )
    created_at = models.DateTimeField(default=utc_now, editable=False)
    changed_at = models.DateTimeField(default=utc_now, editable=False)
    period_set_at = models.DateTimeField(default=utc_now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=_one_shape(), name="limit_of_one_subject"),
            models.CheckConstraint(
                condition=models.Q(amount__gte=1, amount__lte=AMOUNT_MAX), name="limit_amount"
            ),
            models.CheckConstraint(
                condition=models.Q(measure__in=LimitMeasure.values, period__in=LimitPeriod.values),
                name="limit_known",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    measure=LimitMeasure.CONCURRENT, period=LimitPeriod.AT_ONCE, is_soft=False
                )
                | ~models.Q(measure=LimitMeasure.CONCURRENT)
                & ~models.Q(period=LimitPeriod.AT_ONCE),
                name="limit_at_once_of_calls",
            ),
            models.CheckConstraint(
                condition=models.Q(period__in=CALENDAR_PERIODS, zone__regex=r"^[A-Za-z0-9_+/-]+$")
                | ~models.Q(period__in=CALENDAR_PERIODS) & models.Q(zone=""),
                name="limit_zone",
            ),
            models.CheckConstraint(
                condition=~models.Q(
                    key__isnull=False,
                    measure__in=[LimitMeasure.REQUESTS, LimitMeasure.TOKENS],
                    period=LimitPeriod.MINUTE,
                ),
                name="limit_not_of_a_keys_minute",
            ),
            models.UniqueConstraint(
                fields=[*_SUBJECT, "measure", "period"], name="limit_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.measure} {self.period} of {self.subject_kind}"

    @property
    def subject_kind(self) -> SubjectKind:
        filled = tuple(getattr(self, f"{name}_id") is not None for name in _SUBJECT)
        return _SHAPES[filled]  # type: ignore[index]

    @property
    def owning_team_id(self) -> uuid.UUID | None:
        """The team that it belongs to; None for a person's own and a model's."""
        if self.key is not None:
            return self.key.team_id
        if self.service_account is not None:
            return self.service_account.team_id
        return self.team_id
