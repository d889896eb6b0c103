"""Proves an access token of our own authorization server, for the door it was issued for.

A token that is well signed is only as good as its row: deleting that is what ends it early.
"""

import datetime
import hashlib

from accounts.models import Membership, OAuthAccessToken
from accounts.models.keys import Scope
from accounts.oauth.access_tokens import TokenFacts, read_access_token
from accounts.oauth.signing_keys import verifying_keys
from accounts.roles import is_administrator
from accounts.ways_in import exchanged_tokens
from accounts.ways_in.networks import lists_over
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind, Door, Proven


def prove(presented: Presented, *, door: Door, now: datetime.datetime) -> Proven | None:
    """Return what is known of the token's caller, or None where it is not ours, for another door, ended or its holder gone."""
    facts = read_access_token(presented.text, verifying_keys(), door=door, now=now)
    if facts is None:
        return None
    token = (
        OAuthAccessToken.objects.select_related(
            "application__team", "application__service_account", "team", "user"
        )
        .filter(jti=facts.jti, token_checksum=hashlib.sha256(presented.text.encode()).hexdigest())
        .first()
    )
    if token is None or token.expires <= now:
        return None
    if token.application is None:
        return exchanged_tokens.prove(token, facts, now=now)
    return _proven(token, facts)


def _proven(token: OAuthAccessToken, facts: TokenFacts) -> Proven | None:
    client = token.application
    if not client.is_usable() or not _stands(token, facts):
        return None
    scopes = facts.scopes & set(client.scopes)
    if token.user is None or not is_administrator(token.user):
        scopes -= {Scope.ADMINISTER}
    holder = client.service_account or token.user
    return Proven(
        credential_id=client.credential_id,
        kind=CredentialKind.OAUTH_TOKEN,
        team=token.team,
        service_account=client.service_account,
        person=token.user,
        scopes=frozenset(scopes),
        networks=lists_over(client.networks),
        expires_at=min(facts.expires_at, client.expires_at or facts.expires_at),
        purpose="",
        depends_on=facts.rows | {client.credential_id, client.team_id, token.team_id, holder.pk},
        ends_at=client.expires_at,
    )


def _stands(token: OAuthAccessToken, facts: TokenFacts) -> bool:
    """Whether the token's holder is who it was issued for, and may still act in its team."""
    client, person = token.application, token.user
    if client.credential_id != facts.client_id or token.team_id != facts.team_id:
        return False
    if client.service_account is not None:
        return (
            person is None
            and client.service_account_id == facts.subject_id
            and client.team_id == token.team_id
        )
    return (
        person is not None
        and person.pk == facts.subject_id
        and person.is_active
        and token.team.disabled_at is None
        and Membership.objects.filter(team=token.team, person=person).exists()
    )
