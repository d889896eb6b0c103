"""The budget of a request that was approved: a limit of the team's use of each model."""

from django.core.exceptions import ValidationError

from accounts.audit import Actor
from accounts.models import Team
from models_registry.limit_words import amount_text
from models_registry.models import AiModel, Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit, set_limit


def set_budget(team: Team, model: AiModel, amount: int, *, actor: Actor) -> None:
    """Let the team spend so many micro-USD on the model in a calendar month, in the place of what a request before allowed.

    What an administrator set can only become tighter by it: whoever agrees to requests need not manage limits.
    Raises: ValidationError naming budget_micro_usd where a limit of an administrator, or one above, is tighter.
    """
    measure, period = LimitMeasure.MICRO_USD, LimitPeriod.CALENDAR_MONTH
    has = Limit.objects.filter(
        team=team, model=model, person=None, measure=measure, period=period
    ).first()
    try:
        if has is None:
            set_limit(
                Subject(team=team, model=model),
                measure=measure,
                period=period,
                amount=amount,
                actor=actor,
                by_administrator=False,
            )
        else:
            _refuse_looser(has, amount)
            change_limit(
                has,
                amount=amount,
                is_soft=False,
                actor=actor,
                by_administrator=has.by_administrator,
            )
    except ValidationError as error:
        raise ValidationError({"budget_micro_usd": error.messages}) from None


def _refuse_looser(has: Limit, amount: int) -> None:
    if has.by_administrator and not has.is_soft and amount > has.amount:
        most = amount_text(has.amount, has.measure)
        raise ValidationError(f"At most {most}: an administrator set this limit.")
