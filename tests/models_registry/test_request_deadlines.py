"""Time reminds, escalates and denies, each once, whoever asks how often."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from models_registry.models import AccessRequest, RequestStatus, StepBy, WhenLate
from models_registry.policy_rules import Step
from models_registry.writes.policies import switch_off
from models_registry.writes.request_deadlines import carry_requests_on
from models_registry.writes.requests import approve_request, withdraw_request
from portal.lib.clock import utc_now
from tests.accounts.rows import new_holder, new_member, new_team
from tests.models_registry.rows import ask, new_decider, new_offer, new_policy

HOUR = datetime.timedelta(hours=1)


def asked(*steps: Step) -> AccessRequest:
    team, model = new_team(), new_offer()
    new_policy(*steps, model_ids=[model.pk])
    return ask(new_member(team), team, model)


def reminded(request: AccessRequest, *among: User) -> list[User | None]:
    """Who of these was, in order. What other tests committed may hold others who can agree."""
    rows = Notification.objects.filter(
        kind=NotificationKind.REQUEST_WAITS, facts__request_id=str(request.pk), person__in=among
    )
    return [row.person for row in rows.select_related("person").order_by("id")]


def tags_of(request: AccessRequest) -> list[str]:
    entries = AuditEntry.objects.filter(subject_id=request.pk).order_by("id")
    return list(entries.values_list("tag", flat=True))


def after(hours: float) -> int:
    return carry_requests_on(now=utc_now() + hours * HOUR)


@pytest.mark.django_db
def test_whoever_has_not_agreed_is_reminded_once_and_again_when_it_is_late() -> None:
    guard, other = (new_holder(PortalRole.SECURITY) for _ in range(2))
    request = asked(Step(StepBy.SECURITY, needs=2, remind_hours=24, due_hours=48))
    approve_request(request, actor=guard)
    assert after(23.9) == 0
    assert (after(24.1), after(24.1)) == (1, 0)
    assert reminded(request, guard, other) == [other]
    assert (after(48.1), after(999)) == (1, 0)
    assert reminded(request, guard, other) == [other, other]
    assert tags_of(request) == [AuditTag.REQUEST_MADE, AuditTag.REQUEST_AGREED]


@pytest.mark.django_db
def test_a_late_step_is_opened_to_whoever_decides_with_an_entry() -> None:
    guard, decider = new_holder(PortalRole.SECURITY), new_decider()
    request = asked(Step(StepBy.SECURITY, remind_hours=1, due_hours=2, when_late=WhenLate.ESCALATE))
    # Nobody looked for long: the reminder lapses with the deadline.
    assert (after(3), after(3)) == (1, 0)
    assert set(reminded(request, guard, decider)) == {guard, decider}
    assert tags_of(request) == [AuditTag.REQUEST_MADE, AuditTag.REQUEST_ESCALATED]
    entry = AuditEntry.objects.get(tag=AuditTag.REQUEST_ESCALATED, subject_id=request.pk)
    assert entry.actor_kind == ActorKind.SYSTEM
    assert approve_request(request, actor=decider)


@pytest.mark.django_db
def test_a_request_is_denied_where_its_policy_says_so_of_a_late_step() -> None:
    request = asked(
        Step(StepBy.SECURITY, due_hours=2, when_late=WhenLate.DENY),
        Step(StepBy.MANAGER, due_hours=2),
    )
    assert (after(1.9), after(2.1), after(2.1)) == (0, 1, 0)
    request.refresh_from_db()
    assert (request.status, request.decided_by) == (RequestStatus.DENIED, None)
    assert "in time" in request.decision_reason
    assert tags_of(request) == [AuditTag.REQUEST_MADE, AuditTag.REQUEST_DENIED]
    decided = Notification.objects.get(
        kind=NotificationKind.REQUEST_DECIDED, facts__request_id=str(request.pk)
    )
    assert decided.person == request.requested_by


@pytest.mark.django_db
def test_time_runs_from_a_steps_own_turn_and_not_once_the_request_is_closed() -> None:
    guard = new_holder(PortalRole.SECURITY)
    request = asked(
        Step(StepBy.SECURITY), Step(StepBy.DECIDERS, stage=2, due_hours=1, remind_hours=None)
    )
    assert after(100) == 0
    approve_request(request, actor=guard)
    other = asked(Step(StepBy.SECURITY, due_hours=1, when_late=WhenLate.DENY))
    assert other.requested_by is not None
    withdraw_request(other, actor=other.requested_by)
    assert after(2) == 1
    other.refresh_from_db()
    assert other.status == RequestStatus.WITHDRAWN


def test_several_processes_at_once_do_it_once(committed: None) -> None:
    request = asked(Step(StepBy.SECURITY, due_hours=1, when_late=WhenLate.DENY))
    step = request.steps.get()

    def run(_: int) -> int:
        try:
            return after(2)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(run, range(3))) == 1
    assert tags_of(request) == [AuditTag.REQUEST_MADE, AuditTag.REQUEST_DENIED]
    assert step.version is not None
    switch_off(step.version.policy, actor=COMMAND)
