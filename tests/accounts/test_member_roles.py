"""Roles are changed within the rights of whoever changes them, as they are when the change is made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection

from accounts.audit import COMMAND, Actor, acting
from accounts.models import AuditEntry, Membership, Team, User
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.writes.people import disable_person
from accounts.writes.teams import change_member_role, change_team, remove_member
from tests.accounts.rows import REASON, new_member, new_person, new_team

OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR


def membership_of(team: Team, person: User) -> Membership:
    return team.memberships.get(person=person)


def outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except PermissionDenied:
        return "denied"
    except ValidationError as error:
        return " ".join(error.messages)
    return "done"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role_of_actor", "old", "new", "is_allowed"),
    [
        (OWNER, MEMBER, OWNER, True),
        (OWNER, OWNER, MEMBER, True),
        (OWNER, AUDITOR, MANAGER, True),
        (MANAGER, MEMBER, MANAGER, True),
        (MANAGER, MANAGER, MEMBER, True),
        (MANAGER, MEMBER, OWNER, False),
        (MANAGER, OWNER, MEMBER, False),
        (MEMBER, MEMBER, AUDITOR, False),
        (AUDITOR, MEMBER, AUDITOR, False),
    ],
)
def test_member_gets_a_role_that_the_actor_may_give(
    role_of_actor: Role, old: Role, new: Role, is_allowed: bool
) -> None:
    team = new_team()
    new_member(team, OWNER)
    actor, other = new_member(team, role_of_actor), new_member(team, old)
    membership = membership_of(team, other)
    done = outcome(lambda: change_member_role(membership, role=new, actor=acting(actor)))
    assert done == ("done" if is_allowed else "denied")
    assert membership_of(team, other).role == (new if is_allowed else old)
    entries = AuditEntry.objects.filter(tag=AuditTag.MEMBER_ROLE_CHANGED, subject_id=other.pk)
    assert [entry.facts for entry in entries] == (
        [{"role": new.value, "old_role": old.value}] if is_allowed else []
    )


@pytest.mark.django_db
@pytest.mark.parametrize("role", [MANAGER, OWNER])
def test_owner_of_another_team_changes_nobody_here(role: Role) -> None:
    team, other = new_team(), new_team()
    stranger, member = new_member(other, role), new_member(team)
    membership = membership_of(team, member)
    assert outcome(lambda: remove_member(membership, actor=acting(stranger))) == "denied"
    change = lambda: change_member_role(membership, role=AUDITOR, actor=acting(stranger))  # noqa: E731
    assert outcome(change) == "denied"
    assert membership_of(team, member).role == MEMBER


@pytest.mark.django_db
def test_nobody_raises_their_own_role_and_everybody_may_lower_it() -> None:
    team = new_team()
    new_member(team, OWNER)
    administrator = new_person(is_administrator=True)
    team.memberships.create(person=administrator, role=MEMBER)
    membership = membership_of(team, administrator)
    raise_self = lambda: change_member_role(membership, role=OWNER, actor=acting(administrator))  # noqa: E731
    assert "Nobody gives themselves more rights" in outcome(raise_self)
    manager = new_member(team, MANAGER)
    own = membership_of(team, manager)
    assert outcome(lambda: change_member_role(own, role=OWNER, actor=acting(manager))) == "denied"
    assert outcome(lambda: change_member_role(own, role=MEMBER, actor=acting(manager))) == "done"
    assert outcome(lambda: change_member_role(own, role=MANAGER, actor=acting(manager))) == "denied"


@pytest.mark.django_db
@pytest.mark.parametrize("by", ["owner", "administrator", "command"])
def test_last_owner_is_neither_demoted_nor_removed(by: str) -> None:
    team = new_team()
    owner = new_member(team, OWNER)
    administrator = new_person(is_administrator=True)
    actor: Actor = {
        "owner": acting(owner),
        "administrator": acting(administrator),
        "command": COMMAND,
    }[by]
    membership = membership_of(team, owner)
    refused = "the team's only owner"
    assert refused in outcome(lambda: change_member_role(membership, role=MEMBER, actor=actor))
    assert refused in outcome(lambda: remove_member(membership, actor=actor))
    away = new_member(team, OWNER)
    disable_person(away, actor=COMMAND, reason=REASON)
    assert refused in outcome(lambda: remove_member(membership, actor=actor))
    new_member(team, OWNER)
    assert outcome(lambda: change_member_role(membership, role=MEMBER, actor=actor)) == "done"


@pytest.mark.django_db
def test_same_role_again_is_not_audited() -> None:
    team = new_team()
    member = new_member(team)
    change_member_role(membership_of(team, member), role=MEMBER, actor=COMMAND)
    assert not AuditEntry.objects.filter(tag=AuditTag.MEMBER_ROLE_CHANGED, team_id=team.pk).exists()


def unmake_in_a_thread(act: str, membership: Membership, by: User) -> str:
    try:
        if act == "remove":
            return outcome(lambda: remove_member(membership, actor=acting(by)))
        return outcome(lambda: change_member_role(membership, role=MEMBER, actor=acting(by)))
    finally:
        connection.close()


@pytest.mark.parametrize("act", ["demote", "remove"])
def test_two_owners_who_unmake_each_other_at_once_leave_one(committed: None, act: str) -> None:
    for _ in range(5):
        team = new_team()
        one, other = new_member(team, OWNER), new_member(team, OWNER)
        unmade = [membership_of(team, other), membership_of(team, one)]
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(unmake_in_a_thread, [act, act], unmade, [one, other]))
        assert sorted(outcomes) == ["denied", "done"]
        assert team.memberships.filter(role=OWNER).count() == 1


@pytest.mark.django_db
def test_team_is_renamed_with_an_entry_and_keeps_its_address() -> None:
    team, taken = new_team(), new_team()
    change_team(team, name="  Another name ", cost_centre="4712", actor=COMMAND)
    found = Team.objects.get(pk=team.pk)
    assert (found.name, found.cost_centre, found.slug) == ("Another name", "4712", team.slug)
    change_team(team, name="Another name", cost_centre="4712", actor=COMMAND)
    entry = AuditEntry.objects.get(tag=AuditTag.TEAM_CHANGED, team_id=team.pk)
    assert entry.facts == {"changed": ["name", "cost_centre"]}
    for name in ("", taken.name, "x" * 101):
        with pytest.raises(ValidationError) as refused:
            change_team(team, name=name, cost_centre="", actor=COMMAND)
        assert set(refused.value.message_dict) == {"name"}
