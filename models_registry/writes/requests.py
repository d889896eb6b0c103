"""Ask for access, talk about it, and decide on it. Only here are grants made of a request, once every step is met."""

import datetime
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.access import access_team
from accounts.audit import SYSTEM, Actor, Fact, acting, record_audit
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
from models_registry.step_access import is_approver_of
from models_registry.writes import request_terms as terms
from models_registry.writes.grants import grant_model
from models_registry.writes.request_budgets import set_budget
from models_registry.writes.request_mail import (
    tell_of_agreement,
    tell_of_comment,
    tell_of_decision,
    tell_of_request,
    tell_of_withdrawal,
)
from models_registry.writes.request_steps import NOT_OWN, agree, steps_for, write_steps
from portal.lib.clock import utc_now

COMMENTS_MAX = 200
LATE = "Not everybody who has to agree did so in time."
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
    steps = write_steps(request, models)
    record_request(
        AuditTag.REQUEST_MADE,
        request,
        actor=acting(person),
        model_ids=[str(model.pk) for model in models],
        scopes=request.scopes,
        wanted_until=wanted_until.isoformat(),
        data_class=request.data_class,
        budget_micro_usd=budget_micro_usd,
    )
    if steps:
        tell_of_request(request, steps=steps, models=models)
    else:
        _grant_all(request, terms.allowed_part(terms.left_of(request)), by=None, reason="")
    return request


@transaction.atomic
def comment_on_request(request: AccessRequest, *, actor: User, text: str) -> RequestComment:
    """Say something about an open request: whoever may ask in its team, and whoever decides.

    Raises: ValidationError naming the field, also for a request that is not open any more; Http404; PermissionDenied.
    """
    if not may_decide(actor) and not is_approver_of(actor, request):
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
    record_request(AuditTag.REQUEST_COMMENTED, request, actor=acting(actor))
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
    record_request(AuditTag.REQUEST_WITHDRAWN, request, actor=acting(actor))
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
    budget_micro_usd: int | None = None,
) -> list[Grant]:
    """Agree to what was asked for, or to less with a reason, in every step that waits for the actor.

    The last agreement that is needed makes the grants and closes the request; until then there are none to return.
    What is None is as it was asked, or as those left it who agreed before; where only kinds of call are named, the models
    are those called by them. Of two at once the second is held against what the first one left.
    Raises: ValidationError naming the field that is more than is left, or for a request that is not open any more;
    PermissionDenied for whoever no step waits for, and on their own request.
    """
    request, actor = _locked_to_decide(request, actor)
    steps = list(request.steps.all())
    own = steps_for(actor, steps)
    left = terms.left_of(request)
    allowed = terms.allowed_part(
        left,
        models=models,
        scopes=scopes,
        ends_at=ends_at,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        budget_micro_usd=budget_micro_usd,
    )
    if allowed != left and not reason.strip():
        raise ValidationError({"reason": "Say why it is less than was asked for."})
    reason = terms.checked_text(reason, field="reason", longest=REASON_MAX, may_be_empty=True)
    begun = agree(actor, own, steps, allowed=allowed, reason=reason)
    if all(step.met_at is not None for step in steps):
        return _grant_all(request, allowed, by=actor, reason=reason)
    record_request(
        AuditTag.REQUEST_AGREED,
        request,
        actor=acting(actor),
        steps=[str(step.pk) for step in own],
        model_ids=[str(model.pk) for model in allowed.models],
        reason=reason,
    )
    tell_of_agreement(request, by=actor, begun=begun, models=allowed.models)
    return []


@transaction.atomic
def deny_request(request: AccessRequest, *, actor: User, reason: str) -> None:
    """Refuse what was asked for: whoever a step waits for, and whoever decides on requests.

    Of two decisions at once the first counts and the second is refused.
    Raises: ValidationError without a reason or for a request that is not open any more; PermissionDenied.
    """
    request, actor = _locked_to_decide(request, actor)
    if not may_decide(actor):
        steps_for(actor, list(request.steps.all()))
    reason = terms.checked_text(reason, field="reason", longest=REASON_MAX)
    _close(request, RequestStatus.DENIED, actor=actor, reason=reason)
    record_request(AuditTag.REQUEST_DENIED, request, actor=acting(actor), reason=reason)
    tell_of_decision(request, models=[named.model for named in _named(request)])


