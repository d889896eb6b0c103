"""What becomes of tokens besides their use: ended by their client, with a membership, or forgotten when they are over."""

import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from oauth2_provider.models import revoke_access_token

from accounts.models import (
    EndedToken,
    OAuthAccessToken,
    OAuthApplication,
    OAuthDeviceGrant,
    OAuthGrant,
    OAuthRefreshToken,
    SpentAssertion,
    Team,
    User,
)

REFRESH_LIFE = datetime.timedelta(days=30)
# Long enough that a used code, shown again, is known for one.
CODES_KEPT = datetime.timedelta(days=1)


@transaction.atomic
def revoke_token(client: OAuthApplication, digest: str) -> None:
    """End a token of the client's own, and the other half of its pair, or one that a workload of its team got in exchange.

    One that is not there is ended already.
    """
    for access in access_tokens_of(client).filter(token_checksum=digest):
        revoke_access_token(access)
    for refresh in OAuthRefreshToken.objects.filter(token_checksum=digest, application=client):
        refresh.revoke()


def access_tokens_of(client: OAuthApplication) -> QuerySet[OAuthAccessToken]:
    """Those that were issued to the client, and those that workloads of its team got in exchange.

    An exchange needs no client, and the rule that a token rests on is the team's.
    """
    tokens: QuerySet[OAuthAccessToken] = OAuthAccessToken.objects.all()
    return tokens.filter(Q(application=client) | Q(application=None, team=client.team_id))


@transaction.atomic
def end_tokens_of_member(person: User, team: Team) -> None:
    """End whatever was issued for the person in this team, so that a later membership does not bring it back."""
    _end(user=person, team=team)


@transaction.atomic
def end_tokens_of_person(person: User) -> None:
    """End whatever was issued for the person in any team, so that enabling them again does not bring it back."""
    _end(user=person)


@transaction.atomic
def end_tokens_of_client(client: OAuthApplication) -> None:
    """End whatever was issued to the client, so that enabling it again does not bring it back."""
    OAuthGrant.objects.filter(application=client).delete()
    OAuthDeviceGrant.objects.filter(client_id=client.client_id).delete()
    OAuthRefreshToken.objects.filter(application=client).delete()
    OAuthAccessToken.objects.filter(application=client).delete()


def _end(**whose: User | Team) -> None:
    OAuthGrant.objects.filter(**whose).delete()
    OAuthDeviceGrant.objects.filter(**whose).delete()
    OAuthRefreshToken.objects.filter(**whose).delete()
    OAuthAccessToken.objects.filter(**whose).delete()


def forget_oauth(*, now: datetime.datetime) -> int:
    """Delete what is over: tokens, codes, assertions, and notes of ended tokens. Return how many rows went.

    A used refresh token is kept until its family is over, as using it again is what gives a thief away.
    """
    over = now - REFRESH_LIFE
    families = OAuthRefreshToken.objects.filter(updated__gt=over).values("token_family")
    gone = 0
    for rows in (
        OAuthRefreshToken.objects.filter(updated__lte=over).exclude(token_family__in=families),
        OAuthAccessToken.objects.filter(expires__lte=now, refresh_token=None),
        OAuthGrant.objects.filter(expires__lte=now - CODES_KEPT),
        OAuthDeviceGrant.objects.filter(expires__lte=now),
        SpentAssertion.objects.filter(expires_at__lte=now),
        EndedToken.objects.filter(expires_at__lte=now),
    ):
        gone += rows.delete()[0]
    return gone
