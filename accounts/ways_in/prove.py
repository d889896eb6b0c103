"""One question for every credential, whichever way in it belongs to."""

import datetime

from accounts.ways_in import api_keys, oauth_tokens, workload_tokens
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind, Door, Proven

_WAYS = {
    CredentialKind.API_KEY: api_keys.prove,
    CredentialKind.OAUTH_TOKEN: oauth_tokens.prove,
    CredentialKind.WORKLOAD: workload_tokens.prove,
}


def prove(presented: Presented, *, door: Door, now: datetime.datetime) -> Proven | None:
    """Return what is known of the caller, or None for every credential that is not valid, whatever is wrong with it."""
    return _WAYS[presented.kind](presented, door=door, now=now)
