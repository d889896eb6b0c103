"""What may be asked for, and what of it may be granted: at most what was asked."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from accounts.models.keys import Scope
from models_registry.access import OFFERED
from models_registry.models import AccessRequest, AiModel, DataClass
from portal.lib.clock import days_ahead, utc_now
from portal.lib.redaction import redact

MODELS_MAX = 20
DAYS_MAX = 366


@dataclass(frozen=True)
class Allowed:
    """The part of a request that is granted."""

    models: list[AiModel]
    ends_at: datetime.datetime
    requests_per_minute: int | None
    tokens_per_minute: int | None


def allowed_part(
    request: AccessRequest,
    *,
    models: Sequence[AiModel] | None,
    scopes: Sequence[Scope] | None,
    ends_at: datetime.datetime | None,
    requests_per_minute: int | None,
    tokens_per_minute: int | None,
) -> Allowed:
    """Return what is granted; what is None is as it was asked, models by the kinds of call that are named.

    Raises: ValidationError for more than was asked.
    """
    if not {scope.value for scope in scopes or ()} <= set(request.scopes):
        raise ValidationError({"scopes": "This kind of call was not asked for."})
    if models is None and scopes:
        models = list(_asked(request).filter(kind__in=[scope.value for scope in scopes]))
    part = _part_of_models(request, models)
    if scopes is not None:
        refuse_scopes(part, scopes)
    if ends_at is not None and ends_at > request.wanted_until:
        raise ValidationError({"ends_at": "This is later than what was asked for."})
    return Allowed(
        models=part,
        ends_at=ends_at or request.wanted_until,
        requests_per_minute=_lower(
            request.requests_per_minute, requests_per_minute, field="requests_per_minute"
        ),
        tokens_per_minute=_lower(
            request.tokens_per_minute, tokens_per_minute, field="tokens_per_minute"
        ),
    )


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


def _part_of_models(request: AccessRequest, models: Sequence[AiModel] | None) -> list[AiModel]:
    asked = _asked(request)
    wanted = {model.pk for model in (asked if models is None else models)}
    if not wanted:
        raise ValidationError({"models": "Grant at least one model, or deny the request."})
    part = list(asked.filter(pk__in=wanted))
    if len(part) < len(wanted):
        raise ValidationError({"models": "This model was not asked for."})
    ended = [model.name for model in part if not _is_offered(model)]
    if ended:
        raise ValidationError(
            {
                "models": f"Not offered any more: {', '.join(ended)}. Leave it out, or deny the request."
            }
        )
    return part


def _asked(request: AccessRequest) -> QuerySet[AiModel]:
    return AiModel.objects.filter(requested_models__request=request).order_by("name")


def _is_offered(model: AiModel) -> bool:
    return model.status in OFFERED and (model.sunset_at is None or model.sunset_at > utc_now())


def _lower(asked: int | None, given: int | None, *, field: str) -> int | None:
    """No limit was asked for where `asked` is None, so that any limit is less."""
    if given is not None and asked is not None and given > asked:
        raise ValidationError({field: f"This is more than the {asked} that were asked for."})
    return asked if given is None else given
