"""The doors to what belongs to a team: pages, API views and admin fetch through them, and none repeats their rule.

What is not there and what somebody may not see raise the same Http404. What somebody may see and not do raises
PermissionDenied.
"""

import uuid

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404

from accounts.models import (
    ApiKey,
    Invitation,
    Membership,
    OAuthApplication,
    ServiceAccount,
    Team,
    TrustedIssuer,
    TrustRule,
    User,
)
from accounts.models.teams import Role
from accounts.roles import Right, may, roles_with
from accounts.second_factors import SecondFactorNeeded, team_lets_in


def memberships_of(person: User) -> QuerySet[Membership]:
    """The memberships by which the person acts: all of theirs, or the one of the team they act in alone.

    Those of teams that ask for a second factor are not among them until the person has one.
    """
    return _any_memberships_of(person).filter(team_lets_in(person))


def locked_teams_of(person: User) -> QuerySet[Team]:
    """The person's teams that open once they have set up a second factor, by name."""
    locked = _any_memberships_of(person).exclude(team_lets_in(person))
    return Team.objects.filter(pk__in=locked.values("team_id"), disabled_at__isnull=True).order_by(
        "name"
    )


def _any_memberships_of(person: User) -> QuerySet[Membership]:
    memberships = Membership.objects.filter(person=person)
    if person.acts_in_team_id is not None:
        memberships = memberships.filter(team_id=person.acts_in_team_id)
    return memberships


def teams_of(person: User, *, right: Right = Right.SEE_TEAM) -> QuerySet[Team]:
    """The teams in which the person has the right, by name."""
    memberships = memberships_of(person).filter(role__in=roles_with(right))
    return Team.objects.filter(
        pk__in=memberships.values("team_id"), disabled_at__isnull=True
    ).order_by("name")


def access_team(person: User, team: uuid.UUID | str, *, right: Right = Right.SEE_TEAM) -> Team:
    """Return the team, by id or slug. Raises: Http404, PermissionDenied, of which SecondFactorNeeded is one."""
    by = {"team_id": team} if isinstance(team, uuid.UUID) else {"team__slug": team}
    membership = (
        memberships_of(person)
        .select_related("team")
        .filter(team__disabled_at__isnull=True, **by)
        .first()
    )
    if membership is None and locked_teams_of(person).filter(**_named(team)).exists():
        raise SecondFactorNeeded
    if membership is None or not may(membership, Right.SEE_TEAM):
        raise Http404
    if not may(membership, right):
        raise PermissionDenied
    return membership.team


def _named(team: uuid.UUID | str) -> dict[str, uuid.UUID | str]:
    return {"pk": team} if isinstance(team, uuid.UUID) else {"slug": team}


def role_in(person: User, team: Team) -> Membership:
    """Return the person's membership of a team they were let into. Raises: Http404."""
    membership = memberships_of(person).filter(team=team).first()
    if membership is None:
        raise Http404
    return membership


def keys_of(person: User) -> QuerySet[ApiKey]:
    """Every key the person may see: their own, and all of the teams whose keys they manage or audit."""
    seen = Q(team__in=teams_of(person, right=Right.MANAGE_KEYS))
    seen |= Q(team__in=teams_of(person, right=Right.SEE_AUDIT))
    seen |= Q(person=person, team__in=teams_of(person))
    return ApiKey.objects.filter(seen).select_related("team", "service_account", "person", "use")


def access_key(person: User, key_id: uuid.UUID, *, to_change: bool = False) -> ApiKey:
    """Return the key; to change it, it has to be one's own or of a team whose keys one manages.

    Raises: Http404, PermissionDenied.
    """
    key = keys_of(person).filter(pk=key_id).first()
    if key is None:
        raise Http404
    if (
        to_change
        and key.person_id != person.pk
        and not may(role_in(person, key.team), Right.MANAGE_KEYS)
    ):
        raise PermissionDenied
    return key


def access_service_account(
    person: User, account_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> ServiceAccount:
    """Return the service account of a team of theirs. Raises: Http404, PermissionDenied."""
    account = ServiceAccount.objects.select_related("team").filter(pk=account_id).first()
    if account is None:
        raise Http404
    access_team(person, account.team_id, right=right)
    return account


def access_oauth_client(
    person: User, client_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> OAuthApplication:
    """Return the OAuth client of a team of theirs. Raises: Http404, PermissionDenied."""
    client: OAuthApplication | None = (
        OAuthApplication.objects.select_related("team", "service_account")
        .filter(credential_id=client_id)
        .first()
    )
    if client is None:
        raise Http404
    access_team(person, client.team_id, right=right)
    return client


def access_membership(
    person: User, membership_id: int, *, right: Right = Right.SEE_TEAM
) -> Membership:
    """Return a membership of a team of theirs; an owner's needs the right to manage owners to be changed.

    Raises: Http404, PermissionDenied.
    """
    found = Membership.objects.select_related("team", "person").filter(pk=membership_id).first()
    if found is None:
        raise Http404
    if right is Right.MANAGE_MEMBERS and found.role == Role.OWNER:
        right = Right.MANAGE_OWNERS
    access_team(person, found.team_id, right=right)
    return found


def access_invitation(person: User, invitation_id: uuid.UUID) -> Invitation:
    """Return an open invitation of a team whose members they manage. Raises: Http404, PermissionDenied."""
    found = (
        Invitation.objects.select_related("team").filter(pk=invitation_id, closed_at=None).first()
    )
    if found is None:
        raise Http404
    access_team(person, found.team_id, right=Right.MANAGE_MEMBERS)
    return found


def issuers_open_to_teams() -> QuerySet[TrustedIssuer]:
    """The issuers for which managers of teams make rules, by name."""
    return TrustedIssuer.objects.filter(is_open_to_teams=True, disabled_at=None).order_by("name")


def access_trust_rule(
    person: User, rule_id: uuid.UUID, *, right: Right = Right.SEE_TEAM
) -> TrustRule:
    """Return the rule of a team of theirs. Raises: Http404, PermissionDenied."""
    rule = (
        TrustRule.objects.select_related("team", "issuer", "service_account")
        .filter(pk=rule_id)
        .first()
    )
    if rule is None:
        raise Http404
    access_team(person, rule.team_id, right=right)
    return rule
