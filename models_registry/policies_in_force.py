"""The policies as rows, and what they ask of a request."""

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from models_registry.models import (
    AccessRequest,
    AiModel,
    ApprovalPolicy,
    DataClass,
    PolicyVersion,
    StepBy,
    WhenLate,
)
from models_registry.models.policies import StepFacts
from models_registry.policy_rules import Asked, Rule, Step


def rules_in_force() -> list[Rule]:
    """What every policy that is switched on says now, the oldest first."""
    return [rule_of(version) for version in versions_in_force()]


def versions_in_force() -> QuerySet[PolicyVersion]:
    in_force = ApprovalPolicy.objects.exclude(in_force=None).values("in_force_id")
    return (
        PolicyVersion.objects.filter(pk__in=in_force)
        .select_related("policy")
        .prefetch_related("steps")
        .order_by("policy_id")
    )


def rule_of(version: PolicyVersion) -> Rule:
    return Rule(
        version_id=version.pk,
        steps=tuple(step_of(step, step.team_id) for step in version.steps.all()),
        model_ids=frozenset(version.model_ids),
        data_classes=frozenset(version.data_classes),
        team_ids=frozenset(version.team_ids),
        budget_over=version.budget_over,
        budget_up_to=version.budget_up_to,
    )


def step_of(facts: StepFacts, team_id: uuid.UUID | None) -> Step:
    return Step(
        by=StepBy(facts.by),
        needs=facts.needs,
        stage=facts.stage,
        team_id=team_id,
        remind_hours=facts.remind_hours,
        due_hours=facts.due_hours,
        when_late=WhenLate(facts.when_late),
    )


def asked_by(request: AccessRequest, models: Iterable[AiModel]) -> Asked:
    """What the request asks for, as policies see it. One from before classes were asked for is as sensitive as its models."""
    models = list(models)
    return Asked(
        team_id=request.team_id,
        owners={model.pk: model.owner_id for model in models},
        data_class=request.data_class or most_sensitive(models),
        budget=request.budget_micro_usd,
    )


def most_sensitive(models: Iterable[AiModel]) -> DataClass:
    """The most sensitive data that any of the models may be sent."""
    order = list(DataClass)
    return max((DataClass(model.data_class) for model in models), key=order.index)
