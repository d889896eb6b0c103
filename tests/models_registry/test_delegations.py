"""Somebody agrees in the place of whoever is away: never more than they could, and never to a request of either."""

from functools import partial

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from accounts.audit import acting
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.writes.teams import remove_member
from models_registry.models import ApprovalDelegation, StepApproval, StepBy
from models_registry.policy_rules import Step
from models_registry.step_access import requests_waiting_for
from models_registry.writes.delegations import delegate_approvals, end_delegation
from models_registry.writes.requests import approve_request
from portal.lib.clock import days_ahead
from tests.accounts.rows import new_holder, new_member, new_person, new_team
from tests.accounts.second_factor import give_app
from tests.models_registry.rows import ask, new_decider, new_offer, new_policy
from tests.pages import Browser

pytestmark = pytest.mark.django_db


def colleague_of(person: User) -> User:
    """Somebody in a team with the person, who is nothing else to anybody."""
    team = new_team()
    team.memberships.create(person=person, role=Role.MEMBER)
    return new_member(team)


def stand_in_of(person: User) -> User:
    stand_in = colleague_of(person)
    delegate_approvals(person, email=stand_in.email.upper(), ends_at=days_ahead(5))
    return stand_in


def test_the_stand_in_agrees_in_the_place_of_whoever_is_away_and_both_count_once() -> None:
    team, model = new_team(), new_offer()
    guard, other = (new_holder(PortalRole.SECURITY) for _ in range(2))
    new_policy(Step(StepBy.SECURITY, needs=2), model_ids=[model.pk])
    colleague = colleague_of(guard)
    request = ask(new_member(team), team, model)
    assert not requests_waiting_for(colleague).exists()
    delegate_approvals(guard, email=colleague.email, ends_at=days_ahead(5))
    told = Notification.objects.get(kind=NotificationKind.APPROVALS_DELEGATED, person=colleague)
    assert told.facts["by"] == guard.email
    assert requests_waiting_for(colleague).get() == request
    assert approve_request(request, actor=colleague) == []
    row = StepApproval.objects.get(step__request=request)
    assert (row.person, row.in_place_of) == (colleague, guard)
    for person in (guard, colleague):
        assert not requests_waiting_for(person).exists()
        with pytest.raises(PermissionDenied):
            approve_request(request, actor=person)
    assert approve_request(request, actor=other)


def test_whoever_agreed_is_not_stood_for_in_the_same_step() -> None:
    team, model, guard = new_team(), new_offer(), new_holder(PortalRole.SECURITY)
    new_policy(Step(StepBy.SECURITY, needs=2), model_ids=[model.pk])
    stand_in = stand_in_of(guard)
    request = ask(new_member(team), team, model)
    assert approve_request(request, actor=guard) == []
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=stand_in)


def test_a_new_request_is_told_to_the_stand_in_too() -> None:
    team, model, guard = new_team(), new_offer(), new_holder(PortalRole.SECURITY)
    new_policy(Step(StepBy.SECURITY), model_ids=[model.pk])
    stand_in = stand_in_of(guard)
    request = ask(new_member(team), team, model)
    rows = Notification.objects.filter(
        kind=NotificationKind.REQUEST_MADE, facts__request_id=str(request.pk)
    )
    assert {guard.pk, stand_in.pk} <= set(rows.values_list("person", flat=True))


def test_nobody_stands_in_on_a_request_of_either() -> None:
    team, decider = new_team(), new_decider()
    stand_in = stand_in_of(decider)
    for requester in (decider, stand_in):
        team.memberships.create(person=requester, role=Role.MEMBER)
        request = ask(requester, team)
        with pytest.raises(PermissionDenied):
            approve_request(request, actor=stand_in)
    assert approve_request(ask(new_member(team), team), actor=stand_in)


def test_it_allows_nothing_that_the_person_lost_and_nothing_after_its_end() -> None:
    team, model = new_team(), new_offer()
    new_policy(Step(StepBy.MANAGER), team_ids=[team.pk])
    manager, owner = new_member(team, Role.MANAGER), new_member(team, Role.OWNER)
    stand_in = stand_in_of(manager)
    request = ask(new_member(team), team, model)
    assert requests_waiting_for(stand_in).exists()
    ApprovalDelegation.objects.update(ends_at=days_ahead(0))
    assert not requests_waiting_for(stand_in).exists()
    ApprovalDelegation.objects.update(ends_at=days_ahead(1))
    remove_member(team.memberships.get(person=manager), actor=acting(owner))
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=stand_in)


def test_it_is_not_passed_on_and_is_taken_back() -> None:
    team, decider = new_team(), new_decider()
    stand_in = stand_in_of(decider)
    further = stand_in_of(stand_in)
    request = ask(new_member(team), team)
    assert not requests_waiting_for(further).exists()
    end_delegation(decider)
    end_delegation(decider)
    with pytest.raises(PermissionDenied):
        approve_request(request, actor=stand_in)
    tags = AuditEntry.objects.filter(subject_id=decider.pk, actor_id=decider.pk).order_by("id")
    assert list(tags.values_list("tag", flat=True)) == [
        AuditTag.APPROVALS_DELEGATED,
        AuditTag.DELEGATION_ENDED,
    ]


def test_who_has_a_second_factor_is_stood_for_by_somebody_who_has_one() -> None:
    team, decider = new_team(), new_decider()
    stand_in = stand_in_of(decider)
    ask(new_member(team), team)
    assert requests_waiting_for(stand_in).exists()
    give_app(decider)
    assert not requests_waiting_for(stand_in).exists()
    give_app(stand_in)
    assert requests_waiting_for(stand_in).exists()


def test_only_a_colleague_can_be_named_and_not_for_long() -> None:
    decider, stranger = new_decider(), new_person()
    colleague = colleague_of(decider)
    name = partial(delegate_approvals, decider)
    for email in (stranger.email, "nobody@latchkey.test", decider.email, ""):
        with pytest.raises(ValidationError) as refused:
            name(email=email, ends_at=days_ahead(5))
        assert list(refused.value.message_dict) == ["email"]
    for days in (0, 61):
        with pytest.raises(ValidationError) as refused:
            name(email=colleague.email, ends_at=days_ahead(days))
        assert list(refused.value.message_dict) == ["ends_at"]
    assert name(email=colleague.email, ends_at=days_ahead(5)).delegate == colleague
    with pytest.raises(IntegrityError), transaction.atomic():
        ApprovalDelegation.objects.update(delegate=decider)


def test_a_person_names_a_stand_in_on_a_page_and_takes_it_back() -> None:
    decider = new_decider()
    colleague = colleague_of(decider)
    browser = Browser(decider)
    until = f"{days_ahead(5):%Y-%m-%d}"
    reply = browser.post("/requests/delegate/", email="nobody@latchkey.test", ends_at=until)
    assert "Nobody in your teams" in reply.content.decode()
    reply = browser.post("/requests/delegate/", email=colleague.email, ends_at=until)
    assert colleague.email in browser.page(reply["Location"])
    browser.post("/requests/delegate/end/")
    assert colleague.email not in browser.page("/requests/delegate/")
