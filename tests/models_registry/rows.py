"""Rows of the registry for tests, made by the project's own writes."""

from typing import Any

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.roles import PortalRole
from models_registry.models import (
    AccessRequest,
    AiModel,
    ApprovalPolicy,
    Deployment,
    Limit,
    LimitMeasure,
    LimitPeriod,
    ModelKind,
    ModelStatus,
    Provider,
)
from models_registry.policy_rules import Step
from models_registry.writes.catalogue import add_model, deploy_model, set_model_status
from models_registry.writes.limits import Subject, set_limit
from models_registry.writes.policies import add_version, make_policy, switch_on
from models_registry.writes.providers import add_provider
from models_registry.writes.requests import ask_for_access
from tests.accounts.rows import new_holder, new_name, tomorrow

CREDENTIAL = "sk-upstream-0123456789abcdef"


def new_provider(credential: str = CREDENTIAL) -> Provider:
    return add_provider(
        new_name("provider"),
        base_url="http://127.0.0.1:9/v1",
        credential=credential,
        actor=COMMAND,
    )


def new_model(**facts: Any) -> AiModel:
    facts = {"context_tokens": 8192, "max_output_tokens": 1024} | facts
    return add_model(new_name("model"), kind=ModelKind.CHAT, actor=COMMAND, **facts)


def new_deployment() -> Deployment:
    return deploy_model(
        new_model(), provider=new_provider(), upstream_name="upstream", actor=COMMAND
    )


def new_offer(kind: ModelKind = ModelKind.CHAT, **facts: Any) -> AiModel:
    """A published model, which everybody sees unless the facts say otherwise."""
    facts = {"context_tokens": 8192, "max_output_tokens": 1024} | facts
    model = add_model(new_name("model"), kind=kind, actor=COMMAND, **facts)
    set_model_status(model, status=ModelStatus.PUBLISHED, actor=COMMAND)
    model.refresh_from_db()
    return model


def new_decider() -> User:
    """Somebody who is no administrator and decides on requests."""
    return new_holder(PortalRole.APPROVER)


def ask(person: User, team: Team, *models: AiModel, **changes: Any) -> AccessRequest:
    """Ask for these models as the person, or for a new one where none is named."""
    models = models or (new_offer(),)
    facts: dict[str, Any] = {
        "models": models,
        "scopes": sorted({Scope(model.kind) for model in models}),
        "justification": "Summaries of support mail.",
        "wanted_until": tomorrow(),
    }
    return ask_for_access(person, team=team, **(facts | changes))


def new_policy(*steps: Step, on: bool = True, **conditions: Any) -> ApprovalPolicy:
    """A policy of these steps, switched on unless told otherwise."""
    policy = make_policy(new_name("policy"), actor=COMMAND)
    version = add_version(policy, steps=steps, actor=COMMAND, **conditions)
    if on:
        switch_on(version, actor=COMMAND)
    return policy


def new_limit(
    measure: LimitMeasure = LimitMeasure.MICRO_USD,
    period: LimitPeriod = LimitPeriod.CALENDAR_MONTH,
    amount: int = 1_000_000,
    *,
    by_administrator: bool = True,
    is_soft: bool = False,
    **subject: Any,
) -> Limit:
    """A limit of the subject, an administrator's unless told otherwise."""
    return set_limit(
        Subject(**subject),
        measure=measure,
        period=period,
        amount=amount,
        is_soft=is_soft,
        by_administrator=by_administrator,
        actor=COMMAND,
    )
