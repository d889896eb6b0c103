from django.db import transaction
from django.utils.text import slugify

from accounts.audit import Actor, record_audit
from accounts.models import ApiKey, Membership, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.writes.keys import revoke_key

MEMBER_REMOVED = "Its holder left the team."


@transaction.atomic
def create_team(name: str, *, actor: Actor, cost_centre: str = "") -> Team:
    """Make a team. Raises: ValidationError for a name that is taken, empty or makes no slug."""
    team = Team(name=name, slug=slugify(name), cost_centre=cost_centre)
    team.full_clean()
    team.save()
    record_audit(
        AuditTag.TEAM_CREATED, actor=actor, subject_kind="team", subject_id=team.id, team_id=team.id
    )
    return team


@transaction.atomic
def add_member(team: Team, *, person: User, role: Role, actor: Actor) -> Membership:
    membership = Membership(team=team, person=person, role=role)
    membership.full_clean()
    membership.save()
    record_audit(
        AuditTag.MEMBER_ADDED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        team_id=team.id,
        role=role.value,
    )
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, actor: Actor) -> None:
    """End a membership and revoke the person's keys of this team, so that a later membership does not bring them back.

    Removing twice does nothing more.
    """
    found = Membership.objects.select_for_update().filter(pk=membership.pk).first()
    if found is None:
        return
    for key in ApiKey.objects.filter(
        team_id=found.team_id, person_id=found.person_id, revoked_at=None
    ):
        revoke_key(key, actor=actor, reason=MEMBER_REMOVED)
    record_audit(
        AuditTag.MEMBER_REMOVED,
        actor=actor,
        subject_kind="person",
        subject_id=found.person_id,
        team_id=found.team_id,
    )
    found.delete()


@transaction.atomic
def create_service_account(
    team: Team, *, name: str, actor: Actor, description: str = ""
) -> ServiceAccount:
    account = ServiceAccount(team=team, name=name, description=description)
    account.full_clean()
    account.save()
    record_audit(
        AuditTag.SERVICE_ACCOUNT_CREATED,
        actor=actor,
        subject_kind="service_account",
        subject_id=account.id,
        team_id=team.id,
    )
    return account
