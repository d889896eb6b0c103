"""Who is told of a request: those whose turn it is to agree, or the side that did not just speak."""

from collections.abc import Iterable, Sequence

from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind
from accounts.writes.notifications import Fact, notify
from accounts.writes.webhooks import tell_webhooks
from models_registry.access import may_decide
from models_registry.models import AccessRequest, AiModel, RequestComment, RequestStep
from models_registry.step_access import is_approver_of, people_in

APPROVERS_TOLD_MAX = 50


def tell_of_request(
    request: AccessRequest, *, steps: Iterable[RequestStep], models: Sequence[AiModel]
) -> None:
    """Tell whoever a step waits for that it is their turn."""
    waiting = [step for step in steps if step.turn_at is not None and step.met_at is None]
    facts = _facts(request, models) | {"justification": request.justification}
    _tell(_approvers(request, waiting), NotificationKind.REQUEST_MADE, facts)


def tell_of_agreement(
    request: AccessRequest,
    *,
    by: User,
    begun: Sequence[RequestStep],
    models: Sequence[AiModel],
) -> None:
    """Tell the requester that somebody agreed, and those whose turn comes by it that it does."""
    if request.requested_by is not None:
        facts = _facts(request, models) | {"by": _shown(by)}
        _tell([request.requested_by], NotificationKind.REQUEST_AGREED, facts)
    if begun:
        tell_of_request(request, steps=begun, models=models)


def tell_again(request: AccessRequest, step: RequestStep) -> None:
    """Remind those who can agree in a step and have not; of one that was escalated those, too, who may by that."""
    done = set(step.approvals.values_list("person_id", flat=True))
    told = [person for person in _approvers(request, [step]) if person.pk not in done]
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    facts = _facts(request, models) | {
        "since": "" if step.turn_at is None else step.turn_at.isoformat(),
        "is_late": step.late_at is not None,
    }
    _tell(told, NotificationKind.REQUEST_WAITS, facts)


def tell_of_comment(comment: RequestComment) -> None:
    """Tell the requester what an approver said, and approvers what the team said: those in the talk, or else all."""
    request, author = comment.request, comment.author
    if author is not None and _is_approver(author, request):
        told = [] if request.requested_by is None else [request.requested_by]
    else:
        everyone = _approvers(request, request.steps.filter(turn_at__isnull=False))
        spoke = set(request.comments.values_list("author_id", flat=True))
        told = [person for person in everyone if person.pk in spoke] or everyone
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    facts = _facts(request, models) | {"author": _shown(author), "text": comment.text}
    _tell(
        (person for person in told if person != author), NotificationKind.REQUEST_COMMENTED, facts
    )


def tell_of_decision(request: AccessRequest, *, models: Sequence[AiModel]) -> None:
    facts = _facts(request, models)
    facts |= {"status": request.status, "reason": request.decision_reason}
    tell_webhooks(request.team_id, NotificationKind.REQUEST_DECIDED, once=None, **facts)
    if request.requested_by is not None:
        _tell([request.requested_by], NotificationKind.REQUEST_DECIDED, facts)


def tell_of_withdrawal(request: AccessRequest, *, by: User) -> None:
    """Tell those who were told that it was made: there is nothing left for them to decide."""
    made = Notification.objects.filter(
        kind=NotificationKind.REQUEST_MADE,
        person__in=_approvers(request, request.steps.filter(turn_at__isnull=False)),
        facts__request_id=str(request.pk),
    )
    told = User.objects.filter(notifications__in=made).exclude(pk=by.pk).order_by("pk").distinct()
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    facts = _facts(request, models) | {"withdrawn_by": _shown(by)}
    _tell(told, NotificationKind.REQUEST_WITHDRAWN, facts)


def _approvers(request: AccessRequest, steps: Iterable[RequestStep]) -> list[User]:
    """Whoever can agree in the steps, the longest known first, and no more than can be mailed at once."""
    able = people_in(steps)
    if request.requested_by is not None:
        able = able.exclude(pk=request.requested_by.pk)
    return list(able[:APPROVERS_TOLD_MAX])


def _is_approver(person: User, request: AccessRequest) -> bool:
    if person.pk == request.requested_by_id:
        return False
    return may_decide(person) or is_approver_of(person, request)


def _facts(request: AccessRequest, models: Iterable[AiModel]) -> dict[str, Fact]:
    return {
        "request_id": str(request.pk),
        "team": request.team.name,
        "models": [model.name for model in models],
        "requested_by": _shown(request.requested_by),
    }


def _shown(person: User | None) -> str:
    return "" if person is None else person.name or person.email


def _tell(people: Iterable[User], kind: NotificationKind, facts: dict[str, Fact]) -> None:
    for person in people:
        notify(person, kind, once=None, **facts)
