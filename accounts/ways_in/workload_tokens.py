"""Proves a token of an issuer whose workloads are trusted: in memory, with the keys that the issuer's row holds.

A key that is not known is asked for here and fetched by a task; whoever presented the token does not wait for it.
"""

import datetime

from accounts.ways_in.networks import lists_over
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind, Door, Proven
from accounts.workload.examine import examine
from accounts.workload.refresh import want_keys


def prove(presented: Presented, *, door: Door, now: datetime.datetime) -> Proven | None:
    """Return the service account that a rule lets the token stand for, or None for every token that is worth nothing.

    It has a service account at either door, and service accounts call models alone.
    """
    found = examine(presented.text, now=now)
    if found.rule is None or found.issuer is None:
        if found.wants_keys and found.issuer is not None:
            want_keys(found.issuer.pk, now=now)
        return None
    rule = found.rule
    # An earlier rule that is enabled again takes the token back, so each that it meets is listened for.
    ids = {found.issuer.pk, rule.team_id, rule.service_account_id, *(one.pk for one in found.met)}
    return Proven(
        credential_id=rule.pk,
        kind=CredentialKind.WORKLOAD,
        team=rule.team,
        service_account=rule.service_account,
        person=None,
        scopes=frozenset(rule.scopes),
        networks=lists_over(rule.networks),
        expires_at=found.ends_at,
        purpose="",
        depends_on=frozenset(ids),
    )
