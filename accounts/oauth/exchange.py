"""Exchanges a trusted workload's own token for an access token of ours (RFC 8693), and for no more than that token is worth.

The workload's token is the proof, so no client has to prove itself besides it; one that is given has to stand all the same.
"""

import datetime
from collections.abc import Collection
from dataclasses import dataclass

from oauth2_provider.models import set_token_value

from accounts.models import OAuthAccessToken, OAuthApplication
from accounts.oauth.access_tokens import NewToken, make_access_token
from accounts.oauth.issuer import ACCESS_TOKEN_LIFE, resource_of
from accounts.ways_in.presented import read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import CredentialKind, Door, Proven
from portal.lib.client_address import within

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name, no token.
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name, no token.


class NotProven(Exception):
    """The workload's token is worth nothing here, for whatever reason."""


class NotGiven(Exception):
    """What is asked for goes beyond what the workload's token is worth.

    error: the protocol's name for it.
    """

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@dataclass(frozen=True, repr=False)
class Exchanged:
    """A token that was made in exchange, and the scopes that it holds."""

    token: NewToken
    scopes: tuple[str, ...]


def exchange(
    text: str,
    *,
    scopes: Collection[str],
    resources: Collection[str],
    client: OAuthApplication | None,
    peer: str,
    now: datetime.datetime,
) -> Exchanged:
    """Make a token for the service account that the workload's token stands for; it ends no later than that.

    scopes, resources: what is asked for; none for all that the rule of trust gives.
    client: whoever asked, where a client proved itself; it has to be of the rule's team.
    Raises: NotProven, alike for every token that is not valid, from here or now; NotGiven.
    """
    proven = _proven(text, peer=peer, now=now)
    if client is not None and client.team_id != proven.team.pk:
        raise NotProven
    if not set(resources) <= {resource_of(Door.CALLS)}:
        raise NotGiven("invalid_target", "The token opens no such resource.")
    if not set(scopes) <= proven.scopes:
        raise NotGiven("invalid_scope", "The rule of trust does not give one of these scopes.")
    given = tuple(sorted(set(scopes) or proven.scopes))
    return Exchanged(_issue(proven, given, now=now), given)


def _proven(text: str, *, peer: str, now: datetime.datetime) -> Proven:
    """Ask what a call with this token would be asked, where it came from included."""
    presented = read_presented(text)
    if presented is None or presented.kind is not CredentialKind.WORKLOAD:
        raise NotProven
    proven = prove(presented, door=Door.CALLS, now=now)
    # Tokens count whole seconds, and one that has less than one left is over.
    if proven is None or proven.expires_at <= now + datetime.timedelta(seconds=1):
        raise NotProven
    if not all(within(peer, networks) for networks in proven.networks):
        raise NotProven
    if not all(hours.is_open(now) for hours in proven.hours):
        raise NotProven
    return proven


def _issue(proven: Proven, scopes: tuple[str, ...], *, now: datetime.datetime) -> NewToken:
    """Make the token and its row. The rule of trust stands where a client would."""
    if proven.service_account is None:
        raise NotProven
    made = make_access_token(
        proven.credential_id,
        subject=proven.service_account,
        team=proven.team,
        scopes=list(scopes),
        audience=[resource_of(Door.CALLS)],
        ends_at=min(proven.expires_at, now + ACCESS_TOKEN_LIFE),
        now=now,
    )
    row = OAuthAccessToken(
        jti=made.jti,
        team=proven.team,
        scope=" ".join(scopes),
        expires=made.expires_at,
        resource=[resource_of(Door.CALLS)],
    )
    set_token_value(row, made.text)
    row.save()
    return made
