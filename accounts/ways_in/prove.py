"""One question for every credential, whichever way in it belongs to."""

import dataclasses
import datetime

from accounts.ways_in import api_keys, oauth_tokens, workload_tokens
from accounts.ways_in.networks import hours_over, lists_over
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind, Door, Proven
from accounts.ways_in.standing import role_calls_models

_WAYS = {
    CredentialKind.API_KEY: api_keys.prove,
    CredentialKind.OAUTH_TOKEN: oauth_tokens.prove,
    CredentialKind.WORKLOAD: workload_tokens.prove,
}


def prove(presented: Presented, *, door: Door, now: datetime.datetime) -> Proven | None:
    """Return what is known of the caller, or None for every credential that is not valid, whatever is wrong with it.

    A person's calls no model once their role in the team allows them none.
    """
    proven = _WAYS[presented.kind](presented, door=door, now=now)
    if proven is None:
        return None
    if door is Door.CALLS and not role_calls_models(proven.team, proven.person):
        return None
    return with_bounds_of_holder(proven)


def with_bounds_of_holder(proven: Proven) -> Proven:
    """Add from where and when its service account and its team may be used, whichever way it came in by."""
    holders = [one for one in (proven.service_account, proven.team) if one is not None]
    return dataclasses.replace(
        proven,
        networks=proven.networks + lists_over(*(one.networks for one in holders)),
        hours=proven.hours + hours_over(*(one.hours for one in holders)),
    )
