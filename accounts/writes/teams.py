from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.text import slugify

from accounts.audit import Actor, acting, record_audit
from accounts.models import ApiKey, CustomRole, Membership, ServiceAccount, Team, User
from accounts.models.audit import ActorKind, AuditTag
from accounts.models.teams import Role
from accounts.oauth.writes import end_tokens_of_member
from accounts.roles import (
    AnyTeamRole,
    PortalRight,
    Right,
    holds,
    is_administrator,
    rights_of,
    team_rights_of,
)
from accounts.writes.disabling import FIELDS, set_disabled, set_enabled
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
def change_team(
    team: Team,
    *,
    name: str,
    cost_centre: str,
    actor: Actor,
    requires_second_factor: bool | None = None,
) -> None:
    """Give a team another name or cost centre. Its slug stays, so that addresses go on leading to it.

    Keys keep the cost centre they were issued with. Changing nothing is not audited.
    requires_second_factor: whether members act in the team only once they have one; None keeps what is set.
    Raises: ValidationError naming the field.
    """
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    wanted: dict[str, str | bool] = {"name": name.strip(), "cost_centre": cost_centre.strip()}
    if requires_second_factor is not None:
        wanted["requires_second_factor"] = requires_second_factor
    changed = [field for field, value in wanted.items() if getattr(team, field) != value]
    if not changed:
        return
    for field in changed:
        setattr(team, field, wanted[field])
    team.full_clean()
    team.save(update_fields=changed)
    record_audit(
        AuditTag.TEAM_CHANGED,
        actor=actor,
        subject_kind="team",
        subject_id=team.id,
        team_id=team.id,
        changed=changed,
    )


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
def add_member(team: Team, *, person: User, role: AnyTeamRole, actor: Actor) -> Membership:
    """Put somebody into a team.

    Raises: ValidationError for who is in it already, for a role of another team, and for a person who would let
    themselves in, superusers excepted.
    """
    if actor.kind == ActorKind.PERSON and actor.id == person.pk and not is_administrator(person):
        raise ValidationError({"person": "Nobody puts themselves into a team. Ask its owner."})
    return join_team(team, person=person, role=role, actor=actor)


@transaction.atomic
def join_team(team: Team, *, person: User, role: AnyTeamRole, actor: Actor) -> Membership:
    """Make the person a member, as add_member, on an invitation's word where they do it themselves."""
    membership = Membership(team=team, person=person)
    _set_role(membership, role)
    membership.full_clean()
    membership.save()
    record_audit(
        AuditTag.MEMBER_ADDED,
        actor=actor,
        subject_kind="person",
        subject_id=person.id,
        team_id=team.id,
        role=role_fact(role),
    )
    return membership


@transaction.atomic
def change_member_role(membership: Membership, *, role: AnyTeamRole, actor: Actor) -> None:
    """Give a member another role, built-in or of the team's own. The same role again changes nothing.

    Raises: ValidationError for the last owner, and for whoever would give themselves more than they have;
    PermissionDenied where the actor may not manage members, or lacks a right that the old or the new role has.
    """
    found = _locked(membership)
    if found is None or role_of(found) == role:
        return
    old = role_of(found)
    refuse_beyond_rights(actor, found.team, roles=(old, role))
    if actor.id == found.person_id and not team_rights_of(role) <= team_rights_of(old):
        raise ValidationError({"role": "Nobody gives themselves more rights. Ask another owner."})
    if old is Role.OWNER:
        _refuse_last_owner(found)
    _set_role(found, role)
    found.save(update_fields=["role", "custom_role"])
    record_audit(
        AuditTag.MEMBER_ROLE_CHANGED,
        actor=actor,
        subject_kind="person",
        subject_id=found.person_id,
        team_id=found.team_id,
        role=role_fact(role),
        old_role=role_fact(old),
    )


@transaction.atomic
def remove_member(membership: Membership, *, actor: Actor) -> None:
    """End a membership and revoke the person's keys of this team, so that a later membership does not bring them back.

    Removing twice does nothing more.
    Raises: ValidationError for the last owner; PermissionDenied where the actor may not manage such a member.
    """
    found = _locked(membership)
    if found is None:
        return
    refuse_beyond_rights(actor, found.team, roles=(role_of(found),))
    _end_membership(found, AuditTag.MEMBER_REMOVED, actor=actor)


@transaction.atomic
def leave_team(membership: Membership, *, person: User) -> None:
    """End one's own membership, and one's keys of this team with it, whatever one's role.

    Leaving twice does nothing more.
    Raises: ValidationError for the last owner; PermissionDenied for somebody else's membership.
    """
    found = _locked(membership)
    if found is None:
        return
    if found.person_id != person.pk:
        raise PermissionDenied
    _end_membership(found, AuditTag.MEMBER_LEFT, actor=acting(person))


