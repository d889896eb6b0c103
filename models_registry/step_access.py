"""The door to decisions: who can agree in which step of a request. Nobody can in a request of their own."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from accounts.access import people_holding, teams_of
from accounts.models import Membership, PortalAssignment, User
from accounts.models.roles import PortalRole
from accounts.roles import PortalRight, Right, holds, portal_rights, portal_roles, with_right
from accounts.second_factors import has_second_factor
from models_registry.models import (
    AccessRequest,
    ApprovalDelegation,
    RequestStatus,
    RequestStep,
    StepApproval,
    StepBy,
    WhenLate,
)
from portal.lib.clock import utc_now

OF_MANAGERS = (StepBy.OWNER, StepBy.MANAGER)
_IS_ESCALATED = Q(late_at__isnull=False, when_late=WhenLate.ESCALATE)


def steps_of(person: User) -> Q:
    """The steps in which the person can agree, in their own right or in the place of somebody who is away."""
    found = _own_steps(person)
    for away in _away(person):
        found |= _own_steps(away) & ~Q(request__requested_by=away)
    return found


def open_steps_of(person: User) -> Q:
    """Those of them in which the person, and whoever they stand for, has not agreed so far."""
    found = _own_steps(person) & ~_agreed(person)
    for away in _away(person):
        found |= _own_steps(away) & ~Q(request__requested_by=away) & ~_agreed(away)
    agreed = StepApproval.objects.filter(person=person)
    return found & ~Q(pk__in=agreed.values("step_id"))


def place_taken(person: User, step: RequestStep) -> User | None:
    """In whose place the person agrees in a step that is open to them; None in their own right."""
    this = RequestStep.objects.filter(pk=step.pk)
    if this.filter(_own_steps(person) & ~_agreed(person)).exists():
        return None
    for away in _away(person):
        if this.filter(_own_steps(away) & ~Q(request__requested_by=away) & ~_agreed(away)).exists():
            return away
    return None


def _own_steps(person: User) -> Q:
    """None while they act in one team alone."""
    if person.acts_in_team_id is not None or not person.is_active:
        return Q(pk__in=[])
    found = Q(by=StepBy.GROUP, team__in=teams_of(person))
    found |= Q(by__in=OF_MANAGERS, team__in=teams_of(person, right=Right.MANAGE_KEYS))
    if portal_rights(person) and PortalRole.SECURITY in portal_roles(person):
        found |= Q(by=StepBy.SECURITY)
    if holds(person, PortalRight.DECIDE_REQUESTS):
        found |= Q(by=StepBy.DECIDERS) | _IS_ESCALATED
    return found


def _agreed(person: User) -> Q:
    """The steps in which the person agreed, or somebody in their place."""
    approvals = StepApproval.objects.filter(Q(person=person) | Q(in_place_of=person))
    return Q(pk__in=approvals.values("step_id"))


def _away(person: User) -> list[User]:
    """In whose place the person can agree now. Who has a second factor is stood for by nobody without one."""
    if person.acts_in_team_id is not None or not person.is_active:
        return []
    rows = ApprovalDelegation.objects.filter(delegate=person, ends_at__gt=utc_now())
    away = [row.person for row in rows.select_related("person").order_by("pk")]
    return [one for one in away if has_second_factor(person) or not has_second_factor(one)]


def is_approver_of(person: User, request: AccessRequest) -> bool:
    """Whether some step of the request, now or later, is the person's to agree in; never for their own request."""
    if request.requested_by_id == person.pk:
        return False
    return RequestStep.objects.filter(steps_of(person), request=request).exists()


def is_approver(person: User) -> bool:
    """Whether some open request has a step, now or later, in which the person can agree."""
    return requests_to_agree_to(person).exists()


def requests_to_agree_to(person: User) -> QuerySet[AccessRequest]:
    """The open requests with a step, now or later, in which the person can agree; never their own."""
    steps = RequestStep.objects.filter(steps_of(person))
    return AccessRequest.objects.filter(
        pk__in=steps.values("request_id"), status=RequestStatus.OPEN
    ).exclude(requested_by=person)


def steps_waiting_for(person: User) -> QuerySet[RequestStep]:
    """The steps of open requests whose turn it is and in which the person can still agree."""
    return RequestStep.objects.filter(
        open_steps_of(person),
        request__status=RequestStatus.OPEN,
        turn_at__isnull=False,
        met_at=None,
    ).exclude(request__requested_by=person)


def requests_waiting_for(person: User) -> QuerySet[AccessRequest]:
    """The open requests that the person can agree to now, the longest waiting first."""
    steps = steps_waiting_for(person)
    return AccessRequest.objects.filter(pk__in=steps.values("request_id")).order_by("id")


def people_in(steps: Iterable[RequestStep]) -> QuerySet[User]:
    """Whoever can agree in one of the steps, stand-ins too, the longest known first; some of them perhaps in a request of their own."""
    found = Q(pk__in=[])
    for step in steps:
        found |= Q(pk__in=_people(step).values("pk"))
        if step.late_at is not None and step.when_late == WhenLate.ESCALATE:
            found |= Q(pk__in=people_holding(PortalRight.DECIDE_REQUESTS).values("pk"))
    able = User.objects.filter(found, is_active=True)
    stand_ins = ApprovalDelegation.objects.filter(person__in=able, ends_at__gt=utc_now())
    told = Q(pk__in=able.values("pk")) | Q(pk__in=stand_ins.values("delegate_id"))
    return User.objects.filter(told, is_active=True).order_by("pk")


def _people(step: RequestStep) -> QuerySet[User]:
    match StepBy(step.by):
        case StepBy.DECIDERS:
            return people_holding(PortalRight.DECIDE_REQUESTS)
        case StepBy.SECURITY:
            assigned = PortalAssignment.objects.filter(role=PortalRole.SECURITY)
            return User.objects.filter(pk__in=assigned.values("person_id"), is_staff=True)
        case StepBy.GROUP:
            return _members(step, Right.SEE_TEAM)
        case StepBy.OWNER | StepBy.MANAGER:
            return _members(step, Right.MANAGE_KEYS)


def _members(step: RequestStep, right: Right) -> QuerySet[User]:
    memberships = Membership.objects.filter(
        with_right(right), team=step.team, team__disabled_at=None
    )
    return User.objects.filter(pk__in=memberships.values("person_id"))
