"""Who is told of a request: those who may decide, or the side that did not just speak."""

from collections.abc import Iterable, Sequence

from accounts.access import people_holding
from accounts.models import Notification, User
from accounts.models.notifications import NotificationKind
from accounts.roles import PortalRight
from accounts.writes.notifications import Fact, notify
from models_registry.access import may_decide
from models_registry.models import AccessRequest, AiModel, RequestComment

DECIDERS_TOLD_MAX = 50


def tell_of_request(request: AccessRequest, *, models: Sequence[AiModel]) -> None:
    facts = _facts(request, models) | {"justification": request.justification}
    _tell(_deciders(request), NotificationKind.REQUEST_MADE, facts)


def tell_of_comment(comment: RequestComment) -> None:
    """Tell the requester what a decider said, and deciders what the team said: those in the talk, or else all."""
    request, author = comment.request, comment.author
    is_of_team = author is None or author.pk == request.requested_by_id or not may_decide(author)
    if not is_of_team:
        told = [] if request.requested_by is None else [request.requested_by]
    else:
        everyone = _deciders(request)
        spoke = set(request.comments.values_list("author_id", flat=True))
        told = [person for person in everyone if person.pk in spoke] or everyone
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    facts = _facts(request, models) | {"author": _shown(author), "text": comment.text}
    _tell(
        (person for person in told if person != author), NotificationKind.REQUEST_COMMENTED, facts
    )


def tell_of_decision(request: AccessRequest, *, models: Sequence[AiModel]) -> None:
    if request.requested_by is not None:
        facts = _facts(request, models)
        facts |= {"status": request.status, "reason": request.decision_reason}
        _tell([request.requested_by], NotificationKind.REQUEST_DECIDED, facts)


def tell_of_withdrawal(request: AccessRequest, *, by: User) -> None:
    """Tell those who were told that it was made: there is nothing left for them to decide."""
    made = Notification.objects.filter(
        kind=NotificationKind.REQUEST_MADE,
        person__in=_deciders(request),
        facts__request_id=str(request.pk),
    )
    told = User.objects.filter(notifications__in=made).exclude(pk=by.pk).order_by("pk").distinct()
    models = AiModel.objects.filter(requested_models__request=request).order_by("name")
    facts = _facts(request, models) | {"withdrawn_by": _shown(by)}
    _tell(told, NotificationKind.REQUEST_WITHDRAWN, facts)


def _deciders(request: AccessRequest) -> list[User]:
    """Whoever may decide on the request, the longest known first, and no more than can be mailed at once."""
    able = people_holding(PortalRight.DECIDE_REQUESTS)
    if request.requested_by is not None:
        able = able.exclude(pk=request.requested_by.pk)
    return list(able[:DECIDERS_TOLD_MAX])


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
