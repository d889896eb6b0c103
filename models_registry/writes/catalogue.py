"""Models and their deployments."""

import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models.audit import AuditTag
from models_registry.models import AiModel, Deployment, ModelKind, ModelStatus, Provider
from portal.lib.clock import utc_now

NEXT_STATUSES = {
    ModelStatus.DRAFT: {ModelStatus.PUBLISHED, ModelStatus.RETIRED},
    ModelStatus.PUBLISHED: {ModelStatus.DEPRECATED, ModelStatus.RETIRED},
    ModelStatus.DEPRECATED: {ModelStatus.PUBLISHED, ModelStatus.RETIRED},
    ModelStatus.RETIRED: set(),
}

# A model's name and kind are what its callers rely on, and its status has a write of its own.
CHANGEABLE = frozenset(
    {
        "description",
        "owner",
        "data_class",
        "visibility",
        "context_tokens",
        "max_output_tokens",
        "tokens_per_byte",
        "price_input",
        "price_cached_input",
        "price_output",
        "price_reasoning",
        "price_audio_input",
        "price_audio_output",
        "extra_members",
        "output_cap_member",
        "hang_up",
    }
)


@transaction.atomic
def add_model(name: str, *, kind: ModelKind, actor: Actor, **facts: Any) -> AiModel:
    """Make a draft of a model; `facts` are AiModel's fields. Raises: ValidationError naming the field."""
    model = AiModel(name=name, kind=kind, **facts)
    model.full_clean()
    _refuse_no_output(model)
    model.save()
    record_audit(
        AuditTag.MODEL_ADDED, actor=actor, subject_kind="model", subject_id=model.id, name=name
    )
    return model


@transaction.atomic
def change_model(model: AiModel, *, actor: Actor, **facts: Any) -> None:
    """Change facts of a model; those that are not named stay, and the same values again change nothing.

    facts: of CHANGEABLE.
    Raises: ValidationError naming the field.
    """
    if not facts.keys() <= CHANGEABLE:
        raise TypeError(f"not changeable: {sorted(facts.keys() - CHANGEABLE)}")
    model = AiModel.objects.select_for_update().get(pk=model.pk)
    changed = sorted(name for name, value in facts.items() if getattr(model, name) != value)
    if not changed:
        return
    for name in changed:
        setattr(model, name, facts[name])
    model.full_clean()
    _refuse_no_output(model)
    model.save(update_fields=changed)
    record_audit(
        AuditTag.MODEL_CHANGED,
        actor=actor,
        subject_kind="model",
        subject_id=model.id,
        changed=changed,
    )


@transaction.atomic
def deploy_model(
    model: AiModel, *, provider: Provider, upstream_name: str, actor: Actor, position: int = 0
) -> Deployment:
    """Say that a provider serves the model under `upstream_name`; the lowest position is used first."""
    deployment = Deployment(
        model=model, provider=provider, upstream_name=upstream_name, position=position
    )
    deployment.full_clean()
    deployment.save()
    record_audit(
        AuditTag.DEPLOYMENT_ADDED,
        actor=actor,
        subject_kind="model",
        subject_id=model.id,
        provider_id=str(provider.pk),
        upstream_name=upstream_name,
    )
    return deployment


@transaction.atomic
def change_deployment(
    deployment: Deployment,
    *,
    actor: Actor,
    enabled: bool | None = None,
    position: int | None = None,
) -> None:
    """Switch a deployment on or off, or move it in its model's order; what is None stays."""
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    wanted = {"enabled": enabled, "position": position}
    changed = [
        name
        for name, value in wanted.items()
        if value is not None and getattr(deployment, name) != value
    ]
    if not changed:
        return
    for name in changed:
        setattr(deployment, name, wanted[name])
    deployment.full_clean()
    deployment.save(update_fields=changed)
    record_audit(
        AuditTag.DEPLOYMENT_CHANGED,
        actor=actor,
        subject_kind="model",
        subject_id=deployment.model_id,
        deployment_id=str(deployment.pk),
        changed=changed,
    )


@transaction.atomic
def set_model_status(
    model: AiModel,
    *,
    status: ModelStatus,
    actor: Actor,
    sunset_at: datetime.datetime | None = None,
) -> None:
    """Move a model along its life.

    sunset_at: when a deprecated model will stop answering; callers see it in the Sunset header.
    Raises: ValidationError for a step that the life does not have.
    """
    model = AiModel.objects.select_for_update().get(pk=model.pk)
    if status not in NEXT_STATUSES[ModelStatus(model.status)]:
        raise ValidationError({"status": f"A {model.status} model cannot become {status.value}."})
    if sunset_at is not None and (status is not ModelStatus.DEPRECATED or sunset_at <= utc_now()):
        raise ValidationError({"sunset_at": "Only a deprecated model has one, and it lies ahead."})
    model.status = status
    if status is ModelStatus.DEPRECATED:
        model.deprecated_at, model.sunset_at = utc_now(), sunset_at
    elif status is ModelStatus.PUBLISHED:
        model.deprecated_at = model.sunset_at = None
    model.save(update_fields=["status", "deprecated_at", "sunset_at"])
    record_audit(
        AuditTag.MODEL_STATUS_CHANGED,
        actor=actor,
        subject_kind="model",
        subject_id=model.id,
        status=status.value,
    )


def _refuse_no_output(model: AiModel) -> None:
    if model.kind == ModelKind.CHAT and model.max_output_tokens < 1:
        raise ValidationError({"max_output_tokens": "A chat model needs a largest output."})
