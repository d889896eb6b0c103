"""The budget of a request that was approved: a limit of the team's use of each model."""

from django.core.exceptions import ValidationError

from accounts.audit import Actor
from accounts.models import Team
from models_registry.models import AiModel, Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit, set_limit


def set_budget(team: Team, model: AiModel, amount: int, *, actor: Actor) -> None:
    """Let the team spend so many micro-USD on the model in a calendar month; a budget that it has becomes this one.

    Raises: ValidationError naming budget_micro_usd where a limit above is tighter.
    """
    measure, period = LimitMeasure.MICRO_USD, LimitPeriod.CALENDAR_MONTH
    has = Limit.objects.filter(
        team=team, model=model, person=None, measure=measure, period=period
    ).first()
    try:
        if has is None:
            subject = Subject(team=team, model=model)
            set_limit(subject, measure=measure, period=period, amount=amount, actor=actor)
        else:
            change_limit(has, amount=amount, is_soft=False, actor=actor)
    except ValidationError as error:
        raise ValidationError({"budget_micro_usd": error.messages}) from None
