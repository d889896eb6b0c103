"""What time does to requests: reminders, steps that are late, and what their policy says of those. Asked for by beat.

What is due is read from the rows, so that it does not matter how often, how late or from how many processes it is asked for.
"""

import datetime
import uuid

from django.db import transaction
from django.db.models import Q

from accounts.audit import SYSTEM
from accounts.models.audit import AuditTag
from models_registry.models import AccessRequest, RequestStatus, RequestStep, WhenLate
from models_registry.writes.request_mail import tell_again
from models_registry.writes.requests import deny_late, record_request

IN_A_RUN_MAX = 500


def carry_requests_on(*, now: datetime.datetime) -> int:
    """Remind, escalate and deny what is due; return how many requests that touched. Each in a transaction of its own."""
    return sum(_carry_on(request_id, now) for request_id in _with_due_steps(now))


def _with_due_steps(now: datetime.datetime) -> list[uuid.UUID]:
    waiting = RequestStep.objects.filter(
        Q(remind_hours__isnull=False, reminded_at=None) | Q(due_hours__isnull=False, late_at=None),
        request__status=RequestStatus.OPEN,
        turn_at__isnull=False,
        met_at=None,
    )
    due = {step.request_id: None for step in waiting.order_by("turn_at") if _is_due(step, now)}
    return list(due)[:IN_A_RUN_MAX]


@transaction.atomic
def _carry_on(request_id: uuid.UUID, now: datetime.datetime) -> bool:
    """Do what is due for one request, as it is once nobody else changes it. Returns whether anything was."""
    request = (
        AccessRequest.objects.select_for_update(of=("self",))
        .select_related("team", "requested_by")
        .filter(pk=request_id, status=RequestStatus.OPEN)
        .first()
    )
    if request is None:
        return False
    steps = request.steps.filter(turn_at__isnull=False, met_at=None)
    due = [step for step in steps if _is_due(step, now)]
    for step in due:
        if not _is_late(step, now):
            step.reminded_at = now
            step.save(update_fields=["reminded_at"])
            tell_again(request, step)
        elif _be_late(request, step, now):
            # It was denied: there is nothing left to be late for.
            break
    return bool(due)


def _be_late(request: AccessRequest, step: RequestStep, now: datetime.datetime) -> bool:
    """Do what the policy says of a late step. Returns whether the request was denied by it."""
    step.late_at = now
    # A reminder whose time has passed as well would say the same twice.
    step.reminded_at = step.reminded_at or now
    step.save(update_fields=["late_at", "reminded_at"])
    if step.when_late == WhenLate.DENY:
        deny_late(request)
        return True
    if step.when_late == WhenLate.ESCALATE:
        record_request(AuditTag.REQUEST_ESCALATED, request, actor=SYSTEM, steps=[str(step.pk)])
    tell_again(request, step)
    return False


def _is_due(step: RequestStep, now: datetime.datetime) -> bool:
    is_to_remind = step.reminded_at is None and _has_passed(step, step.remind_hours, now)
    return is_to_remind or _is_late(step, now)


def _is_late(step: RequestStep, now: datetime.datetime) -> bool:
    return step.late_at is None and _has_passed(step, step.due_hours, now)


def _has_passed(step: RequestStep, hours: int | None, now: datetime.datetime) -> bool:
    if hours is None or step.turn_at is None:
        return False
    return now >= step.turn_at + datetime.timedelta(hours=hours)
