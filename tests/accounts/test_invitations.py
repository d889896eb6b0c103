"""An invitation lets one person in, once, while whoever sent it may still invite."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection

from accounts.audit import COMMAND, acting
from accounts.models import AuditEntry, Invitation, Notification, Team, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from accounts.writes.invitations import (
    InvitationClosed,
    accept_as_new_person,
    accept_invitation,
    invite,
    withdraw_invitation,
)
from accounts.writes.people import disable_person
from accounts.writes.teams import change_member_role, disable_team, remove_member
from portal.lib.clock import utc_now
from tests.accounts.rows import PASSWORD, REASON, new_member, new_name, new_person, new_team

OWNER, MANAGER, MEMBER, AUDITOR = Role.OWNER, Role.MANAGER, Role.MEMBER, Role.AUDITOR


def new_address() -> str:
    return f"{new_name('guest')}@latchkey.test"


def new_invitation(
    *, email: str | None = None, role: Role = MEMBER, by: Role = OWNER
) -> tuple[Invitation, User]:
    """Return an invitation and its sender, in a team that has another owner."""
    team = new_team()
    new_member(team, OWNER)
    sender = new_member(team, by)
    return invite(team, email=email or new_address(), role=role, by=sender), sender


@pytest.mark.django_db
def test_invitation_is_mailed_without_a_secret_and_audited_without_an_address() -> None:
    invitation, sender = new_invitation(email=" Guest@Latchkey.TEST ", role=AUDITOR)
    assert invitation.email == "guest@latchkey.test"
    mail = Notification.objects.get(facts__invitation_id=str(invitation.pk))
    assert (mail.kind, mail.person, mail.email) == (
        NotificationKind.INVITATION,
        None,
        invitation.email,
    )
    assert mail.facts.keys() == {"invitation_id", "team"}
    entry = AuditEntry.objects.get(tag=AuditTag.PERSON_INVITED, subject_id=invitation.pk)
    assert (entry.actor_id, entry.team_id) == (sender.pk, invitation.team_id)
    assert entry.facts == {"role": "auditor"}


@pytest.mark.django_db
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("by", Role)
def test_role_is_offered_by_who_may_give_it(by: Role, role: Role) -> None:
    allowed = by is OWNER or (by is MANAGER and role is not OWNER)
    if allowed:
        assert new_invitation(role=role, by=by)[0].role == role
    else:
        with pytest.raises(PermissionDenied):
            new_invitation(role=role, by=by)


@pytest.mark.django_db
def test_administrator_invites_into_every_team_and_a_stranger_into_none() -> None:
    team = new_team()
    administrator = new_person(is_administrator=True)
    assert invite(team, email=new_address(), role=OWNER, by=administrator).team == team
    with pytest.raises(PermissionDenied):
        invite(team, email=new_address(), role=MEMBER, by=new_member(new_team(), OWNER))


@pytest.mark.django_db
@pytest.mark.parametrize("email", ["", "nobody", "a b@latchkey.test", "x" * 250 + "@a.test"])
def test_no_address_is_refused_at_its_field(email: str) -> None:
    with pytest.raises(ValidationError) as refused:
        new_invitation(email=email or " ")
    assert set(refused.value.message_dict) == {"email"}


@pytest.mark.django_db
def test_member_and_invited_address_are_refused_and_an_ended_one_is_invited_again() -> None:
    invitation, sender = new_invitation()
    team = invitation.team
    for email in (sender.email.upper(), invitation.email.upper()):
        with pytest.raises(ValidationError):
            invite(team, email=email, role=MEMBER, by=sender)
    Invitation.objects.filter(pk=invitation.pk).update(ends_at=utc_now())
    again = invite(team, email=invitation.email, role=MEMBER, by=sender)
    assert again.pk != invitation.pk


@pytest.mark.django_db
def test_person_of_the_address_joins_once_with_entries() -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email.upper(), role=AUDITOR)
    assert accept_invitation(invitation, person=person).role == AUDITOR
    invitation.refresh_from_db()
    assert invitation.accepted_by == person
    entries = AuditEntry.objects.filter(team_id=invitation.team_id, subject_id=person.pk)
    assert {entry.tag for entry in entries} == {
        AuditTag.MEMBER_ADDED,
        AuditTag.INVITATION_ACCEPTED,
    }
    assert {entry.actor_id for entry in entries} == {person.pk}
    invitation.team.memberships.get(person=person).delete()
    with pytest.raises(InvitationClosed):
        accept_invitation(invitation, person=person)


@pytest.mark.django_db
def test_new_person_chooses_name_and_password() -> None:
    invitation, _ = new_invitation()
    with pytest.raises(ValidationError):
        accept_as_new_person(invitation, name="Ada", password="short")
    person = accept_as_new_person(invitation, name=" Ada ", password=PASSWORD)
    assert (person.email, person.name) == (invitation.email, "Ada")
    assert not person.is_staff
    assert person.check_password(PASSWORD)
    assert invitation.team.memberships.get(person=person).role == MEMBER
    created = AuditEntry.objects.get(tag=AuditTag.PERSON_CREATED, subject_id=person.pk)
    assert created.actor_id == person.pk
    with pytest.raises(InvitationClosed):
        accept_as_new_person(invitation, name="Eve", password=PASSWORD)


@pytest.mark.django_db
def test_account_of_somebody_is_not_taken_over() -> None:
    person = new_person()
    invitation, _ = new_invitation(email=person.email)
    with pytest.raises(ValidationError):
        accept_as_new_person(invitation, name="Eve", password="another long passphrase")
    with pytest.raises(InvitationClosed):
        accept_invitation(invitation, person=new_person())
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert accept_invitation(invitation, person=person)


def spoil(invitation: Invitation, sender: User, how: str) -> None:
    team = invitation.team
    if how == "withdrawn":
        withdraw_invitation(invitation, actor=COMMAND)
    elif how == "ended":
        Invitation.objects.filter(pk=invitation.pk).update(
            ends_at=utc_now() - datetime.timedelta(seconds=1)
        )
    elif how == "team disabled":
        disable_team(team, actor=COMMAND, reason=REASON)
    elif how == "sender removed":
        remove_member(team.memberships.get(person=sender), actor=COMMAND)
    elif how == "sender demoted":
        change_member_role(team.memberships.get(person=sender), role=MEMBER, actor=COMMAND)
    elif how == "sender disabled":
        disable_person(sender, actor=COMMAND, reason=REASON)
    else:
        sender.delete()


@pytest.mark.django_db
@pytest.mark.parametrize(
    "how",
    [
        "withdrawn",
        "ended",
        "team disabled",
        "sender removed",
        "sender demoted",
        "sender disabled",
        "sender erased",
    ],
)
def test_invitation_that_stands_no_more_lets_nobody_in(how: str) -> None:
    person = new_person()
    invitation, sender = new_invitation(email=person.email)
    spoil(invitation, sender, how)
    with pytest.raises(InvitationClosed):
        accept_invitation(invitation, person=person)
    with pytest.raises(InvitationClosed):
        accept_as_new_person(invitation, name="Ada", password=PASSWORD)
    assert not invitation.team.memberships.filter(person=person).exists()


@pytest.mark.django_db
def test_manager_who_was_an_owner_lets_no_owner_in() -> None:
    person = new_person()
    invitation, sender = new_invitation(email=person.email, role=OWNER)
    membership = invitation.team.memberships.get(person=sender)
    change_member_role(membership, role=MANAGER, actor=COMMAND)
    with pytest.raises(InvitationClosed):
        accept_invitation(invitation, person=person)


@pytest.mark.django_db
def test_withdrawing_is_for_managers_and_audited_once() -> None:
    invitation, sender = new_invitation()
    for somebody in (new_member(invitation.team), new_member(new_team(), OWNER)):
        with pytest.raises(PermissionDenied):
            withdraw_invitation(invitation, actor=acting(somebody))
    withdraw_invitation(invitation, actor=acting(sender))
    withdraw_invitation(invitation, actor=acting(sender))
    AuditEntry.objects.get(tag=AuditTag.INVITATION_WITHDRAWN, subject_id=invitation.pk)


def accept_in_a_thread(invitation: Invitation, name: str) -> str:
    try:
        accept_as_new_person(invitation, name=name, password=PASSWORD)
    except InvitationClosed:
        return "closed"
    finally:
        connection.close()
    return "in"


def test_two_who_follow_one_link_at_once_are_one(committed: None) -> None:
    for _ in range(5):
        invitation, _sender = new_invitation()
        with ThreadPoolExecutor(2) as threads:
            outcomes = sorted(
                threads.map(accept_in_a_thread, [invitation, invitation], ["Ada", "Eve"])
            )
        assert outcomes == ["closed", "in"]
        assert User.objects.filter(email=invitation.email).count() == 1
        assert Team.objects.get(pk=invitation.team_id).memberships.count() == 3
