"""Rows of the registry for tests, made by the project's own writes."""

from typing import Any

from accounts.audit import COMMAND
from models_registry.models import AiModel, Deployment, ModelKind, Provider
from models_registry.writes.catalogue import add_model, deploy_model
from models_registry.writes.providers import add_provider
from tests.accounts.rows import new_name

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
