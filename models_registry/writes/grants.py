"""Who may call what, and a key's narrower list."""

import datetime
from collections.abc import Sequence

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.models import ApiKey, ServiceAccount, Team
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.writes.reasons import checked_reason
from models_registry.models import AiModel, Grant, KeyModel
from models_registry.narrowing import refuse_looser_minute
from portal.lib.clock import utc_now


@transaction.atomic
def grant_model(
    model: AiModel,
    *,
    to: Team | ServiceAccount,
    scopes: Sequence[Scope],
    ends_at: datetime.datetime,
    actor: Actor,
    starts_at: datetime.datetime | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> Grant:
    """Allow a team, or one service account, to call the model.

    requests_per_minute, tokens_per_minute: limits of this grant, beside those of the keys that use it.
    Raises: ValidationError naming the field.
    """
    if not scopes:
        raise ValidationError({"scopes": "A grant needs at least one kind of call."})
    if ends_at <= utc_now():
        raise ValidationError({"ends_at": "This end lies in the past."})
    if starts_at is not None and ends_at < starts_at:
        raise ValidationError({"ends_at": "This end lies before the start."})
    grant = Grant(
        team=to if isinstance(to, Team) else None,
        service_account=to if isinstance(to, ServiceAccount) else None,
        model=model,
        scopes=[scope.value for scope in scopes],
        starts_at=starts_at or utc_now(),
        ends_at=ends_at,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    grant.full_clean()
    refuse_looser_minute(grant)
    grant.save()
    record_audit(
        AuditTag.GRANT_MADE,
        actor=actor,
        subject_kind="grant",
        subject_id=grant.id,
        team_id=to.id if isinstance(to, Team) else to.team_id,
        model_id=str(model.pk),
        scopes=grant.scopes,
        ends_at=ends_at.isoformat(),
    )
    return grant


@transaction.atomic
def end_grant(grant: Grant, *, actor: Actor, reason: str) -> None:
    """End a grant now. One that has ended stays as it was. Raises: ValidationError without a reason."""
    reason = checked_reason(reason, act="the grant ends")
    grant = (
        Grant.objects.select_for_update(of=("self",))
        .select_related("service_account")
        .get(pk=grant.pk)
    )
    now = utc_now()
    if grant.ends_at <= now:
        return
    grant.starts_at, grant.ends_at = min(grant.starts_at, now), now
    grant.save(update_fields=["starts_at", "ends_at"])
    record_audit(
        AuditTag.GRANT_ENDED,
        actor=actor,
        subject_kind="grant",
        subject_id=grant.id,
        team_id=grant.service_account.team_id if grant.service_account else grant.team_id,
        reason=reason,
    )


@transaction.atomic
def narrow_key(key: ApiKey, *, models: Sequence[AiModel], actor: Actor) -> None:
    """Let a key call only these models of those granted. The list can be replaced, never emptied."""
    if not models:
        raise ValidationError({"models": "Name at least one model."})
    # Two replacements at once would leave both lists, which is wider than either.
    key = ApiKey.objects.select_for_update().get(pk=key.pk)
    ids = sorted({model.pk for model in models})
    key.is_narrowed = True
    key.save(update_fields=["is_narrowed"])
    KeyModel.objects.filter(key=key).delete()
    KeyModel.objects.bulk_create(KeyModel(key=key, model_id=one) for one in ids)
    record_audit(
        AuditTag.KEY_MODELS_NARROWED,
        actor=actor,
        subject_kind="key",
        subject_id=key.id,
        team_id=key.team_id,
        model_ids=[str(one) for one in ids],
    )
