"""Answers what the registry asks about a team's usage."""

import datetime
import uuid

from django.db.models import F, Sum

from models_registry.usage_source import ModelUse
from proxy.models import UsageHour


def use_by_model(team_id: uuid.UUID, since: datetime.datetime) -> list[ModelUse]:
    """What the team used since then, by model, the dearest first; calls that named no model are left out."""
    sums = (
        UsageHour.objects.filter(team_id=team_id, hour__gte=since, model_id__isnull=False)
        .values("model_id")
        .annotate(
            sum_calls=Sum("calls"),
            sum_tokens=Sum(F("input_tokens") + F("output_tokens")),
            sum_cost=Sum("cost_micro_usd"),
        )
        .order_by("-sum_cost", "-sum_calls")
    )
    return [
        ModelUse(
            model_id=row["model_id"],
            calls=int(row["sum_calls"]),
            tokens=int(row["sum_tokens"]),
            cost_micro_usd=int(row["sum_cost"]),
        )
        for row in sums
        if row["model_id"] is not None
    ]
