"""What may be asked for, and what of it may be granted: at most what was asked, and what everybody agreed to."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.models.keys import Scope
from models_registry.access import OFFERED
from models_registry.models import AccessRequest, AiModel, DataClass, StepApproval
from portal.lib.clock import days_ahead, utc_now
from portal.lib.redaction import redact

MODELS_MAX = 20
DAYS_MAX = 366
LIMITS = ("requests_per_minute", "tokens_per_minute", "budget_micro_usd")
_NOT_LEFT = "was not asked for, or somebody who agreed before left it out."


@dataclass(frozen=True)
class Allowed:
    """A part of a request: what is left of it, or what somebody agrees to. models: by name."""

    models: list[AiModel]
    ends_at: datetime.datetime
    requests_per_minute: int | None
    tokens_per_minute: int | None
    budget_micro_usd: int | None


def left_of(request: AccessRequest) -> Allowed:
    """What is left of the request after everybody who agreed so far: of each part the least that one of them named."""
    agreed = list(StepApproval.objects.filter(step__request=request))
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    for approval in agreed:
        models = models.filter(pk__in=approval.model_ids)
    return Allowed(
        models=list(models),
        ends_at=min([request.wanted_until, *(approval.ends_at for approval in agreed)]),
        requests_per_minute=_least(request, agreed, "requests_per_minute"),
        tokens_per_minute=_least(request, agreed, "tokens_per_minute"),
        budget_micro_usd=_least(request, agreed, "budget_micro_usd"),
    )


def allowed_part(
    left: Allowed,
    *,
    models: Sequence[AiModel] | None = None,
    scopes: Sequence[Scope] | None = None,
    ends_at: datetime.datetime | None = None,
    **limits: int | None,
) -> Allowed:
    """Return what is agreed to; what is None is all that is left, models by the kinds of call that are named.

    limits: requests_per_minute, tokens_per_minute, budget_micro_usd.
    Raises: ValidationError for more than is left.
    """
    if not {scope.value for scope in scopes or ()} <= {model.kind for model in left.models}:
        raise ValidationError({"scopes": f"This kind of call {_NOT_LEFT}"})
    if models is None and scopes:
        kinds = {scope.value for scope in scopes}
        models = [model for model in left.models if model.kind in kinds]
    part = _part_of_models(left, models)
    if scopes is not None:
        refuse_scopes(part, scopes)
    if ends_at is not None and ends_at > left.ends_at:
        raise ValidationError({"ends_at": f"A later end {_NOT_LEFT}"})
    if (ends_at or left.ends_at) <= utc_now():
        raise ValidationError({"ends_at": "This end lies in the past."})
    lower = {name: _lower(getattr(left, name), limits.get(name), field=name) for name in LIMITS}
    return Allowed(models=part, ends_at=ends_at or left.ends_at, **lower)


def refuse_scopes(models: Sequence[AiModel], scopes: Sequence[Scope]) -> None:
    """Raise ValidationError unless the kinds of call are exactly the models' kinds."""
    kinds, wanted = {model.kind for model in models}, {scope.value for scope in scopes}
    if kinds - wanted:
        missing = ", ".join(sorted(kinds - wanted))
        raise ValidationError({"scopes": f"These models are called by {missing} too: name it."})
    if wanted - kinds:
        useless = ", ".join(sorted(wanted - kinds))
        raise ValidationError({"scopes": f"None of these models is called by {useless}."})


def refuse_data_class(models: Sequence[AiModel], data_class: DataClass | None) -> None:
    """Raise ValidationError for data more sensitive than one of the models may be sent."""
    if data_class is None:
        return
    order = list(DataClass.values)
    too_low = [
        model.name
        for model in models
        if order.index(model.data_class) < order.index(data_class.value)
    ]
    if too_low:
        names = ", ".join(sorted(too_low))
        raise ValidationError(
            {"data_class": f"{data_class.label} data may not be sent to {names}: leave it out."}
        )


def refuse_end(wanted_until: datetime.datetime) -> None:
    """Raise ValidationError for an end that has passed or lies too far ahead."""
    if wanted_until <= utc_now():
        raise ValidationError({"wanted_until": "This end lies in the past."})
    if wanted_until > days_ahead(DAYS_MAX):
        raise ValidationError({"wanted_until": f"Ask for at most {DAYS_MAX} days."})


def checked_text(text: str, *, field: str, longest: int, may_be_empty: bool = False) -> str:
    """Return the text as it may be kept, without what looks like a credential. Raises: ValidationError."""
    text = redact(text.strip())
    if "\x00" in text:
        raise ValidationError({field: "This text holds a character that cannot be kept."})
    if len(text) > longest or not (text or may_be_empty):
        raise ValidationError({field: f"Write something, in at most {longest} characters."})
    return text


def not_past_sunset() -> Q:
    return Q(sunset_at=None) | Q(sunset_at__gt=utc_now())


def _part_of_models(left: Allowed, models: Sequence[AiModel] | None) -> list[AiModel]:
    wanted = {model.pk for model in (left.models if models is None else models)}
    if not wanted:
        raise ValidationError({"models": "Grant at least one model, or deny the request."})
    part = [model for model in left.models if model.pk in wanted]
    if len(part) < len(wanted):
        raise ValidationError({"models": f"This model {_NOT_LEFT}"})
    ended = [model.name for model in part if not _is_offered(model)]
    if ended:
        raise ValidationError(
            {
                "models": f"Not offered any more: {', '.join(ended)}. Leave it out, or deny the request."
            }
        )
    return part


def _is_offered(model: AiModel) -> bool:
    return model.status in OFFERED and (model.sunset_at is None or model.sunset_at > utc_now())


def _least(request: AccessRequest, agreed: Sequence[StepApproval], name: str) -> int | None:
    named = [getattr(one, name) for one in (request, *agreed)]
    return min((number for number in named if number is not None), default=None)


def _lower(left: int | None, given: int | None, *, field: str) -> int | None:
    """No limit was asked for where `left` is None, so that any limit is less."""
    if given is not None and given < 1:
        raise ValidationError({field: "This has to be 1 or more."})
    if given is not None and left is not None and given > left:
        raise ValidationError({field: f"More than {left} {_NOT_LEFT}"})
    return left if given is None else given
