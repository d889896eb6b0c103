"""Ask for access, talk about it, and decide on it. Only `approve_request` makes grants of a request."""

import datetime
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.access import access_team
from accounts.audit import acting, record_audit
from accounts.models import ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.roles import Right
from models_registry.access import may_decide, models_seen_by
from models_registry.models import (
    AccessRequest,
    AiModel,
    DataClass,
    Grant,
    RequestComment,
    RequestedModel,
    RequestStatus,
)
from models_registry.models.requests import COMMENT_MAX, JUSTIFICATION_MAX, REASON_MAX
from models_registry.policies_in_force import most_sensitive
from models_registry.writes import request_terms as terms
from models_registry.writes.grants import grant_model
from models_registry.writes.request_mail import (
    tell_of_comment,
    tell_of_decision,
    tell_of_request,
    tell_of_withdrawal,
)
from models_registry.writes.request_steps import write_steps
from portal.lib.clock import utc_now

COMMENTS_MAX = 200
_NO_BUDGET = "A budget is of a whole team's calls. What a service account may spend is set as a limit of its own."
_ONE_OPEN = "one_open_request_per_team_and_model"


@transaction.atomic
def ask_for_access(
    person: User,
    *,
    team: Team,
    models: Sequence[AiModel],
    justification: str,
    wanted_until: datetime.datetime,
    scopes: Sequence[Scope] | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    budget_micro_usd: int | None = None,
    data_class: DataClass | None = None,
    service_account: ServiceAccount | None = None,
) -> AccessRequest:
    """Ask for models, for the whole team or for one of its service accounts.

    scopes: kinds of call; each has to be a kind of one of the models, and each model's kind has to be among them. None
        asks for every kind of the models.
    budget_micro_usd: of the team's calls of each of the models in a calendar month; of a whole team alone.
    data_class: the most sensitive data that is to be sent; None is the most that one of the models may be sent.
    Raises: ValidationError naming the field; Http404 and PermissionDenied for whoever may not ask in this team.
    """
    access_team(person, team.pk, right=Right.ASK_FOR_ACCESS)
    terms.refuse_end(wanted_until)
    _refuse_account(team, service_account)
    models = _seen(person, models)
    if scopes is None:
        scopes = sorted({Scope(model.kind) for model in models})
    terms.refuse_scopes(models, scopes)
    terms.refuse_data_class(models, data_class)
    if budget_micro_usd is not None and service_account is not None:
        raise ValidationError({"budget_micro_usd": _NO_BUDGET})
    request = AccessRequest(
        team=team,
        service_account=service_account,
        requested_by=person,
        scopes=sorted({scope.value for scope in scopes}),
        justification=terms.checked_text(
            justification, field="justification", longest=JUSTIFICATION_MAX
        ),
        data_class=data_class or most_sensitive(models),
        wanted_until=wanted_until,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        budget_micro_usd=budget_micro_usd,
    )
    request.full_clean()
    request.save()
    _name_models(request, models)
    write_steps(request, models)
    record_audit(
        AuditTag.REQUEST_MADE,
        actor=acting(person),
        subject_kind="request",
        subject_id=request.id,
        team_id=team.pk,
        model_ids=[str(model.pk) for model in models],
        scopes=request.scopes,
        wanted_until=wanted_until.isoformat(),
        data_class=request.data_class,
        budget_micro_usd=budget_micro_usd,
    )
    tell_of_request(request, models=models)
    return request


@transaction.atomic
def comment_on_request(request: AccessRequest, *, actor: User, text: str) -> RequestComment:
    """Say something about an open request: whoever may ask in its team, and whoever decides.

    Raises: ValidationError naming the field, also for a request that is not open any more; Http404; PermissionDenied.
    """
    if not may_decide(actor):
        access_team(actor, request.team_id, right=Right.ASK_FOR_ACCESS)
    request = _locked(request)
    if request.comments.count() >= COMMENTS_MAX:
        raise ValidationError({"text": f"A request takes at most {COMMENTS_MAX} comments."})
    comment = RequestComment(
        request=request,
        author=actor,
        text=terms.checked_text(text, field="text", longest=COMMENT_MAX),
    )
    comment.full_clean()
    comment.save()
    record_audit(
        AuditTag.REQUEST_COMMENTED,
        actor=acting(actor),
        subject_kind="request",
        subject_id=request.id,
        team_id=request.team_id,
    )
    tell_of_comment(comment)
    return comment


@transaction.atomic
def withdraw_request(request: AccessRequest, *, actor: User) -> None:
    """Take an open request back: who made it, and who manages the team's keys.

    Raises: ValidationError for a request that is not open any more; Http404; PermissionDenied.
    """
    is_own = request.requested_by_id == actor.pk
    access_team(actor, request.team_id, right=Right.SEE_TEAM if is_own else Right.MANAGE_KEYS)
    request = _locked(request)
    _close(request, RequestStatus.WITHDRAWN, actor=actor, reason="")
    record_audit(
        AuditTag.REQUEST_WITHDRAWN,
        actor=acting(actor),
        subject_kind="request",
        subject_id=request.id,
        team_id=request.team_id,
    )
    tell_of_withdrawal(request, by=actor)


