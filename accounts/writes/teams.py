from django.db import transaction
from django.utils.text import slugify

from accounts.audit import Actor, record_audit
from accounts.models import Membership, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.teams import Role


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
    """End a membership; the person's keys of this team stop working with it."""
    record_audit(
        AuditTag.MEMBER_REMOVED,
        actor=actor,
        subject_kind="person",
        subject_id=membership.person_id,
        team_id=membership.team_id,
    )
    membership.delete()


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
