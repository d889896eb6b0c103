"""What became of a request, in the order in which it happened."""

import datetime
from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import User
from models_registry.models import AccessRequest, RequestStatus

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


def timeline_of(request: AccessRequest) -> list[Event]:
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
    return [made, *comments, *_end(request)]


def _end(request: AccessRequest) -> list[Event]:
    if request.decided_at is None:
        return []
    what = {
        RequestStatus.APPROVED: _("approved it"),
        RequestStatus.DENIED: _("denied it"),
        RequestStatus.WITHDRAWN: _("withdrew it"),
    }
    status = RequestStatus(request.status)
    return [
        Event(
            request.decided_at,
            _name(request.decided_by),
            what[status],
            request.decision_reason,
            _KINDS[status],
        )
    ]


def _name(person: User | None) -> str:
    return _("Somebody who is gone") if person is None else person.name or person.email
