from django.db import transaction
from django.utils.text import slugify

from accounts.audit import Actor, record_audit
from accounts.models import ApiKey, Membership, ServiceAccount, Team, User
from accounts.models.audit import AuditTag
from accounts.models.teams import Role
from accounts.writes.keys import revoke_key
from accounts.writes.reasons import checked_reason
from portal.lib.clock import utc_now

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
def disable_team(team: Team, *, actor: Actor, reason: str) -> None:
    """Refuse every key of the team until it is enabled again; its running calls are cut.

    Disabling twice keeps the first reason.
    """
    reason = checked_reason(reason, act="the team is disabled")
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if team.disabled_at is not None:
        return
    team.disabled_at = utc_now()
    team.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.TEAM_DISABLED,
        actor=actor,
        subject_kind="team",
        subject_id=team.id,
        team_id=team.id,
        reason=reason,
    )


@transaction.atomic
def enable_team(team: Team, *, actor: Actor) -> None:
    """Let the team's keys call again, those that were not revoked and have not ended meanwhile."""
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if team.disabled_at is None:
        return
    team.disabled_at = None
    team.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.TEAM_ENABLED, actor=actor, subject_kind="team", subject_id=team.id, team_id=team.id
    )


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


@transaction.atomic
def disable_service_account(account: ServiceAccount, *, actor: Actor, reason: str) -> None:
    """Refuse the account's keys until it is enabled again; its running calls are cut.

    Disabling twice keeps the first reason.
    """
    reason = checked_reason(reason, act="the service account is disabled")
    account = ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if account.disabled_at is not None:
        return
    account.disabled_at = utc_now()
    account.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.SERVICE_ACCOUNT_DISABLED,
        actor=actor,
        subject_kind="service_account",
        subject_id=account.id,
        team_id=account.team_id,
        reason=reason,
    )


@transaction.atomic
def enable_service_account(account: ServiceAccount, *, actor: Actor) -> None:
    """Let the account's keys call again, those that were not revoked and have not ended meanwhile."""
    account = ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if account.disabled_at is None:
        return
    account.disabled_at = None
    account.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.SERVICE_ACCOUNT_ENABLED,
        actor=actor,
        subject_kind="service_account",
        subject_id=account.id,
        team_id=account.team_id,
    )
