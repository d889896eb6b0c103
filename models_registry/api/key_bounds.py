"""What a credential may give on: never more than it has, so that a stolen one begets nothing wider and nothing that outlives it.

Whoever signs in is bound by their role alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from accounts.api.bounds import refuse_wider
from accounts.api.permissions import refuse_token
from accounts.api.problems import invalid
from accounts.models import ApiKey
from accounts.models.keys import CALL_SCOPES
from accounts.ways_in.proven import Proven
from accounts.writes.bounds import checked_hours
from models_registry.models import KeyModel


def refuse_wider_key(
    presented: object, facts: Mapping[str, Any], models: Sequence[str] | None
) -> None:
    """Refuse a new key that would be wider than the one presented. Raises: Problem."""
    if not isinstance(presented, Proven):
        return
    refuse_token(presented)
    if not set(facts["scopes"]) <= set(CALL_SCOPES):
        raise invalid({"scopes": ["A key that may manage is issued by signing in, not by a key."]})
    refuse_wider(presented, facts)
    if presented.key is None:
        return
    if presented.key.hours is not None and not _same_hours(presented.key, facts.get("hours")):
        raise invalid({"hours": ["Name the hours of the key you came with."]})
    for limit in ("requests_per_minute", "tokens_per_minute"):
        most = getattr(presented.key, limit)
        asked = facts.get(limit)
        if most is not None and (asked is None or asked > most):
            raise invalid({limit: [f"At most {most:,}, as the key you came with."]})
    refuse_wider_models(presented, models, of=presented.key)


def refuse_wider_secret(presented: object, *, of: ApiKey) -> None:
    """Refuse to show a new secret of a key that is wider than the one presented. Raises: Problem."""
    names = (
        "scopes",
        "expires_at",
        "networks",
        "hours",
        "requests_per_minute",
        "tokens_per_minute",
    )
    listed = list(KeyModel.objects.filter(key=of).values_list("model__name", flat=True))
    models = listed if of.is_narrowed or listed else None
    refuse_wider_key(presented, {name: getattr(of, name) for name in names}, models)


def refuse_wider_models(presented: object, models: Sequence[str] | None, *, of: ApiKey) -> None:
    """Refuse a list that lets a key call more than it may. Raises: Problem.

    of: the key whose list is the bound.
    """
    if not isinstance(presented, Proven):
        return
    listed = set(KeyModel.objects.filter(key=of).values_list("model__name", flat=True))
    if (of.is_narrowed or listed) and (models is None or not set(models) <= listed):
        raise invalid({"models": ["Name models of the list that narrows the key."]})


def _same_hours(key: ApiKey, hours: Mapping[str, Any] | None) -> bool:
    """Whether they are the key's. What is no hours at all is left to the write to refuse."""
    try:
        return checked_hours(hours) == key.hours
    except ValidationError:
        return True
