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
    CustomRole,
    Invitation,
    Membership,
    OAuthApplication,
    PortalAssignment,
    ServiceAccount,
    Team,
    TrustedIssuer,
    TrustRule,
    User,
    Webhook,
)
from accounts.models.roles import PortalRole
from accounts.roles import (
    PORTAL_RIGHTS,
    PortalRight,
    Right,
    may,
    rights_of,
    with_right,
)
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
    memberships = Membership.objects.filter(person=person).select_related("custom_role")
    if person.acts_in_team_id is not None:
        memberships = memberships.filter(team_id=person.acts_in_team_id)
    return memberships


def teams_of(person: User, *, right: Right = Right.SEE_TEAM) -> QuerySet[Team]:
    """The teams in which the person has the right, by name."""
    memberships = memberships_of(person).filter(with_right(right))
    return Team.objects.filter(
        pk__in=memberships.values("team_id"), disabled_at__isnull=True
    ).order_by("name")


def access_team(person: User, team: uuid.UUID | str, *, right: Right = Right.SEE_TEAM) -> Team:
    """Return the team, by id or slug. Raises: Http404, PermissionDenied, of which SecondFactorNeeded is one."""
    by = {"team_id": team} if isinstance(team, uuid.UUID) else {"team__slug": team}
    membership = (
        memberships_of(person)
        .select_related("team", "custom_role")
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
    return ApiKey.objects.filter(seen).select_related(
        "team", "service_account", "person", "use", "previous_use", "idle"
    )


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


def access_key_to_rotate(person: User, key_id: uuid.UUID) -> ApiKey:
    """Return a key whose new secret may be shown to the person. Raises: Http404, PermissionDenied."""
    key = access_key(person, key_id)
    if not may_rotate(person, key):
        raise PermissionDenied
    return key


def may_rotate(person: User, key: ApiKey) -> bool:
    """Whether the person could have issued this key, which they see.

    Whoever manages a team's keys may end a member's, and never come to hold one.
    """
    role = role_in(person, key.team)
    if key.person_id is not None:
        return key.person_id == person.pk and may(role, Right.ISSUE_OWN_KEYS)
    return may(role, Right.MANAGE_KEYS)


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
    """Return a membership of a team of theirs; to be changed, it may have no right that the person has not.

    Raises: Http404, PermissionDenied.
    """
    found = (
        Membership.objects.select_related("team", "person", "custom_role")
        .filter(pk=membership_id)
        .first()
    )
    if found is None:
        raise Http404
    team = access_team(person, found.team_id, right=right)
    is_to_change = right is Right.MANAGE_MEMBERS
    if is_to_change and not rights_of(found) <= rights_of(role_in(person, team)):
        raise PermissionDenied
    return found


def access_team_role(person: User, role_id: uuid.UUID) -> CustomRole:
    """Return a custom role of a team whose roles they manage. Raises: Http404, PermissionDenied."""
    found = CustomRole.objects.select_related("team").filter(pk=role_id).first()
    if found is None or found.team_id is None:
        raise Http404
    access_team(person, found.team_id, right=Right.MANAGE_ROLES)
    return found


def people_holding(right: PortalRight) -> QuerySet[User]:
    """Whoever may do this in the whole portal now, the longest known first."""
    roles = [role.value for role, rights in PORTAL_RIGHTS.items() if right in rights]
    assigned = PortalAssignment.objects.filter(
        Q(role__in=roles) | Q(custom_role__team=None, custom_role__rights__contains=[right.value])
    )
    able = Q(pk__in=assigned.values("person_id"))
    if PortalRole.SUPERUSER.value in roles:
        able |= Q(is_superuser=True)
    return User.objects.filter(able, is_active=True, is_staff=True).order_by("pk")


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


def access_webhook(person: User, webhook_id: uuid.UUID) -> Webhook:
    """Return a webhook of a team whose keys they manage. Raises: Http404, PermissionDenied."""
    webhook = Webhook.objects.select_related("team").filter(pk=webhook_id).first()
    if webhook is None:
        raise Http404
    access_team(person, webhook.team_id, right=Right.MANAGE_KEYS)
    return webhook


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
