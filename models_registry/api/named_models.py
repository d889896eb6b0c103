"""Models by the names that callers use. One that is not seen is refused like one that does not exist."""

from collections.abc import Sequence

from django.db.models import QuerySet

from accounts.api.problems import invalid
from accounts.models import User
from models_registry.access import models_seen_by
from models_registry.models import AccessRequest, AiModel


def models_named(person: User, names: Sequence[str]) -> list[AiModel]:
    """Return models of the person's catalogue. Raises: Problem."""
    return _named(models_seen_by(person), names)


def requested_models_named(request: AccessRequest, names: Sequence[str]) -> list[AiModel]:
    """Return models that were asked for. Raises: Problem."""
    return _named(AiModel.objects.filter(requested_models__request=request), names)


def _named(models: QuerySet[AiModel], names: Sequence[str]) -> list[AiModel]:
    found = {model.name: model for model in models.filter(name__in=names)}
    if set(names) - set(found):
        raise invalid({"models": ["One of these models does not exist."]})
    return list(found.values())
