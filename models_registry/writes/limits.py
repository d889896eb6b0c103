"""Set, change and remove limits. Whoever calls these answers for who may; see limits_as for people in their teams."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from accounts.audit import Actor, Fact, record_audit
from accounts.models import ApiKey, ServiceAccount, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.two_person import demand_second
from models_registry.limit_openings import open_once_written
from models_registry.limit_words import amount_text, whose
from models_registry.models import AiModel, Limit, LimitMeasure, LimitPeriod
from models_registry.models.limits import (
    ALERTED_PERIODS,
    CALENDAR_PERIODS,
    SubjectKind,
    validate_zone,
)
from models_registry.narrowing import limits_above, limits_below
from portal.lib.clock import utc_now

# The name of the lock, which no other writer of ours takes.
_LOCK = 0x6C6B6C69
DEFAULT_PERCENTS = (80, 100)


@dataclass(frozen=True)
class Subject:
    """Of whom a limit is: one of these, or a team with a model or with one of its members."""

    key: ApiKey | None = None
    service_account: ServiceAccount | None = None
    person: User | None = None
    team: Team | None = None
    model: AiModel | None = None


@transaction.atomic
def set_limit(
    subject: Subject,
    *,
    measure: LimitMeasure,
    period: LimitPeriod,
    amount: int,
    actor: Actor,
    zone: str = "",
    is_soft: bool = False,
    alert_percents: Sequence[int] = (),
    by_administrator: bool = True,
) -> Limit:
    """Set a limit where the subject has none of this measure and period. It acts within a second.

    amount: calls, tokens or micro-USD. zone: for a calendar's periods; UTC unless given.
    alert_percents: of the amount; 80 and 100 for a soft limit unless given.
    Limits below that are looser are tightened to it.
    Raises: ValidationError naming the field, also where the limit is looser than one above it.
    """
    _write_alone()
    limit = Limit(
        key=subject.key,
        service_account=subject.service_account,
        person=subject.person,
        team=subject.team,
        model=subject.model,
        measure=measure,
        period=period,
        amount=amount,
        zone=_checked_zone(period, zone),
        is_soft=is_soft,
        alert_percents=_checked_percents(alert_percents, is_soft=is_soft),
        by_administrator=by_administrator,
        set_by_id=_person_id(actor),
    )
    _refuse_shape(limit)
    _refuse_twice(limit)
    _refuse_and_clean(limit)
    limit.save(force_insert=True)
    open_once_written(limit)
    _record(AuditTag.LIMIT_SET, limit, actor=actor, is_soft=limit.is_soft)
    _tighten_below(limit, actor=actor)
    return limit


@transaction.atomic
def change_limit(
    limit: Limit,
    *,
    actor: Actor,
    amount: int | None = None,
    zone: str | None = None,
    is_soft: bool | None = None,
    alert_percents: Sequence[int] | None = None,
    by_administrator: bool = True,
) -> Limit:
    """Change what is given of a limit; None leaves it. What was used stays counted.

    Limits below that became looser are tightened to it. Changing nothing is not audited.
    Raises: ValidationError naming the field, also where the limit was removed; PermissionDenied for one person alone who
    would loosen one that bounds everybody.
    """
    _write_alone()
    limit = _as_it_is(limit)
    old_amount = limit.amount
    wanted: dict[str, object] = {}
    if amount is not None:
        wanted["amount"] = amount
    if zone is not None:
        wanted["zone"] = _checked_zone(LimitPeriod(limit.period), zone)
    if is_soft is not None:
        wanted["is_soft"] = is_soft
    if alert_percents is not None or is_soft:
        percents = limit.alert_percents if alert_percents is None else alert_percents
        soft = limit.is_soft if is_soft is None else is_soft
        wanted["alert_percents"] = _checked_percents(percents, is_soft=soft)
    changed = [name for name, value in wanted.items() if getattr(limit, name) != value]
    if not changed:
        return limit
    is_looser = bool(is_soft) or (amount is not None and amount > limit.amount)
    if is_looser and bounds_everybody(limit):
        demand_second(actor)
    for name in changed:
        setattr(limit, name, wanted[name])
    limit.by_administrator, limit.set_by_id = by_administrator, _person_id(actor)
    limit.changed_at = utc_now()
    if "zone" in changed:
        limit.period_set_at = limit.changed_at
    _refuse_and_clean(limit)
    limit.save()
    open_once_written(limit)
    _record_change(limit, actor=actor, changed=changed, old_amount=old_amount)
    _tighten_below(limit, actor=actor)
    return limit


@transaction.atomic
def remove_limit(limit: Limit, *, actor: Actor) -> None:
    """Take a limit away. Those above and below it stay. Removing twice does nothing more.

    Raises: PermissionDenied for one person alone where it bounds everybody.
    """
    _write_alone()
    found = Limit.objects.filter(pk=limit.pk).select_related("key", "service_account").first()
    if found is None:
        return
    if bounds_everybody(found):
        demand_second(actor)
    _record(AuditTag.LIMIT_REMOVED, found, actor=actor)
    found.delete()


def bounds_everybody(limit: Limit) -> bool:
    """Whether the limit holds for every call of a model, so that it is a policy of the portal."""
    return limit.subject_kind is SubjectKind.MODEL and not limit.is_soft


def _write_alone() -> None:
    """Let one writer of limits at a time compare them: two at once could each miss the other's row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _as_it_is(limit: Limit) -> Limit:
    found = Limit.objects.filter(pk=limit.pk).select_related("key", "service_account").first()
    if found is None:
        raise ValidationError("This limit was removed meanwhile.")
    return found