@transaction.atomic
def approve_request(
    request: AccessRequest,
    *,
    actor: User,
    reason: str = "",
    models: Sequence[AiModel] | None = None,
    scopes: Sequence[Scope] | None = None,
    ends_at: datetime.datetime | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> list[Grant]:
    """Grant what was asked for, or less, in the transaction that closes the request.

    What is None is as it was asked; where only kinds of call are named, the models are those called by them. Of two
    decisions at once the first counts and the second is refused.
    Raises: ValidationError naming the field that is more than was asked, or for a request that is not open any more;
    PermissionDenied for whoever may not decide, on their own request too.
    """
    _refuse_decision(request, actor)
    request = _locked(request)
    reason = terms.checked_text(reason, field="reason", longest=REASON_MAX, may_be_empty=True)
    allowed = terms.allowed_part(
        request,
        models=models,
        scopes=scopes,
        ends_at=ends_at,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    _refuse_account(request.team, request.service_account)
    grants = [_grant(request, model, allowed, actor) for model in allowed.models]
    _close(request, RequestStatus.APPROVED, actor=actor, reason=reason)
    record_audit(
        AuditTag.REQUEST_APPROVED,
        actor=acting(actor),
        subject_kind="request",
        subject_id=request.id,
        team_id=request.team_id,
        model_ids=[str(model.pk) for model in allowed.models],
        reason=reason,
    )
    tell_of_decision(request, models=allowed.models)
    return grants


@transaction.atomic
def deny_request(request: AccessRequest, *, actor: User, reason: str) -> None:
    """Refuse what was asked for. Of two decisions at once the first counts and the second is refused.

    Raises: ValidationError without a reason or for a request that is not open any more; PermissionDenied.
    """
    _refuse_decision(request, actor)
    request = _locked(request)
    reason = terms.checked_text(reason, field="reason", longest=REASON_MAX)
    _close(request, RequestStatus.DENIED, actor=actor, reason=reason)
    record_audit(
        AuditTag.REQUEST_DENIED,
        actor=acting(actor),
        subject_kind="request",
        subject_id=request.id,
        team_id=request.team_id,
        reason=reason,
    )
    tell_of_decision(request, models=[named.model for named in _named(request)])


def _seen(person: User, models: Sequence[AiModel]) -> list[AiModel]:
    """The models as they are now. One that the person does not see is refused like one that does not exist."""
    wanted = {model.pk for model in models}
    if not 0 < len(wanted) <= terms.MODELS_MAX:
        raise ValidationError({"models": f"Ask for 1 to {terms.MODELS_MAX} models."})
    seen = list(models_seen_by(person).filter(terms.not_past_sunset(), pk__in=wanted))
    if len(seen) < len(wanted):
        raise ValidationError({"models": "One of these models does not exist or has ended."})
    return seen


def _refuse_account(team: Team, account: ServiceAccount | None) -> None:
    if account is None:
        return
    if not team.service_accounts.filter(pk=account.pk, disabled_at=None).exists():
        raise ValidationError(
            {"service_account": "This service account does not exist in the team, or is disabled."}
        )


def _name_models(request: AccessRequest, models: Sequence[AiModel]) -> None:
    """Write what is asked for. Raises: ValidationError where an open request of the team asks for it already."""
    # In one order, so that two requests for the same models wait for each other instead of locking each other out.
    rows = [
        RequestedModel(request=request, team_id=request.team_id, model=model)
        for model in sorted(models, key=lambda model: model.pk)
    ]
    try:
        with transaction.atomic():
            RequestedModel.objects.bulk_create(rows)
    except IntegrityError as error:
        if _ONE_OPEN not in str(error):
            raise
        same = Q(team_id=request.team_id, model__in=models, is_open=True)
        names = RequestedModel.objects.filter(same).values_list("model__name", flat=True)
        raise ValidationError(
            {
                "models": f"An open request of this team asks for {', '.join(sorted(names)) or 'one of these models'} "
                "already. Comment there, or withdraw it first."
            }
        ) from None


def _refuse_decision(request: AccessRequest, actor: User) -> None:
    if not may_decide(actor):
        raise PermissionDenied
    if request.requested_by_id == actor.pk:
        raise PermissionDenied("Nobody decides on a request of their own.")


def _locked(request: AccessRequest) -> AccessRequest:
    """The request as it is now, kept from changing until the end. Raises: ValidationError unless it is open."""
    request = (
        AccessRequest.objects.select_for_update(of=("self",))
        .select_related("team", "service_account", "requested_by")
        .get(pk=request.pk)
    )
    if request.status != RequestStatus.OPEN:
        raise ValidationError(
            f"This request has been {request.status} meanwhile; nothing more can be done with it."
        )
    return request


def _named(request: AccessRequest) -> list[RequestedModel]:
    return list(request.requested_models.select_related("model").order_by("model__name"))


def _grant(request: AccessRequest, model: AiModel, allowed: terms.Allowed, actor: User) -> Grant:
    grant = grant_model(
        model,
        to=request.service_account or request.team,
        scopes=[Scope(model.kind)],
        ends_at=allowed.ends_at,
        requests_per_minute=allowed.requests_per_minute,
        tokens_per_minute=allowed.tokens_per_minute,
        actor=acting(actor),
    )
    request.requested_models.filter(model=model).update(grant=grant)
    return grant


def _close(request: AccessRequest, status: RequestStatus, *, actor: User, reason: str) -> None:
    request.status, request.decided_at, request.decided_by = status, utc_now(), actor
    request.decision_reason = reason
    request.save(update_fields=["status", "decided_at", "decided_by", "decision_reason"])
    request.requested_models.update(is_open=False)