def refuse_beyond_rights(actor: Actor, team: Team, *, roles: tuple[AnyTeamRole, ...]) -> None:
    """Hold a person to the rights they have in the team now, not when the page was opened. Raises: PermissionDenied.

    roles: those that are given or taken; nobody gives or takes one with a right that they do not have.
    """
    if actor.kind != ActorKind.PERSON:
        return
    membership = (
        Membership.objects.select_related("person", "custom_role")
        .filter(team=team, person_id=actor.id, person__is_active=True)
        .first()
    )
    if membership is not None:
        own = rights_of(membership)
        needed = {Right.MANAGE_MEMBERS}.union(*(team_rights_of(role) for role in roles))
        if needed <= own:
            return
    person = User.objects.filter(pk=actor.id).first() if actor.id else None
    if person is None or not holds(person, PortalRight.MANAGE_TEAMS):
        raise PermissionDenied


def role_of(membership: Membership) -> AnyTeamRole:
    return membership.custom_role or Role(membership.role)


def role_fact(role: AnyTeamRole) -> str:
    """The role as the audit trail names it: a name can change, so a custom one is known by its id."""
    return role.value if isinstance(role, Role) else f"custom {role.pk}"


def _set_role(membership: Membership, role: AnyTeamRole) -> None:
    """Raises: ValidationError for a custom role that is not the team's own, or is gone."""
    if isinstance(role, Role):
        membership.role, membership.custom_role = role, None
        return
    membership.role, membership.custom_role = "", lock_team_role(membership.team, role)


def lock_team_role(team: Team, role: CustomRole) -> CustomRole:
    """Return the team's role, neither removed nor widened before the commit. Raises: ValidationError where it is not the team's, or gone."""
    own = CustomRole.objects.select_for_update(no_key=True, of=("self",))
    found = own.filter(pk=role.pk, team=team).first()
    if found is None:
        raise ValidationError({"role": "The team has no such role."})
    return found


def _end_membership(found: Membership, tag: AuditTag, *, actor: Actor) -> None:
    """Revoke the person's keys of the team, end their tokens and delete the membership. Raises: ValidationError for the last owner."""
    if found.role == Role.OWNER:
        _refuse_last_owner(found)
    for key in ApiKey.objects.filter(
        team_id=found.team_id, person_id=found.person_id, revoked_at=None
    ):
        revoke_key(key, actor=actor, reason=MEMBER_REMOVED)
    end_tokens_of_member(found.person, found.team)
    record_audit(
        tag,
        actor=actor,
        subject_kind="person",
        subject_id=found.person_id,
        team_id=found.team_id,
    )
    found.delete()


def _locked(membership: Membership) -> Membership | None:
    """Return the membership as it is now, with its team locked: who counts a team's owners does so alone."""
    Team.objects.select_for_update(no_key=True).get(pk=membership.team_id)
    return (
        Membership.objects.select_related("team", "custom_role")
        .select_for_update(of=("self",))
        .filter(pk=membership.pk)
        .first()
    )


def _refuse_last_owner(owner: Membership) -> None:
    """A team whose owner cannot sign in has nobody to manage it, so disabled ones do not count."""
    others = Membership.objects.filter(
        team_id=owner.team_id, role=Role.OWNER, person__is_active=True
    ).exclude(pk=owner.pk)
    if not others.exists():
        raise ValidationError(
            {"role": "This is the team's only owner. Make another member an owner first."}
        )


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
def disable_service_account(
    account: ServiceAccount,
    *,
    actor: Actor,
    reason: str,
    by_administrator: bool = True,
) -> None:
    """Refuse the account's keys until it is enabled again; its running calls are cut.

    Disabling twice changes nothing, except that an administrator's takes the place of a team's.
    by_administrator: its team does not enable it again.
    """
    reason = checked_reason(reason, act="the service account is disabled")
    account = ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if not set_disabled(account, actor=actor, by_administrator=by_administrator):
        return
    account.save(update_fields=FIELDS)
    record_audit(
        AuditTag.SERVICE_ACCOUNT_DISABLED,
        actor=actor,
        subject_kind="service_account",
        subject_id=account.id,
        team_id=account.team_id,
        reason=reason,
    )


@transaction.atomic
def enable_service_account(
    account: ServiceAccount,
    *,
    actor: Actor,
    by_administrator: bool = False,
) -> None:
    """Let the account's keys call again, those that were not revoked and have not ended meanwhile.

    Raises: ValidationError for a team's hand where an administrator disabled it.
    """
    account = ServiceAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if not set_enabled(account, actor=actor, by_administrator=by_administrator):
        return
    account.save(update_fields=FIELDS)
    record_audit(
        AuditTag.SERVICE_ACCOUNT_ENABLED,
        actor=actor,
        subject_kind="service_account",
        subject_id=account.id,
        team_id=account.team_id,
    )
