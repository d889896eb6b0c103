"""What becomes of tokens besides their use: ended by their client, with a membership, or forgotten when they are over."""

import datetime

from django.db import transaction
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
    """End a token of the client's own, and the other half of its pair. One that is not there is ended already."""
    own = {"token_checksum": digest, "application": client}
    for access in OAuthAccessToken.objects.filter(**own):
        revoke_access_token(access)
    for refresh in OAuthRefreshToken.objects.filter(**own):
        refresh.revoke()


@transaction.atomic
def end_tokens_of_member(person: User, team: Team) -> None:
    """End whatever was issued for the person in this team, so that a later membership does not bring it back."""
    theirs = {"user": person, "team": team}
    OAuthGrant.objects.filter(**theirs).delete()
    OAuthDeviceGrant.objects.filter(**theirs).delete()
    OAuthRefreshToken.objects.filter(**theirs).delete()
    OAuthAccessToken.objects.filter(**theirs).delete()


@transaction.atomic
def end_tokens_of_client(client: OAuthApplication) -> None:
    """End whatever was issued to the client, so that enabling it again does not bring it back."""
    OAuthGrant.objects.filter(application=client).delete()
    OAuthDeviceGrant.objects.filter(client_id=client.client_id).delete()
    OAuthRefreshToken.objects.filter(application=client).delete()
    OAuthAccessToken.objects.filter(application=client).delete()


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