def _checked_zone(period: LimitPeriod, zone: str) -> str:
    if period not in CALENDAR_PERIODS:
        if zone:
            raise ValidationError({"zone": "Only a calendar's period has a time zone."})
        return ""
    try:
        validate_zone(zone or "UTC")
    except ValidationError as error:
        raise ValidationError({"zone": error.messages}) from None
    return zone or "UTC"


def _checked_percents(percents: Sequence[int], *, is_soft: bool) -> list[int]:
    return sorted(set(percents)) or (list(DEFAULT_PERCENTS) if is_soft else [])


def _refuse_shape(limit: Limit) -> None:
    """Refuse what the database would refuse as well, in words for people."""
    try:
        _ = limit.subject_kind
    except KeyError:
        raise ValidationError(
            {
                "subject": "A limit is of a key, a service account, a person, a team or a model, "
                "or of a team with a model or a member."
            }
        ) from None
    if (limit.measure == LimitMeasure.CONCURRENT) != (limit.period == LimitPeriod.AT_ONCE):
        raise ValidationError(
            {"period": "Concurrent calls are counted at once, and nothing else is."}
        )
    is_minute = limit.period == LimitPeriod.MINUTE
    if limit.key is not None and is_minute and limit.measure in ("requests", "tokens"):
        raise ValidationError(
            {
                "period": f"A key's {limit.measure} a minute stand in the key itself, and are set there."
            }
        )
    if limit.person is not None and limit.team is not None:
        # Locked, so that it cannot be set for somebody who leaves at the same moment.
        members = limit.team.memberships.select_for_update(no_key=True)
        if not members.filter(person=limit.person).exists():
            raise ValidationError({"person": "This is no member of the team."})


def _refuse_twice(limit: Limit) -> None:
    same = {
        f"{name}_id": getattr(limit, f"{name}_id")
        for name in ("key", "service_account", "person", "team", "model")
    }
    by = {name: value for name, value in same.items() if value is not None}
    empty = {name.replace("_id", "__isnull"): True for name, value in same.items() if value is None}
    if Limit.objects.filter(**by, **empty, measure=limit.measure, period=limit.period).exists():
        raise ValidationError(
            {"period": f"{whose(limit).capitalize()} has such a limit already. Change that one."}
        )


def _refuse_and_clean(limit: Limit) -> None:
    if (limit.is_soft or limit.alert_percents) and limit.period not in ALERTED_PERIODS:
        raise ValidationError(
            {"alert_percents": "Alerts, and so soft limits, are of periods of an hour or more."}
        )
    limit.full_clean(validate_constraints=False)
    tightest = limits_above(limit).exclude(pk=limit.pk).order_by("amount").first()
    if tightest is not None and limit.amount > tightest.amount:
        most = amount_text(tightest.amount, tightest.measure)
        raise ValidationError(
            {
                "amount": f"At most {most}: {whose(tightest)} has this limit, and nothing below may be looser."
            }
        )


def _tighten_below(limit: Limit, *, actor: Actor) -> None:
    for below in limits_below(limit).filter(amount__gt=limit.amount).exclude(pk=limit.pk):
        old_amount, below.amount, below.changed_at = below.amount, limit.amount, utc_now()
        below.save(update_fields=["amount", "changed_at"])
        _record_change(
            below, actor=actor, changed=["amount"], old_amount=old_amount, narrowed_by=str(limit.pk)
        )


def _record_change(
    limit: Limit, *, actor: Actor, changed: list[str], old_amount: int, **facts: Fact
) -> None:
    _audit(
        AuditTag.LIMIT_CHANGED,
        limit,
        actor=actor,
        changed=changed,
        old_amount=old_amount,
        amount=limit.amount,
        **facts,
    )


def _record(tag: AuditTag, limit: Limit, *, actor: Actor, **facts: Fact) -> None:
    _audit(
        tag,
        limit,
        actor=actor,
        of=limit.subject_kind.value,
        measure=limit.measure,
        period=limit.period,
        amount=limit.amount,
        **facts,
    )


def _audit(tag: AuditTag, limit: Limit, *, actor: Actor, **facts: Fact) -> None:
    record_audit(
        tag,
        actor=actor,
        subject_kind="limit",
        subject_id=limit.id,
        team_id=limit.owning_team_id,
        **facts,
    )


def _person_id(actor: Actor) -> uuid.UUID | None:
    return actor.id if actor.kind == ActorKind.PERSON else None
