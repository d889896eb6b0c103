"""Issue a key that is no looser than what is above it; as a signed-in person does, never wider than what the person may do."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.access import access_team
from accounts.audit import Actor, acting
from accounts.models import ServiceAccount, Team, User
from accounts.models.keys import Scope
from accounts.roles import Right
from accounts.writes.keys import IssuedKey, issue_key
from models_registry.access import models_seen_by
from models_registry.models import AiModel
from models_registry.narrowing import refuse_looser_minute
from models_registry.writes.grants import narrow_key
from portal.lib.clock import days_ahead

DAYS_MAX = 366
MODELS_MAX = 50


@transaction.atomic
def issue_key_as(
    person: User,
    *,
    team: Team,
    holder: ServiceAccount | User,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime.datetime,
    purpose: str = "",
    tags: Sequence[str] = (),
    cost_centre: str = "",
    networks: Sequence[str] = (),
    hours: Mapping[str, Any] | None = None,
    models: Sequence[AiModel] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> IssuedKey:
    """Make a key for the person, or for a service account of a team whose keys they manage.

    models: narrows the key to these, of the models granted; None leaves it all of them.
    requests_per_minute, tokens_per_minute: at most what a key without a limit gets; administrators set more.
    Raises: ValidationError naming the field; Http404 and PermissionDenied for whoever may not issue it.
    """
    _refuse_holder(person, team, holder)
    if expires_at > days_ahead(DAYS_MAX):
        raise ValidationError({"expires_at": f"A key lasts at most {DAYS_MAX} days."})
    _refuse_more(requests_per_minute, settings.LATCHKEY_DEFAULT_REQUESTS_PER_MINUTE, "requests")
    _refuse_more(tokens_per_minute, settings.LATCHKEY_DEFAULT_TOKENS_PER_MINUTE, "tokens")
    issued = issue_bounded_key(
        team,
        holder=holder,
        name=name,
        scopes=scopes,
        expires_at=expires_at,
        actor=acting(person),
        purpose=purpose,
        tags=tags,
        cost_centre=cost_centre,
        networks=networks,
        hours=hours,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    if models is not None:
        narrow_key(issued.key, models=_seen(person, models), actor=acting(person))
        issued.key.refresh_from_db(fields=["is_narrowed"])
    return issued


@transaction.atomic
def issue_bounded_key(
    team: Team,
    *,
    holder: ServiceAccount | User,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime.datetime,
    actor: Actor,
    purpose: str = "",
    tags: Sequence[str] = (),
    cost_centre: str = "",
    networks: Sequence[str] = (),
    hours: Mapping[str, Any] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> IssuedKey:
    """Make a key whose calls and tokens a minute are within the limits above it, whoever issues it.

    Raises: ValidationError naming the field.
    """
    issued = issue_key(
        team,
        holder=holder,
        name=name,
        scopes=scopes,
        expires_at=expires_at,
        actor=actor,
        purpose=purpose,
        tags=tags,
        cost_centre=cost_centre,
        networks=networks,
        hours=hours,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    refuse_looser_minute(issued.key)
    return issued


def _refuse_holder(person: User, team: Team, holder: ServiceAccount | User) -> None:
    """Raise unless the holder is the person, or a live service account of a team whose keys they manage."""
    if isinstance(holder, User):
        access_team(person, team.pk, right=Right.ISSUE_OWN_KEYS)
        if holder.pk != person.pk:
            raise PermissionDenied("A person's key is issued by that person alone.")
        return
    access_team(person, team.pk, right=Right.MANAGE_KEYS)
    if holder.disabled_at is not None:
        raise ValidationError({"holder": "This service account is disabled."})


def _refuse_more(limit: int | None, most: int, unit: str) -> None:
    if limit is not None and limit > most:
        raise ValidationError(
            {f"{unit}_per_minute": f"At most {most:,}; an administrator can set more."}
        )


def _seen(person: User, models: Sequence[AiModel]) -> list[AiModel]:
    """The models that the person sees. Another is refused like one that does not exist."""
    wanted = {model.pk for model in models}
    if len(wanted) > MODELS_MAX:
        raise ValidationError({"models": f"Name at most {MODELS_MAX} models."})
    seen = list(models_seen_by(person).filter(pk__in=wanted))
    if len(seen) < len(wanted):
        raise ValidationError({"models": "One of these models does not exist."})
    return seen
