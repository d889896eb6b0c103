"""Portal roles and custom roles: within the rights of whoever gives them, at the moment of the write, and never to oneself."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.access import access_membership, access_team_role, people_holding, teams_of
from accounts.audit import COMMAND, Actor, acting
from accounts.models import AuditEntry, CustomRole, PortalAssignment, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import PortalRight, Right, portal_rights, portal_roles
from accounts.writes.custom_roles import (
    change_portal_role,
    change_team_role,
    make_portal_role,
    make_team_role,
    remove_role,
)
from accounts.writes.invitations import invite
from accounts.writes.people import disable_person, enable_person
from accounts.writes.portal_roles import give_portal_role, take_portal_role
from accounts.writes.second_factors import remove_all_factors
from accounts.writes.teams import add_member, change_member_role
from tests.accounts.rows import (
    REASON,
    new_holder,
    new_member,
    new_name,
    new_person,
    new_portal_role,
    new_team,
    new_team_role,
)
from tests.accounts.test_member_roles import membership_of, outcome

OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR
db = pytest.mark.django_db
ALL = list(PortalRight)


def both(one: User, other: User) -> Actor:
    """Two people, of whom the second confirmed what the first proposed."""
    return Actor(ActorKind.PERSON, one.pk, second=acting(other))


@db
def test_role_is_given_and_taken_once_with_both_names_in_the_entry() -> None:
    one, other, person = (
        new_person(is_administrator=True),
        new_person(is_administrator=True),
        new_person(),
    )
    for _ in range(2):
        give_portal_role(person, role=PortalRole.SECURITY, actor=both(one, other))
    person.refresh_from_db()
    assert portal_roles(person) == [PortalRole.SECURITY]
    assert person.is_staff
    for _ in range(2):
        take_portal_role(person, role=PortalRole.SECURITY, actor=both(one, other))
    person.refresh_from_db()
    assert (portal_roles(person), person.is_staff) == ([], False)
    entries = AuditEntry.objects.filter(
        tag=AuditTag.PERSON_PORTAL_ROLE_CHANGED, subject_id=person.pk
    ).order_by("id")
    assert [(entry.actor_id, entry.facts) for entry in entries] == [
        (one.pk, {"role": "security", "is_given": given, "confirmed_by": str(other.pk)})
        for given in (True, False)
    ]


@db
@pytest.mark.parametrize("role", PortalRole)
def test_one_person_alone_gives_and_takes_an_approver_and_nothing_else(role: PortalRole) -> None:
    one, person = new_person(is_administrator=True), new_person()
    new_person(is_administrator=True)
    expected = "done" if role is PortalRole.APPROVER else "denied"
    assert outcome(lambda: give_portal_role(person, role=role, actor=acting(one))) == expected
    give_portal_role(person, role=role, actor=COMMAND)
    assert outcome(lambda: take_portal_role(person, role=role, actor=acting(one))) == expected


@db
def test_nobody_gives_or_takes_what_they_do_not_hold_and_neither_of_two_is_the_subject() -> None:
    chief = new_person(is_administrator=True)
    some = new_holder(new_portal_role(PortalRight.MANAGE_ROLES, PortalRight.DECIDE_REQUESTS))
    security, person = new_holder(PortalRole.SECURITY), new_person()
    for role, first, second, expected in (
        (PortalRole.APPROVER, some, chief, "done"),
        (PortalRole.SECURITY, some, chief, "denied"),
        (PortalRole.SECURITY, chief, some, "denied"),
        (PortalRole.SUPERUSER, chief, security, "denied"),
        (PortalRole.APPROVER, security, chief, "denied"),
    ):
        act = lambda: give_portal_role(person, role=role, actor=both(first, second))  # noqa: B023, E731
        assert outcome(act) == expected, role
    for first, second in ((chief, some), (some, chief)):
        act = lambda: give_portal_role(chief, role=PortalRole.APPROVER, actor=both(first, second))  # noqa: B023, E731
        assert "Nobody changes their own portal roles" in outcome(act)
    demoted = new_person(is_administrator=True)
    take_portal_role(demoted, role=PortalRole.SUPERUSER, actor=COMMAND)
    # What counts is what they may now, whatever the object in hand still says.
    assert demoted.is_superuser
    act = lambda: give_portal_role(new_person(), role=PortalRole.APPROVER, actor=acting(demoted))  # noqa: E731
    assert outcome(act) == "denied"


@db
def test_role_of_another_team_or_of_none_is_no_role_here() -> None:
    team, other = new_team(), new_team()
    of_other, of_portal = new_team_role(other, Right.SEE_USAGE), new_portal_role(*ALL)
    member = new_member(team)
    for role in (of_other, of_portal):
        with pytest.raises(ValidationError, match="no such role"):
            change_member_role(membership_of(team, member), role=role, actor=COMMAND)
    with pytest.raises(ValidationError, match="no such role"):
        give_portal_role(member, role=of_other, actor=COMMAND)
    # Rows that stand there whatever wrote them allow nothing either.
    PortalAssignment.objects.create(person=member, custom_role=of_other)
    User.objects.filter(pk=member.pk).update(is_staff=True)
    team.memberships.filter(person=member).update(role="", custom_role=of_portal)
    member.refresh_from_db()
    assert not portal_rights(member)
    assert not teams_of(member).exists()


@db
@pytest.mark.parametrize(
    "row",
    [
        {"role": "superuser"},
        {"role": "nonsense"},
        {"role": ""},
    ],
)
def test_database_refuses_an_assignment_of_no_role(row: dict[str, str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        PortalAssignment.objects.create(person=new_person(), **row)


@db
def test_portal_role_of_an_organisations_own_takes_two_to_make_and_to_widen() -> None:
    one, other = new_person(is_administrator=True), new_person(is_administrator=True)
    few = [PortalRight.SEE_AUDIT]
    name = new_name("role")
    assert outcome(lambda: make_portal_role(name=name, rights=few, actor=acting(one))) == "denied"
    role = make_portal_role(name=name, rights=few, actor=both(one, other))
    more = [*few, PortalRight.SEE_CALLS]
    widen = lambda: change_portal_role(role, name=name, rights=more, actor=acting(one))  # noqa: E731
    assert outcome(widen) == "denied"
    change_portal_role(role, name=name, rights=more, actor=both(one, other))
    holder = new_holder(role)
    change_portal_role(role, name=role.name, rights=few, actor=acting(one))
    assert portal_rights(User.objects.get(pk=holder.pk)) == set(few)
    some = new_holder(new_portal_role(PortalRight.MANAGE_ROLES))
    rename = lambda: change_portal_role(role, name="Mine", rights=few, actor=acting(some))  # noqa: E731
    assert outcome(rename) == "denied"
    assert outcome(lambda: remove_role(role, actor=acting(some))) == "denied"
    assert "Somebody has this role" in outcome(lambda: remove_role(role, actor=acting(one)))
    assert outcome(lambda: make_portal_role(name=" ", rights=few, actor=COMMAND)) != "done"
    assert outcome(lambda: make_portal_role(name="x", rights=[], actor=COMMAND)) != "done"
    same = role.name.upper()
    assert outcome(lambda: make_portal_role(name=same, rights=few, actor=COMMAND)) != "done"


@db
@pytest.mark.parametrize(
    ("role_of_actor", "rights", "is_allowed"),
    [
        (OWNER, {Right.MANAGE_OWNERS, Right.SEE_AUDIT}, True),
        (MANAGER, {Right.SEE_TEAM}, False),
        (AUDITOR, {Right.SEE_TEAM}, False),
        ({Right.MANAGE_ROLES, Right.SEE_USAGE}, {Right.SEE_USAGE}, True),
        ({Right.MANAGE_ROLES, Right.SEE_USAGE}, {Right.SEE_AUDIT}, False),
    ],
)
def test_team_role_is_made_and_changed_from_rights_that_the_actor_has(
    role_of_actor: Role | set[Right], rights: set[Right], is_allowed: bool
) -> None:
    team = new_team()
    if isinstance(role_of_actor, set):
        role_of_actor = new_team_role(team, *role_of_actor)  # type: ignore[assignment]
    actor = new_member(team, role_of_actor)  # type: ignore[arg-type]
    expected = "done" if is_allowed else "denied"
    name = new_name("role")
    act = lambda: make_team_role(team, name=name, rights=rights, actor=acting(actor))  # noqa: E731
    assert outcome(act) == expected
    there = new_team_role(team, Right.SEE_TEAM)
    change = lambda: change_team_role(there, name=name + "x", rights=rights, actor=acting(actor))  # noqa: E731
    assert outcome(change) == expected
    chief = acting(new_person(is_administrator=True))
    assert outcome(lambda: make_team_role(team, name="x", rights=rights, actor=chief)) == "denied"


@db
def test_member_with_a_role_of_the_teams_own_manages_nobody_who_may_more() -> None:
    team = new_team()
    some = new_team_role(team, Right.MANAGE_MEMBERS, Right.SEE_USAGE)
    watcher = new_team_role(team, Right.SEE_USAGE)
    actor, member, other = new_member(team, some), new_member(team), new_member(team, watcher)
    raised = membership_of(team, other)
    for role, expected in (
        (some, "done"),
        (watcher, "done"),
        (MEMBER, "denied"),
        (OWNER, "denied"),
    ):
        change = lambda: change_member_role(raised, role=role, actor=acting(actor))  # noqa: B023, E731
        assert outcome(change) == expected, role
    above = membership_of(team, member)
    with pytest.raises(PermissionDenied):
        access_membership(actor, above.pk, right=Right.MANAGE_MEMBERS)
    assert access_membership(actor, raised.pk, right=Right.MANAGE_MEMBERS) == raised
    own = membership_of(team, actor)
    assert outcome(lambda: change_member_role(own, role=OWNER, actor=acting(actor))) == "denied"
    with pytest.raises(PermissionDenied):
        access_team_role(actor, some.pk)
    with pytest.raises(ValidationError, match="Somebody has"):
        remove_role(some, actor=COMMAND)


@db
def test_nobody_puts_themselves_into_a_team() -> None:
    team = new_team()
    lead = new_holder(new_portal_role(PortalRight.MANAGE_TEAMS))
    assert "Nobody puts themselves" in outcome(
        lambda: add_member(team, person=lead, role=OWNER, actor=acting(lead))
    )
    assert "Nobody invites themselves" in outcome(
        lambda: invite(team, email=lead.email.upper(), role=OWNER, by=lead)
    )
    assert (
        outcome(lambda: add_member(team, person=new_person(), role=OWNER, actor=acting(lead)))
        == "done"
    )
    add_member(team, person=lead, role=AUDITOR, actor=COMMAND)
    own = membership_of(team, lead)
    assert "Nobody gives themselves" in outcome(
        lambda: change_member_role(own, role=OWNER, actor=acting(lead))
    )


@db
def test_security_disables_nobody_who_may_more_and_nobody_disables_the_last_superuser() -> None:
    User.objects.filter(is_superuser=True).update(is_superuser=False)
    security, chief = new_holder(PortalRole.SECURITY), new_person(is_administrator=True)
    for person, expected in (
        (chief, "denied"),
        (new_holder(PortalRole.REGISTRY_ADMIN), "denied"),
        (new_holder(PortalRole.SECURITY), "done"),
        (new_person(), "done"),
    ):
        act = lambda: disable_person(person, actor=acting(security), reason=REASON)  # noqa: B023, E731
        assert outcome(act) == expected
    forget = lambda: remove_all_factors(chief, actor=acting(security), reason=REASON)  # noqa: E731
    assert outcome(forget) == "denied"
    disabled = new_person(is_administrator=True)
    disable_person(disabled, actor=COMMAND, reason=REASON)
    assert outcome(lambda: enable_person(disabled, actor=acting(security))) == "denied"
    last = lambda: take_portal_role(chief, role=PortalRole.SUPERUSER, actor=COMMAND)  # noqa: E731
    assert "only superuser" in outcome(last)
    assert "only superuser" in outcome(
        lambda: disable_person(chief, actor=acting(chief), reason=REASON)
    )


def unmake(by: User, person: User, second: User) -> str:
    try:
        return outcome(
            lambda: take_portal_role(person, role=PortalRole.SUPERUSER, actor=both(by, second))
        )
    finally:
        connection.close()


@pytest.fixture
def no_superuser(committed: None) -> Iterator[None]:
    """Nobody else is one, and whoever was is one again afterwards."""
    others = list(User.objects.filter(is_superuser=True).values_list("pk", flat=True))
    User.objects.filter(pk__in=others).update(is_superuser=False)
    yield
    User.objects.filter(pk__in=others).update(is_superuser=True)


def test_superusers_who_unmake_each_other_at_once_leave_one(no_superuser: None) -> None:
    host = new_holder(new_portal_role(*ALL))
    for _ in range(3):
        User.objects.filter(is_superuser=True).update(is_superuser=False)
        one, other = new_person(is_administrator=True), new_person(is_administrator=True)
        with ThreadPoolExecutor(2) as threads:
            outcomes = list(threads.map(unmake, [one, other], [other, one], [host, host]))
        assert outcomes.count("done") == 1, outcomes
        assert User.objects.filter(is_superuser=True).count() == 1


@db
def test_people_are_found_by_what_they_hold_whatever_role_it_comes_from() -> None:
    own = new_portal_role(PortalRight.DECIDE_REQUESTS)
    of_team = new_team_role(new_team(), Right.SEE_TEAM)
    able = {new_holder(PortalRole.APPROVER), new_holder(own), new_person(is_administrator=True)}
    away, staff = new_holder(own), new_person()
    disable_person(away, actor=COMMAND, reason=REASON)
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    not_able = {away, staff, new_holder(PortalRole.SECURITY), new_person()}
    CustomRole.objects.filter(pk=of_team.pk).update(rights=["decide_requests"])
    PortalAssignment.objects.create(person=staff, custom_role=of_team)
    found = set(people_holding(PortalRight.DECIDE_REQUESTS))
    assert able <= found
    assert not found & not_able


def every_write(team: Team) -> Iterator[Callable[[], object]]:
    """Roles that cannot be: too long, nameless, of nothing."""
    for name in ("", "x" * 61):
        yield lambda name=name: make_team_role(  # type: ignore[misc]
            team, name=name, rights=[Right.SEE_TEAM], actor=COMMAND
        )


@db
def test_role_of_a_team_has_a_name_of_its_own() -> None:
    team, other = new_team(), new_team()
    for write in every_write(team):
        with pytest.raises(ValidationError):
            write()
    make_team_role(team, name="Watcher", rights=[], actor=COMMAND)
    make_team_role(other, name="watcher", rights=[], actor=COMMAND)
    with pytest.raises(ValidationError):
        make_team_role(team, name="WATCHER", rights=[], actor=COMMAND)
