"""Invite somebody into a team, take it back, and let them in."""

import datetime

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.audit import Actor, acting, record_audit
from accounts.models import Invitation, Membership, Team, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from accounts.roles import is_administrator
from accounts.writes.notifications import notify_address
from accounts.writes.people import create_person
from accounts.writes.teams import join_team, refuse_beyond_rights, role_fact, role_of
from portal.lib.clock import utc_now

INVITATION_LIFE = datetime.timedelta(days=7)
OPEN_PER_TEAM_MAX = 200


class InvitationClosed(Exception):
    """It was used or withdrawn, has ended, or whoever sent it may not invite any more."""


@transaction.atomic
def invite(team: Team, *, email: str, role: Role, by: User) -> Invitation:
    """Send somebody a link by which they join the team in this role, once, within a week.

    Whether the address has an account here makes no difference to what happens or is told.
    Raises: ValidationError for no address, a member's or an invited one; PermissionDenied.
    """
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    refuse_beyond_rights(acting(by), team, roles=(role,))
    email = email.strip().lower()
    if email == by.email.lower() and not is_administrator(by):
        raise ValidationError({"email": "Nobody invites themselves. Ask an owner of the team."})
    _make_room(team, email)
    invitation = Invitation(
        team=team, email=email, role=role, invited_by=by, ends_at=utc_now() + INVITATION_LIFE
    )
    # The constraint is checked by the team's lock and by the database, and said in words of our own.
    invitation.full_clean(validate_constraints=False)
    invitation.save()
    notify_address(
        email, NotificationKind.INVITATION, invitation_id=str(invitation.id), team=team.name
    )
    record_audit(
        AuditTag.PERSON_INVITED,
        actor=acting(by),
        subject_kind="invitation",
        subject_id=invitation.id,
        team_id=team.id,
        role=role.value,
    )
    return invitation


@transaction.atomic
def withdraw_invitation(invitation: Invitation, *, actor: Actor) -> None:
    """Make the link lead nowhere. An invitation that is closed already stays as it is. Raises: PermissionDenied."""
    found = Invitation.objects.select_for_update().get(pk=invitation.pk)
    refuse_beyond_rights(actor, found.team, roles=())
    if found.closed_at is not None:
        return
    found.closed_at = utc_now()
    found.save(update_fields=["closed_at"])
    record_audit(
        AuditTag.INVITATION_WITHDRAWN,
        actor=actor,
        subject_kind="invitation",
        subject_id=found.id,
        team_id=found.team_id,
    )


@transaction.atomic
def accept_invitation(invitation: Invitation, *, person: User) -> Membership:
    """Let the invited person into the team. Two who follow one link at the same moment do not both get in.

    Raises: InvitationClosed, also for a person of another address.
    """
    found = _still_open(invitation)
    if person.email.lower() != found.email.lower() or not person.is_active:
        raise InvitationClosed
    return _let_in(found, person)


@transaction.atomic
def accept_as_new_person(invitation: Invitation, *, name: str, password: str) -> User:
    """Make the invited person, who has shown with the link that the address is theirs, and let them in.

    Raises: InvitationClosed; ValidationError for a weak password.
    """
    found = _still_open(invitation)
    person = create_person(found.email, name=name.strip(), password=password, actor=None)
    _let_in(found, person)
    return person


def is_open(invitation: Invitation) -> bool:
    """Whether the invitation would let somebody in now.

    One whose sender was removed or lost the right meanwhile does not: nobody comes back through a link of their own.
    """
    if invitation.closed_at is not None or invitation.ends_at <= utc_now():
        return False
    if invitation.team.disabled_at is not None or invitation.invited_by is None:
        return False
    try:
        refuse_beyond_rights(
            acting(invitation.invited_by), invitation.team, roles=(Role(invitation.role),)
        )
    except PermissionDenied:
        return False
    return True


def _still_open(invitation: Invitation) -> Invitation:
    """Return the invitation, its team and itself locked, in the order in which every write of a team locks."""
    Team.objects.select_for_update(no_key=True).filter(pk=invitation.team_id).first()
    found = (
        Invitation.objects.select_related("team", "invited_by")
        .select_for_update(of=("self",))
        .filter(pk=invitation.pk)
        .first()
    )
    if found is None or not is_open(found):
        raise InvitationClosed
    return found


def _let_in(invitation: Invitation, person: User) -> Membership:
    role = Role(invitation.role)
    membership = Membership.objects.filter(team=invitation.team, person=person).first()
    if membership is None:
        membership = join_team(invitation.team, person=person, role=role, actor=acting(person))
    invitation.closed_at, invitation.accepted_by = utc_now(), person
    invitation.save(update_fields=["closed_at", "accepted_by"])
    record_audit(
        AuditTag.INVITATION_ACCEPTED,
        actor=acting(person),
        subject_kind="person",
        subject_id=person.id,
        team_id=invitation.team_id,
        invitation_id=str(invitation.id),
        role=role_fact(role_of(membership)),
    )
    return membership


def _make_room(team: Team, email: str) -> None:
    """Close what has ended, and refuse what stands already."""
    still_open = Invitation.objects.filter(team=team, closed_at=None)
    still_open.filter(ends_at__lte=utc_now()).update(closed_at=utc_now())
    if Membership.objects.filter(team=team, person__email__iexact=email).exists():
        raise ValidationError({"email": "This person is in the team already."})
    if still_open.filter(email__iexact=email).exists():
        raise ValidationError(
            {"email": "This address has an open invitation. Withdraw it to send another."}
        )
    if still_open.count() >= OPEN_PER_TEAM_MAX:
        raise ValidationError(
            {"email": f"{OPEN_PER_TEAM_MAX} invitations are open. Withdraw some first."}
        )
