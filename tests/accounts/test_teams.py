import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, Membership, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import issue_key
from accounts.writes.people import create_person
from accounts.writes.teams import (
    MEMBER_REMOVED,
    add_member,
    create_service_account,
    create_team,
    remove_member,
)
from tests.accounts.rows import PASSWORD, new_account, new_member, new_person, new_team, tomorrow

pytestmark = pytest.mark.django_db


def test_team_gets_a_slug_and_an_entry() -> None:
    team = create_team("Research & Co", actor=COMMAND)
    assert team.slug == "research-co"
    assert AuditEntry.objects.get(tag=AuditTag.TEAM_CREATED, subject_id=team.id).team_id == team.id


@pytest.mark.parametrize("name", ["", "研究", "!!", "x" * 101])
def test_team_without_a_usable_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        create_team(name, actor=COMMAND)


@pytest.mark.parametrize("name", ["Taken Name", "taken name", "Taken  Name!"])
def test_team_whose_slug_is_taken_is_refused(name: str) -> None:
    create_team("Taken Name", actor=COMMAND)
    with pytest.raises(ValidationError):
        create_team(name, actor=COMMAND)


def test_member_is_added_once_and_removed_with_an_entry_for_each() -> None:
    team = new_team()
    member = new_member(team, Role.MANAGER)
    with pytest.raises(ValidationError):
        add_member(team, person=member, role=Role.OWNER, actor=COMMAND)
    remove_member(team.memberships.get(person=member), actor=COMMAND)
    tags = AuditEntry.objects.filter(team_id=team.id, subject_id=member.id).values_list(
        "tag", flat=True
    )
    assert sorted(tags) == [AuditTag.MEMBER_ADDED, AuditTag.MEMBER_REMOVED]


def a_key(team: Team, holder: User | ServiceAccount) -> ApiKey:
    return issue_key(
        team, holder=holder, name="Mine", scopes=[Scope.CHAT], expires_at=tomorrow(), actor=COMMAND
    ).key


def test_removed_members_keys_of_the_team_end_and_do_not_rise_again() -> None:
    team, other = new_team(), new_team()
    member = new_member(team)
    add_member(other, person=member, role=Role.MEMBER, actor=COMMAND)
    mine, elsewhere = a_key(team, member), a_key(other, member)
    apps, colleagues = a_key(team, new_account(team)), a_key(team, new_member(team))
    remove_member(team.memberships.get(person=member), actor=COMMAND)
    add_member(team, person=member, role=Role.MEMBER, actor=COMMAND)
    for key in (mine, elsewhere, apps, colleagues):
        key.refresh_from_db()
    assert mine.revoked_at is not None
    assert mine.revoked_reason == MEMBER_REMOVED
    assert [key.revoked_at for key in (elsewhere, apps, colleagues)] == [None] * 3
    entry = AuditEntry.objects.get(tag=AuditTag.KEY_REVOKED, subject_id=mine.pk)
    assert entry.facts == {"reason": MEMBER_REMOVED}


def test_removing_twice_is_audited_once() -> None:
    team = new_team()
    member = new_member(team)
    membership = team.memberships.get(person=member)
    stale = Membership.objects.get(pk=membership.pk)
    remove_member(membership, actor=COMMAND)
    remove_member(stale, actor=COMMAND)
    entries = AuditEntry.objects.filter(tag=AuditTag.MEMBER_REMOVED, subject_id=member.pk)
    assert entries.count() == 1


def test_database_refuses_a_role_it_does_not_know() -> None:
    team = new_team()
    new_member(team)
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(team=team).update(role="root")


def test_service_account_stands_once_in_a_team() -> None:
    account = new_account()
    with pytest.raises(ValidationError):
        create_service_account(account.team, name=account.name, actor=COMMAND)
    create_service_account(new_team(), name=account.name, actor=COMMAND)


def test_administrator_opens_the_admin_and_a_person_does_not() -> None:
    person, administrator = new_person(), new_person(is_administrator=True)
    assert (person.is_staff, person.is_superuser) == (False, False)
    assert (administrator.is_staff, administrator.is_superuser) == (True, True)
    entry = AuditEntry.objects.get(tag=AuditTag.PERSON_CREATED, subject_id=administrator.id)
    assert entry.facts == {"is_administrator": True}


def test_address_is_found_and_taken_in_any_case() -> None:
    person = create_person(" Ada@Latchkey.TEST ", password=PASSWORD, actor=COMMAND)
    assert person.email == "ada@latchkey.test"
    assert User.objects.get_by_natural_key("ADA@latchkey.test") == person
    with pytest.raises(ValidationError):
        create_person("ADA@latchkey.test", password=PASSWORD, actor=COMMAND)
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("Ada@latchkey.test", PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "14 characters.", "someone@latchkey.test"])
def test_weak_password_is_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        create_person("someone@latchkey.test", password=password, actor=COMMAND)
    create_person("someone@latchkey.test", password=PASSWORD, actor=COMMAND)


@pytest.mark.parametrize(
    "email", ["", "nobody", "a@b", "a b@latchkey.test", "x" * 250 + "@latchkey.test"]
)
def test_no_address_is_refused(email: str) -> None:
    with pytest.raises(ValidationError):
        create_person(email, password=PASSWORD, actor=COMMAND)
