"""What became of a request, in the order in which it happened."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import User
from models_registry.models import AccessRequest, RequestStatus, RequestStep
from models_registry.step_words import who_agrees

_KINDS = {
    RequestStatus.APPROVED: "ok",
    RequestStatus.DENIED: "bad",
    RequestStatus.WITHDRAWN: "quiet",
}


@dataclass(frozen=True)
class Event:
    """One thing that happened. kind: the class of its mark; said: what the person wrote, if anything."""

    at: datetime.datetime
    who: str
    what: str
    said: str
    kind: str = ""


def timeline_of(request: AccessRequest, steps: Sequence[RequestStep]) -> list[Event]:
    """steps: of the request, with who agreed."""
    made = Event(
        request.created_at,
        _name(request.requested_by),
        _("asked for access"),
        request.justification,
    )
    comments = [
        Event(comment.at, _name(comment.author), _("commented"), comment.text)
        for comment in request.comments.select_related("author").order_by("id")
    ]
    between = sorted([*comments, *_agreements(request, steps)], key=lambda event: event.at)
    return [made, *between, *_end(request, is_automatic=not steps)]


def _agreements(request: AccessRequest, steps: Iterable[RequestStep]) -> list[Event]:
    """Each agreement, once for all steps it counted in; the last one stands at the end, as the approval."""
    agreed: dict[object, tuple[datetime.datetime, User | None, str, list[str]]] = {}
    for step in steps:
        for approval in step.approvals.all():
            press = (approval.person_id, approval.at)
            row = agreed.setdefault(press, (approval.at, approval.person, approval.reason, []))
            row[3].append(who_agrees(step))
    if request.status == RequestStatus.APPROVED and agreed:
        del agreed[max(agreed, key=lambda press: agreed[press][0])]
    return [
        Event(at, _name(person), _("agreed, as %(who)s") % {"who": "; ".join(who)}, reason, "ok")
        for at, person, reason, who in agreed.values()
    ]


def _end(request: AccessRequest, *, is_automatic: bool) -> list[Event]:
    if request.decided_at is None:
        return []
    what = {
        RequestStatus.APPROVED: _("approved it"),
        RequestStatus.DENIED: _("denied it"),
        RequestStatus.WITHDRAWN: _("withdrew it"),
    }
    status = RequestStatus(request.status)
    is_automatic = is_automatic and status == RequestStatus.APPROVED
    return [
        Event(
            request.decided_at,
            _("The policies in force") if is_automatic else _name(request.decided_by),
            what[status],
            request.decision_reason,
            _KINDS[status],
        )
    ]


def _name(person: User | None) -> str:
    return _("Somebody who is gone") if person is None else person.name or person.email
