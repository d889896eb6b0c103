"""Limits as somebody sets them in a team of theirs: on its keys, service accounts and members, within what stands above.

What an administrator set stays as it is, and so do the limits of the team itself.
"""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction

from accounts.access import access_team
from accounts.audit import acting
from accounts.models import User
from accounts.roles import Right
from models_registry.limit_access import access_limit, may_change
from models_registry.models import Limit, LimitMeasure, LimitPeriod
from models_registry.writes.limits import Subject, change_limit, remove_limit, set_limit


@transaction.atomic
def set_limit_as(
    person: User,
    subject: Subject,
    *,
    measure: LimitMeasure,
    period: LimitPeriod,
    amount: int,
    zone: str = "",
    is_soft: bool = False,
    alert_percents: Sequence[int] = (),
) -> Limit:
    """Set a limit as whoever manages the limits of the subject's team.

    Raises: ValidationError naming the field; Http404 and PermissionDenied for whoever may not.
    """
    _access_subject(person, subject)
    return set_limit(
        subject,
        measure=measure,
        period=period,
        amount=amount,
        zone=zone,
        is_soft=is_soft,
        alert_percents=alert_percents,
        actor=acting(person),
        by_administrator=False,
    )


@transaction.atomic
def change_limit_as(
    person: User,
    limit: Limit,
    *,
    amount: int | None = None,
    zone: str | None = None,
    is_soft: bool | None = None,
    alert_percents: Sequence[int] | None = None,
) -> Limit:
    """Change a limit that was set in the team. Raises: as set_limit_as."""
    return change_limit(
        _changeable(person, limit),
        amount=amount,
        zone=zone,
        is_soft=is_soft,
        alert_percents=alert_percents,
        actor=acting(person),
        by_administrator=False,
    )


@transaction.atomic
def remove_limit_as(person: User, limit: Limit) -> None:
    """Remove a limit that was set in the team. Raises: as set_limit_as."""
    remove_limit(_changeable(person, limit), actor=acting(person))


def _changeable(person: User, limit: Limit) -> Limit:
    """Return the limit as it is now, locked: an administrator may be taking it over. Raises: Http404, PermissionDenied."""
    Limit.objects.select_for_update(of=("self",)).filter(pk=limit.pk).first()
    found = access_limit(person, limit.pk)
    if not may_change(person, found):
        raise PermissionDenied("An administrator set this limit, or it is not of your team.")
    return found


def _access_subject(person: User, subject: Subject) -> None:
    """Let through who manages the limits of the team that the subject belongs to. Raises: Http404, PermissionDenied."""
    if subject.key is not None:
        team_id = subject.key.team_id
    elif subject.service_account is not None:
        team_id = subject.service_account.team_id
    elif subject.team is not None:
        access_team(person, subject.team.pk, right=Right.MANAGE_LIMITS)
        if subject.person is None:
            raise PermissionDenied("The limits of a team are set by administrators.")
        return
    else:
        raise PermissionDenied("The limits of people and models are set by administrators.")
    access_team(person, team_id, right=Right.MANAGE_LIMITS)