def deny_late(request: AccessRequest) -> None:
    """Deny a request in the system's name, as the policy of a late step says. Whoever calls holds the request's lock."""
    _close(request, RequestStatus.DENIED, actor=None, reason=LATE)
    record_request(AuditTag.REQUEST_DENIED, request, actor=SYSTEM, reason=LATE)
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


def _locked(request: AccessRequest) -> AccessRequest:
    """The request as it is now, kept from changing until the end. Raises: ValidationError unless it is open."""
    request = _as_it_is(request)
    _refuse_closed(request)
    return request


def _locked_to_decide(request: AccessRequest, actor: User) -> tuple[AccessRequest, User]:
    """The same, and who decides as they are now: while the lock was waited for, they may have lost what let them.

    Raises: PermissionDenied for whoever is nothing to the request or made it; ValidationError unless it is open.
    """
    request, acts_in_team_id = _as_it_is(request), actor.acts_in_team_id
    actor = User.objects.get(pk=actor.pk)
    actor.acts_in_team_id = acts_in_team_id
    if request.requested_by_id == actor.pk:
        raise PermissionDenied(NOT_OWN)
    if not may_decide(actor) and not is_approver_of(actor, request):
        raise PermissionDenied
    _refuse_closed(request)
    return request, actor


def _as_it_is(request: AccessRequest) -> AccessRequest:
    return (
        AccessRequest.objects.select_for_update(of=("self",))
        .select_related("team", "service_account", "requested_by")
        .get(pk=request.pk)
    )


def _refuse_closed(request: AccessRequest) -> None:
    if request.status != RequestStatus.OPEN:
        raise ValidationError(
            f"This request has been {request.status} meanwhile; nothing more can be done with it."
        )


def _named(request: AccessRequest) -> list[RequestedModel]:
    return list(request.requested_models.select_related("model").order_by("model__name"))


def _grant_all(
    request: AccessRequest, allowed: terms.Allowed, *, by: User | None, reason: str
) -> list[Grant]:
    """Make the grants of a request that nobody's agreement is missing from. by: None where the policies ask for nobody's."""
    actor = SYSTEM if by is None else acting(by)
    _refuse_account(request.team, request.service_account)
    grants = [_grant(request, model, allowed, actor) for model in allowed.models]
    if allowed.budget_micro_usd is not None:
        for model in allowed.models:
            set_budget(request.team, model, allowed.budget_micro_usd, actor=actor)
    _close(request, RequestStatus.APPROVED, actor=by, reason=reason)
    record_request(
        AuditTag.REQUEST_APPROVED,
        request,
        actor=actor,
        model_ids=[str(model.pk) for model in allowed.models],
        reason=reason,
    )
    tell_of_decision(request, models=allowed.models)
    return grants


def _grant(request: AccessRequest, model: AiModel, allowed: terms.Allowed, actor: Actor) -> Grant:
    grant = grant_model(
        model,
        to=request.service_account or request.team,
        scopes=[Scope(model.kind)],
        ends_at=allowed.ends_at,
        requests_per_minute=allowed.requests_per_minute,
        tokens_per_minute=allowed.tokens_per_minute,
        actor=actor,
    )
    request.requested_models.filter(model=model).update(grant=grant)
    return grant


def _close(
    request: AccessRequest, status: RequestStatus, *, actor: User | None, reason: str
) -> None:
    request.status, request.decided_at, request.decided_by = status, utc_now(), actor
    request.decision_reason = reason
    request.save(update_fields=["status", "decided_at", "decided_by", "decision_reason"])
    request.requested_models.update(is_open=False)


def record_request(tag: AuditTag, request: AccessRequest, *, actor: Actor, **facts: Fact) -> None:
    """Append to the trail what becomes of the request."""
    record_audit(
        tag,
        actor=actor,
        subject_kind="request",
        subject_id=request.id,
        team_id=request.team_id,
        **facts,
    )
