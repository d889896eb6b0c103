"""In what a key and its holder have to stand for it to be worth anything: each door asks these, and explanations tell them."""

import datetime
from collections.abc import Iterator
from enum import StrEnum

from django.db.models import Q, QuerySet

from accounts.models import ApiKey, Membership, Team, User
from accounts.roles import Right, with_right


class Stand(StrEnum):
    """One thing that has to hold, in the order in which they are asked. The last is asked where models are called."""

    NOT_REVOKED = "key_not_revoked"
    NOT_ENDED = "key_not_ended"
    KEY_ENABLED = "key_enabled"
    TEAM_ENABLED = "team_enabled"
    ACCOUNT_ENABLED = "service_account_enabled"
    PERSON_ENABLED = "person_enabled"
    IN_TEAM = "person_in_team"
    ROLE_CALLS = "role_calls_models"


def standing_of(key: ApiKey, *, now: datetime.datetime) -> Iterator[tuple[Stand, bool]]:
    """Say of each whether it holds, one by one: whoever stops at the first that does not looks up nothing more."""
    yield Stand.NOT_REVOKED, key.revoked_at is None
    yield Stand.NOT_ENDED, key.expires_at > now
    yield Stand.KEY_ENABLED, key.disabled_at is None
    yield Stand.TEAM_ENABLED, key.team.disabled_at is None
    if key.service_account is not None:
        yield Stand.ACCOUNT_ENABLED, key.service_account.disabled_at is None
        return
    yield Stand.PERSON_ENABLED, key.person is not None and key.person.is_active
    yield Stand.IN_TEAM, Membership.objects.filter(team=key.team, person=key.person).exists()


def usable_keys(*, now: datetime.datetime) -> QuerySet[ApiKey]:
    """The keys of which each of these holds, but for the person's place in the team: removing them revokes their keys there."""
    return ApiKey.objects.filter(
        Q(service_account=None) | Q(service_account__disabled_at=None),
        Q(person=None) | Q(person__is_active=True),
        revoked_at=None,
        disabled_at=None,
        expires_at__gt=now,
        team__disabled_at=None,
    )


def role_calls_models(team: Team, person: User | None) -> bool:
    """Whether whoever holds the credential may call models by their role in the team; a service account has none."""
    if person is None:
        return True
    return team.memberships.filter(with_right(Right.CALL_MODELS), person=person).exists()
