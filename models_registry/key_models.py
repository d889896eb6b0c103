"""Which models a key can call, for the pages that say so. The gateway decides by itself, from the same rows."""

import datetime

from django.db.models import Q, QuerySet

from accounts.models import ApiKey
from models_registry.access import OFFERED, grants_to
from models_registry.models import AiModel, KeyModel


def models_of_key(key: ApiKey, *, now: datetime.datetime) -> QuerySet[AiModel]:
    """The models that are granted to the key's holder now, in a kind that the key allows, by name."""
    granted = grants_to(team_id=key.team_id, service_account_id=key.service_account_id)
    by_kind = Q()
    for scope in key.scopes:
        live = granted.filter(starts_at__lte=now, ends_at__gt=now, scopes__contains=[scope])
        by_kind |= Q(kind=scope, pk__in=live.values("model_id"))
    not_ended = Q(sunset_at=None) | Q(sunset_at__gt=now)
    models = AiModel.objects.filter(by_kind, not_ended, status__in=OFFERED).order_by("name")
    listed = KeyModel.objects.filter(key=key)
    if key.is_narrowed or listed.exists():
        models = models.filter(pk__in=listed.values("model_id"))
    return models
