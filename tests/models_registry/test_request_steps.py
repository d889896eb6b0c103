"""Who agrees in which step, to how much, and what comes of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import AuditEntry, Notification, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.keys import Scope
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.writes.teams import disable_team
from models_registry.access import access_request
from models_registry.models import (
    AccessRequest,
    DataClass,
    Grant,
    Limit,
    LimitMeasure,
    LimitPeriod,
    RequestStatus,
    StepApproval,
    StepBy,
    WhenLate,
)
from models_registry.policy_rules import Step
from models_registry.step_access import requests_waiting_for
from models_registry.writes.grants import grant_model
from models_registry.writes.policies import switch_off
from models_registry.writes.requests import approve_request, comment_on_request, deny_request
from portal.lib.clock import days_ahead
from tests.accounts.rows import REASON, new_holder, new_member, new_person, new_team
from tests.models_registry.rows import ask, new_decider, new_limit, new_offer, new_policy

pytestmark = pytest.mark.django_db
MANAGER, SECURITY = Step(StepBy.MANAGER), Step(StepBy.SECURITY)


def status_of(request: AccessRequest) -> str:
    return AccessRequest.objects.get(pk=request.pk).status


def told(kind: NotificationKind, request: AccessRequest, *among: User) -> set[User | None]:
    """Who was, of these where any are named: what other tests committed may hold others who can agree."""
    rows = Notification.objects.filter(kind=kind, facts__request_id=str(request.pk))
    if among:
        rows = rows.filter(person__in=among)
    return {row.person for row in rows.select_related("person")}


def opens(person: User, request: AccessRequest) -> bool:
    try:
        return access_request(person, request.pk) == request
    except Http404:
        return False


@pytest.mark.parametrize("by", StepBy)
def test_each_step_is_for_whom_it_names_and_opens_the_request_to_them(by: StepBy) -> None:
    team, owner, group = new_team(), new_team(), new_team()
    model = new_offer(owner=owner)
    new_policy(Step(by, team_id=group.pk if by is StepBy.GROUP else None), model_ids=[model.pk])
    people = {
        StepBy.DECIDERS: new_decider(),
        StepBy.GROUP: new_member(group),
        StepBy.OWNER: new_member(owner, Role.MANAGER),
        StepBy.MANAGER: new_member(team, Role.MANAGER),
        StepBy.SECURITY: new_holder(PortalRole.SECURITY),
    }
    others = [new_member(owner), new_member(team), new_person(), new_member(new_team(), Role.OWNER)]
    request = ask(new_member(team), team, model)
    everyone = [*people.values(), *others]
    able = people.pop(by)
    for person in (*people.values(), *others):
        assert request not in requests_waiting_for(person)
        with pytest.raises(PermissionDenied):
            approve_request(request, actor=person)
        if person not in (people.get(StepBy.DECIDERS), people.get(StepBy.MANAGER), others[1]):
            assert not opens(person, request)
    assert told(NotificationKind.REQUEST_MADE, request, *everyone) == {able}
    assert request in requests_waiting_for(able)
    assert opens(able, request)
    comment_on_request(request, actor=able, text="For which data?")
    assert approve_request(request, actor=able)
    assert status_of(request) == RequestStatus.APPROVED


def test_a_step_of_a_team_that_is_disabled_is_nobodys() -> None:
    group, team, model = new_team(), new_team(), new_offer()
    new_policy(Step(StepBy.GROUP, team_id=group.pk), model_ids=[model.pk])
    member = new_member(group)
    request = ask(new_member(team), team, model)
    assert requests_waiting_for(member).exists()
    disable_team(group, actor=COMMAND, reason=REASON)
    assert not requests_waiting_for(member).exists()
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=member)


def test_nobody_agrees_to_their_own_whatever_they_are_to_it() -> None:
    team, model = new_team(), new_offer()
    new_policy(MANAGER, model_ids=[model.pk])
    manager, other = new_member(team, Role.MANAGER), new_member(team, Role.OWNER)
    request = ask(manager, team, model)
    for act in (
        lambda: approve_request(request, actor=manager),
        lambda: deny_request(request, actor=manager, reason=REASON),
    ):
        with pytest.raises(PermissionDenied, match="their own"):
            act()
    assert manager not in told(NotificationKind.REQUEST_MADE, request)
    assert approve_request(request, actor=other)


def test_stages_wait_for_each_other_and_side_by_side_is_any_order() -> None:
    team, model = new_team(), new_offer()
    steps = (MANAGER, replace(SECURITY, stage=2), Step(StepBy.DECIDERS, needs=2, stage=2))
    new_policy(*steps, model_ids=[model.pk])
    member, manager = new_member(team), new_member(team, Role.MANAGER)
    guard, one, other = new_holder(PortalRole.SECURITY), new_decider(), new_decider()
    request = ask(member, team, model)
    with pytest.raises(PermissionDenied, match="not for you to agree now"):
        approve_request(request, actor=guard)
    everyone = (member, manager, guard, one, other)
    assert told(NotificationKind.REQUEST_MADE, request, *everyone) == {manager}
    assert approve_request(request, actor=manager) == []
    assert told(NotificationKind.REQUEST_MADE, request, *everyone) == {*everyone} - {member}
    assert told(NotificationKind.REQUEST_AGREED, request) == {member}
    assert approve_request(request, actor=one) == []
    with pytest.raises(PermissionDenied, match="agreed already"):
        approve_request(request, actor=one)
    assert approve_request(request, actor=guard) == []
    assert not Grant.objects.filter(model=model).exists()
    assert approve_request(request, actor=other)
    tags = AuditEntry.objects.filter(subject_id=request.pk).order_by("id")
    assert [entry.tag for entry in tags] == [
        AuditTag.REQUEST_MADE,
        *[AuditTag.REQUEST_AGREED] * 3,
        AuditTag.REQUEST_APPROVED,
    ]


def test_each_can_agree_to_less_with_a_reason_and_nobody_to_more_than_is_left() -> None:
    team, kept, dropped = new_team(), new_offer(), new_offer()
    new_policy(MANAGER, SECURITY, model_ids=[kept.pk, dropped.pk])
    manager, guard = new_member(team, Role.MANAGER), new_holder(PortalRole.SECURITY)
    request = ask(
        new_member(team),
        team,
        kept,
        dropped,
        wanted_until=days_ahead(9),
        budget_micro_usd=90,
        tokens_per_minute=50,
    )
    with pytest.raises(ValidationError, match="less than was asked"):
        approve_request(request, actor=manager, budget_micro_usd=80)
    less: dict[str, Any] = {"models": [kept], "ends_at": days_ahead(5), "budget_micro_usd": 70}
    assert approve_request(request, actor=manager, reason=REASON, **less) == []
    more: dict[str, Any] = {"models": [dropped], "ends_at": days_ahead(6), "budget_micro_usd": 71}
    for field, value in more.items():
        with pytest.raises(ValidationError) as refused:
            approve_request(request, actor=guard, reason=REASON, **{field: value})
        assert list(refused.value.message_dict) == [field]
    (grant,) = approve_request(request, actor=guard, requests_per_minute=7, reason=REASON)
    assert (grant.model, grant.ends_at) == (kept, less["ends_at"])
    assert (grant.requests_per_minute, grant.tokens_per_minute) == (7, 50)
    limit = Limit.objects.get(team=team)
    assert (limit.model, limit.amount, limit.measure) == (kept, 70, LimitMeasure.MICRO_USD)
    assert (limit.period, limit.is_soft) == (LimitPeriod.CALENDAR_MONTH, False)
    rows = StepApproval.objects.filter(step__request=request)
    assert {(row.person, row.reason, row.budget_micro_usd) for row in rows} == {
        (manager, REASON, 70),
        (guard, REASON, 70),
    }


def test_the_budget_of_an_approval_takes_the_place_of_the_one_before_within_what_is_above() -> None:
    team, model, decider = new_team(), new_offer(), new_decider()
    first = ask(new_member(team), team, model, budget_micro_usd=50)
    approve_request(first, actor=decider)
    new_limit(team=team, amount=60)
    second = ask(new_member(team), team, model, budget_micro_usd=70)
    with pytest.raises(ValidationError) as refused:
        approve_request(second, actor=decider)
    assert list(refused.value.message_dict) == ["budget_micro_usd"]
    assert status_of(second) == RequestStatus.OPEN
    approve_request(second, actor=decider, budget_micro_usd=60, reason=REASON)
    assert Limit.objects.get(team=team, model=model).amount == 60


def test_a_budget_loosens_no_limit_that_an_administrator_set() -> None:
    team, model, decider = new_team(), new_offer(), new_decider()
    limit = new_limit(team=team, model=model, amount=60)
    request = ask(new_member(team), team, model, budget_micro_usd=61)
    with pytest.raises(ValidationError, match="an administrator set"):
        approve_request(request, actor=decider)
    approve_request(request, actor=decider, budget_micro_usd=50, reason=REASON)
    limit.refresh_from_db()
    assert (limit.amount, limit.by_administrator) == (50, True)


def test_a_policy_that_asks_for_nobody_lets_nobody_bound_alone_what_the_team_uses() -> None:
    team, other = new_team(), new_team()
    model = new_offer(data_class="public")
    new_policy(data_classes=[DataClass.PUBLIC], budget_up_to=50)
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=days_ahead(9), actor=COMMAND)
    unbounded = ask(new_member(team), team, model, budget_micro_usd=1)
    assert status_of(unbounded) == "open"
    member = new_member(other)
    for amount, status in ((40, "approved"), (50, "approved"), (49, "open")):
        assert status_of(ask(member, other, model, budget_micro_usd=amount)) == status
    budgets = Limit.objects.filter(model=model).values_list("team_id", "amount")
    assert list(budgets) == [(other.pk, 50)]


def test_a_policy_that_asks_for_nobody_approves_what_it_matches_at_once() -> None:
    team = new_team()
    member = new_member(team)
    public, secret = new_offer(data_class="public"), new_offer(data_class="secret")
    new_policy(data_classes=[DataClass.PUBLIC], budget_up_to=50)
    cases: list[tuple[Callable[[], AccessRequest], str]] = [
        (lambda: ask(member, team, public), "open"),
        (lambda: ask(member, new_for(member), public, budget_micro_usd=51), "open"),
        (lambda: ask(member, new_for(member), public, budget_micro_usd=50), "approved"),
        (lambda: ask(member, new_for(member), secret, public, budget_micro_usd=50), "open"),
    ]
    made = [(make(), status) for make, status in cases]
    for request, status in made:
        assert status_of(request) == status
        assert Grant.objects.filter(team=request.team).exists() == (status == "approved")
    [approved] = AccessRequest.objects.filter(
        status="approved", pk__in=[request.pk for request, _ in made]
    )
    assert (approved.decided_by, approved.steps.count()) == (None, 0)
    entry = AuditEntry.objects.get(tag=AuditTag.REQUEST_APPROVED, subject_id=approved.pk)
    assert entry.actor_kind == ActorKind.SYSTEM
    assert told(NotificationKind.REQUEST_DECIDED, approved) == {member}
    assert not told(NotificationKind.REQUEST_MADE, approved)


def new_for(member: User) -> Team:
    team = new_team()
    team.memberships.create(person=member, role=Role.MEMBER)
    return team


def test_several_policies_are_all_met_and_one_may_agree_for_several_at_once() -> None:
    team, one, other = new_team(), new_offer(), new_offer()
    new_policy(MANAGER, model_ids=[one.pk])
    new_policy(MANAGER, replace(SECURITY, stage=2), team_ids=[team.pk])
    manager, guard = new_member(team, Role.MANAGER), new_holder(PortalRole.SECURITY)
    request = ask(new_member(team), team, one, other)
    assert request.steps.count() == 3
    assert approve_request(request, actor=manager) == []
    assert request.steps.filter(met_at=None).get().by == StepBy.SECURITY
    assert len(approve_request(request, actor=guard)) == 2


def test_a_request_keeps_what_was_needed_when_it_was_made() -> None:
    team, model = new_team(), new_offer()
    policy = new_policy(SECURITY, model_ids=[model.pk])
    guard = new_holder(PortalRole.SECURITY)
    before = ask(new_member(team), team, model)
    switch_off(policy, actor=COMMAND)
    with pytest.raises(PermissionDenied):
        approve_request(before, actor=new_decider())
    assert before.steps.get().version == policy.versions.get()
    assert approve_request(before, actor=guard)
    elsewhere = new_team()
    after = ask(new_member(elsewhere), elsewhere, model)
    assert after.steps.get().by == StepBy.DECIDERS


def test_a_model_without_an_owner_is_for_whoever_decides() -> None:
    team, model = new_team(), new_offer()
    new_policy(Step(StepBy.OWNER), model_ids=[model.pk])
    assert approve_request(ask(new_member(team), team, model), actor=new_decider())


def test_whoever_decides_denies_what_others_have_to_agree_to_and_does_not_agree() -> None:
    team, model, decider = new_team(), new_offer(), new_decider()
    new_policy(SECURITY, replace(MANAGER, stage=2), model_ids=[model.pk])
    request = ask(new_member(team), team, model)
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=decider)
    with pytest.raises(PermissionDenied):
        deny_request(request, actor=new_member(team, Role.MANAGER), reason=REASON)
    deny_request(request, actor=decider, reason=REASON)
    assert status_of(request) == RequestStatus.DENIED


def test_a_late_step_that_escalates_is_open_to_whoever_decides() -> None:
    team, model, decider = new_team(), new_offer(), new_decider()
    late = replace(SECURITY, due_hours=1, when_late=WhenLate.ESCALATE)
    new_policy(late, model_ids=[model.pk])
    request = ask(new_member(team), team, model)
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=decider)
    request.steps.update(late_at=days_ahead(0))
    assert request in requests_waiting_for(decider)
    assert approve_request(request, actor=decider)


def test_nobody_agrees_while_they_act_in_one_team_alone() -> None:
    team, model = new_team(), new_offer()
    new_policy(MANAGER, model_ids=[model.pk])
    manager = new_member(team, Role.MANAGER)
    request = ask(new_member(team), team, model)
    manager.acts_in_team_id = team.pk
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=manager)
    manager.acts_in_team_id = None
    assert approve_request(request, actor=manager)
