"""Which limits bound which: what is below another can only be tighter."""

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from accounts.models import ApiKey
from models_registry.limit_words import amount_text, whose
from models_registry.models import Grant, Limit, LimitMeasure, LimitPeriod, SubjectKind

_MINUTES = {
    "requests_per_minute": LimitMeasure.REQUESTS,
    "tokens_per_minute": LimitMeasure.TOKENS,
}


def limits_above(limit: Limit) -> QuerySet[Limit]:
    """The limits of the same measure and period that this one has to stay within."""
    return _alike(limit).filter(_above(limit), is_soft=False)


def limits_below(limit: Limit) -> QuerySet[Limit]:
    """The limits of the same measure and period that have to stay within this one."""
    below = _below(limit)
    found = _alike(limit)
    return found.none() if below is None or limit.is_soft else found.filter(below)


def refuse_looser_minute(of: ApiKey | Grant) -> None:
    """Hold what a new key, or a new grant, names of its own a minute against the limits above it, as a limit would be.

    Raises: ValidationError naming the field.
    """
    for name, measure in _MINUTES.items():
        wanted = getattr(of, name)
        limits = Limit.objects.filter(
            _above_minute(of), measure=measure, period=LimitPeriod.MINUTE, is_soft=False
        )
        tightest = limits.order_by("amount").first()
        if wanted is not None and tightest is not None and wanted > tightest.amount:
            most = amount_text(tightest.amount, tightest.measure)
            raise ValidationError(
                {
                    name: f"At most {most}: {whose(tightest)} has this limit, and nothing below may be looser."
                }
            )


def _above_minute(of: ApiKey | Grant) -> Q:
    if isinstance(of, ApiKey):
        return _above(Limit(key=of))
    account = of.service_account
    team_id = of.team_id if account is None else account.team_id
    of_team = _of_team(team_id) | Q(team_id=team_id, model_id=of.model_id, person=None)
    of_model = Q(model_id=of.model_id, team=None)
    return of_team | of_model | (Q() if account is None else Q(service_account=account))


def _alike(limit: Limit) -> QuerySet[Limit]:
    return Limit.objects.filter(measure=limit.measure, period=limit.period).select_related(
        "key", "service_account"
    )


def _of_team(team_id: object) -> Q:
    """The limits of the team itself, not of one of its members or for one model."""
    return Q(team_id=team_id, person=None, model=None)


def _above(limit: Limit) -> Q:
    kind = limit.subject_kind
    if kind is SubjectKind.KEY and limit.key is not None:
        key, above = limit.key, _of_team(limit.key.team_id)
        if key.service_account_id is not None:
            return above | Q(service_account_id=key.service_account_id)
        holder = Q(person_id=key.person_id)
        return above | holder & (Q(team=None) | Q(team_id=key.team_id))
    if kind is SubjectKind.SERVICE_ACCOUNT and limit.service_account is not None:
        return _of_team(limit.service_account.team_id)
    if kind is SubjectKind.MEMBER:
        return _of_team(limit.team_id) | Q(person_id=limit.person_id, team=None)
    if kind is SubjectKind.TEAM_MODEL:
        return _of_team(limit.team_id) | Q(model_id=limit.model_id, team=None)
    return Q(pk__in=[])


def _below(limit: Limit) -> Q | None:
    kind = limit.subject_kind
    if kind is SubjectKind.TEAM:
        inside = Q(team_id=limit.team_id) & (Q(person__isnull=False) | Q(model__isnull=False))
        return inside | Q(key__team_id=limit.team_id) | Q(service_account__team_id=limit.team_id)
    if kind is SubjectKind.SERVICE_ACCOUNT:
        return Q(key__service_account_id=limit.service_account_id)
    if kind is SubjectKind.PERSON:
        return Q(person_id=limit.person_id, team__isnull=False) | Q(key__person_id=limit.person_id)
    if kind is SubjectKind.MEMBER:
        return Q(key__person_id=limit.person_id, key__team_id=limit.team_id)
    if kind is SubjectKind.MODEL:
        return Q(model_id=limit.model_id, team__isnull=False)
    return None
