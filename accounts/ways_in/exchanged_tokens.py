"""Proves an access token that a workload got in exchange for its own: as good as the rule of trust that it was issued under."""

import datetime

from accounts.models import OAuthAccessToken, TrustRule
from accounts.oauth.access_tokens import TokenFacts
from accounts.ways_in.networks import lists_over
from accounts.ways_in.proven import CredentialKind, Proven


def prove(token: OAuthAccessToken, facts: TokenFacts, *, now: datetime.datetime) -> Proven | None:
    """Return the service account of the rule, or None where the rule, its issuer, its account or its team is over.

    To limits and to the ledger it is the rule's, as the workload's own token is.
    """
    rule = (
        TrustRule.objects.select_related("issuer", "team", "service_account")
        .filter(pk=facts.client_id)
        .first()
    )
    if rule is None or not _stands(rule, now=now) or not _is_of(rule, token, facts):
        return None
    return Proven(
        credential_id=rule.pk,
        kind=CredentialKind.WORKLOAD,
        team=rule.team,
        service_account=rule.service_account,
        person=None,
        scopes=facts.scopes & set(rule.scopes),
        networks=lists_over(rule.networks),
        expires_at=min(facts.expires_at, rule.expires_at or facts.expires_at),
        purpose="",
        depends_on=facts.rows | {rule.pk, rule.issuer_id, rule.team_id, rule.service_account_id},
        ends_at=rule.expires_at,
    )


def _stands(rule: TrustRule, *, now: datetime.datetime) -> bool:
    parts = (rule, rule.issuer, rule.service_account, rule.team)
    return all(one.disabled_at is None for one in parts) and (
        rule.expires_at is None or rule.expires_at > now
    )


def _is_of(rule: TrustRule, token: OAuthAccessToken, facts: TokenFacts) -> bool:
    """Whether the token is for whom the rule is, and nobody's besides."""
    return (
        token.user is None
        and token.team_id == facts.team_id == rule.team_id
        and facts.subject_id == rule.service_account_id
    )
