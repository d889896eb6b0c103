"""The doors of the registry, tried from both sides: who is let in, and who finds nothing there."""

import uuid

import pytest
from django.http import Http404

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.teams import disable_team
from models_registry.access import (
    access_model,
    access_request,
    grants_of,
    may_decide,
    models_seen_by,
    requests_seen_by,
)
from models_registry.models import AiModel, ModelStatus, Visibility
from models_registry.writes.catalogue import set_model_status
from models_registry.writes.grants import end_grant, grant_model
from tests.accounts.rows import (
    REASON,
    new_account,
    new_member,
    new_person,
    new_team,
    tomorrow,
)
from tests.models_registry.rows import ask, new_decider, new_model, new_offer

pytestmark = pytest.mark.django_db


def sees(person: User, model: AiModel) -> bool:
    """Whether the person sees the model, by the list and by the door alike."""
    is_listed = models_seen_by(person).filter(pk=model.pk).exists()
    try:
        is_let_in = access_model(person, model.name) == model
    except Http404:
        is_let_in = False
    assert is_listed == is_let_in
    return is_listed


@pytest.mark.parametrize("role", Role)
def test_hidden_model_is_seen_by_teams_that_were_granted_it_alone(role: Role) -> None:
    account = new_account()
    model = new_offer(visibility=Visibility.GRANTED)
    member, stranger = new_member(account.team, role), new_member(new_team(), Role.OWNER)
    assert not sees(member, model)
    grant = grant_model(model, to=account, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    assert sees(member, model)
    assert not sees(stranger, model)
    assert (grant in grants_of(member), grant in grants_of(stranger)) == (True, False)
    end_grant(grant, actor=COMMAND, reason=REASON)
    assert not sees(member, model)
    assert grant not in grants_of(member)


def test_hidden_model_is_seen_by_the_team_that_owns_it() -> None:
    team = new_team()
    model = new_offer(visibility=Visibility.GRANTED, owner=team)
    assert sees(new_member(team), model)
    assert not sees(new_member(new_team()), model)
    assert not sees(new_person(is_administrator=True), model)


@pytest.mark.parametrize("status", ModelStatus)
def test_catalogue_holds_what_is_offered_alone(status: ModelStatus) -> None:
    model = new_model(owner=new_team())
    steps = {
        ModelStatus.DRAFT: [],
        ModelStatus.PUBLISHED: [ModelStatus.PUBLISHED],
        ModelStatus.DEPRECATED: [ModelStatus.PUBLISHED, ModelStatus.DEPRECATED],
        ModelStatus.RETIRED: [ModelStatus.RETIRED],
    }
    for step in steps[status]:
        set_model_status(model, status=step, actor=COMMAND)
    assert model.owner is not None
    for person in (new_person(), new_member(model.owner)):
        assert sees(person, model) == (status in {ModelStatus.PUBLISHED, ModelStatus.DEPRECATED})


def test_grants_of_a_disabled_team_show_nothing() -> None:
    team = new_team()
    member, model = new_member(team), new_offer(visibility=Visibility.GRANTED)
    grant_model(model, to=team, scopes=[Scope.CHAT], ends_at=tomorrow(), actor=COMMAND)
    assert sees(member, model)
    disable_team(team, actor=COMMAND, reason=REASON)
    assert not sees(member, model)


NAMES = ["", " ", "..", "../x", "%", "a%00b", "x" * 5000, "';--", "\x00"]


@pytest.mark.parametrize("name", NAMES)
def test_no_other_name_opens_a_model(name: str) -> None:
    person, model = new_person(), new_offer()
    assert sees(person, model)
    with pytest.raises(Http404):
        access_model(person, name)


def opens(person: User, request_id: uuid.UUID) -> bool:
    try:
        return access_request(person, request_id).pk == request_id
    except Http404:
        return False


def test_request_is_open_to_its_team_and_to_whoever_decides() -> None:
    team = new_team()
    members = [new_member(team, role) for role in Role]
    request = ask(members[0], team)
    for person in (*members, new_decider(), new_person(is_administrator=True)):
        assert opens(person, request.pk)
        assert not opens(person, uuid.uuid4())
    staff = new_person()
    staff.is_staff = True
    staff.save()
    for person in (new_member(new_team(), Role.OWNER), new_person(), staff):
        assert not opens(person, request.pk)


def test_list_of_requests_is_of_ones_own_teams() -> None:
    team, other = new_team(), new_team()
    own, others = ask(new_member(team), team), ask(new_member(other), other)
    for person in (new_member(team), new_member(team, Role.AUDITOR)):
        assert list(requests_seen_by(person)) == [own]
    assert list(requests_seen_by(new_member(other))) == [others]
    assert not requests_seen_by(new_decider()).exists()


def test_former_member_finds_the_request_gone() -> None:
    team: Team = new_team()
    member = new_member(team)
    request = ask(member, team)
    assert opens(member, request.pk)
    team.memberships.filter(person=member).delete()
    assert not opens(member, request.pk)
    assert not requests_seen_by(member).exists()


def test_who_decides_has_staff_and_permission() -> None:
    person = new_decider()
    assert may_decide(person)
    assert may_decide(new_person(is_administrator=True))
    assert not may_decide(new_person())
