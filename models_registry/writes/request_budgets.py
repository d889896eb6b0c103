"""The budget of a request that was approved: a limit of the team's use of each model."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.audit import Actor
from accounts.models import Team
from models_registry.limit_words import amount_text
from models_registry.models import AiModel, Grant, Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit, set_limit
from portal.lib.clock import utc_now


def cuts_what_is_used(team: Team, models: Iterable[AiModel], amount: int) -> bool:
    """Whether the budget would bound what the team may spend on one of the models by its grants that there are."""
    return any(_cuts(team, model, amount) for model in models)


def _cuts(team: Team, model: AiModel, amount: int) -> bool:
    has = _standing(team, model)
    if has is not None:
        return has.is_soft or amount < has.amount
    theirs = Q(team=team) | Q(service_account__team=team)
    return Grant.objects.filter(theirs, model=model, ends_at__gt=utc_now()).exists()


def _standing(team: Team, model: AiModel) -> Limit | None:
    return Limit.objects.filter(
        team=team,
        model=model,
        person=None,
        measure=LimitMeasure.MICRO_USD,
        period=LimitPeriod.CALENDAR_MONTH,
    ).first()


def set_budget(team: Team, model: AiModel, amount: int, *, actor: Actor) -> None:
    """Let the team spend so many micro-USD on the model in a calendar month, in the place of what a request before allowed.

    What an administrator set can only become tighter by it: whoever agrees to requests need not manage limits.
    Raises: ValidationError naming budget_micro_usd where a limit of an administrator, or one above, is tighter.
    """
    measure, period = LimitMeasure.MICRO_USD, LimitPeriod.CALENDAR_MONTH
    has = _standing(team, model)
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
