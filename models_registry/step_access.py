"""The door to decisions: who can agree in which step of a request. Nobody can in a request of their own."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from django.db.models import Q, QuerySet

from accounts.access import people_holding, teams_of
from accounts.models import Membership, PortalAssignment, Team, User
from accounts.models.roles import PortalRole
from accounts.roles import PortalRight, Right, holds, portal_rights, portal_roles, with_right
from models_registry.models import (
    AccessRequest,
    RequestStatus,
    RequestStep,
    StepApproval,
    StepBy,
    WhenLate,
)

OF_MANAGERS = (StepBy.OWNER, StepBy.MANAGER)
_IS_ESCALATED = Q(late_at__isnull=False, when_late=WhenLate.ESCALATE)


@dataclass(frozen=True)
class Standing:
    """What somebody is to the steps of requests; nothing while they act in one team alone."""

    is_decider: bool = False
    is_security: bool = False
    member_of: frozenset[uuid.UUID] = frozenset()
    manager_of: frozenset[uuid.UUID] = frozenset()

    @classmethod
    def of(cls, person: User) -> Self:
        if person.acts_in_team_id is not None or not person.is_active:
            return cls()
        return cls(
            is_decider=holds(person, PortalRight.DECIDE_REQUESTS),
            is_security=bool(portal_rights(person)) and PortalRole.SECURITY in portal_roles(person),
            member_of=_ids(teams_of(person)),
            manager_of=_ids(teams_of(person, right=Right.MANAGE_KEYS)),
        )

    def is_in(self, step: RequestStep) -> bool:
        """Whether their agreement counts in the step, once its turn has come."""
        if self.is_decider and step.late_at is not None and step.when_late == WhenLate.ESCALATE:
            return True
        match StepBy(step.by):
            case StepBy.DECIDERS:
                return self.is_decider
            case StepBy.SECURITY:
                return self.is_security
            case StepBy.GROUP:
                return step.team_id in self.member_of
            case StepBy.OWNER | StepBy.MANAGER:
                return step.team_id in self.manager_of

    def steps(self) -> Q:
        """The same of steps in the database."""
        theirs = Q(by=StepBy.GROUP, team__in=self.member_of)
        theirs |= Q(by__in=OF_MANAGERS, team__in=self.manager_of)
        if self.is_security:
            theirs |= Q(by=StepBy.SECURITY)
        if self.is_decider:
            theirs |= Q(by=StepBy.DECIDERS) | _IS_ESCALATED
        return theirs


def is_approver_of(person: User, request: AccessRequest) -> bool:
    """Whether some step of the request, now or later, is the person's to agree in; never for their own request."""
    if request.requested_by_id == person.pk:
        return False
    return RequestStep.objects.filter(Standing.of(person).steps(), request=request).exists()


def is_approver(person: User) -> bool:
    """Whether some open request has a step, now or later, in which the person can agree."""
    return requests_to_agree_to(person).exists()


def requests_to_agree_to(person: User) -> QuerySet[AccessRequest]:
    """The open requests with a step, now or later, in which the person can agree; never their own."""
    steps = RequestStep.objects.filter(Standing.of(person).steps())
    return AccessRequest.objects.filter(
        pk__in=steps.values("request_id"), status=RequestStatus.OPEN
    ).exclude(requested_by=person)


def steps_waiting_for(person: User) -> QuerySet[RequestStep]:
    """The steps of open requests whose turn it is and in which the person has not agreed so far."""
    return (
        RequestStep.objects.filter(
            Standing.of(person).steps(),
            request__status=RequestStatus.OPEN,
            turn_at__isnull=False,
            met_at=None,
        )
        .exclude(request__requested_by=person)
        .exclude(pk__in=StepApproval.objects.filter(person=person).values("step_id"))
    )


def requests_waiting_for(person: User) -> QuerySet[AccessRequest]:
    """The open requests that the person can agree to now, the longest waiting first."""
    steps = steps_waiting_for(person)
    return AccessRequest.objects.filter(pk__in=steps.values("request_id")).order_by("id")


def people_in(steps: Iterable[RequestStep]) -> QuerySet[User]:
    """Whoever can agree in one of the steps, the longest known first; some of them perhaps in a request of their own."""
    found = Q(pk__in=[])
    for step in steps:
        found |= Q(pk__in=_people(step).values("pk"))
        if step.late_at is not None and step.when_late == WhenLate.ESCALATE:
            found |= Q(pk__in=people_holding(PortalRight.DECIDE_REQUESTS).values("pk"))
    return User.objects.filter(found, is_active=True).order_by("pk")


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


def _ids(teams: QuerySet[Team]) -> frozenset[uuid.UUID]:
    return frozenset(teams.values_list("pk", flat=True))
