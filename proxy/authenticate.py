"""Step 2: who calls. The same credential gives the same principal, or the same refusal, whichever header carried it."""

import datetime

from accounts.ways_in.presented import read_presented
from portal.lib.client_address import within
from proxy.errors import Code, Refusal
from proxy.exchange import Head
from proxy.identities import Identities
from proxy.principal import Principal


async def authenticate(
    head: Head, identities: Identities, *, now: datetime.datetime, was_proven: bool = False
) -> Principal:
    """Return the principal of the head's credential.

    was_proven: a call that runs is asked about again; what strangers do at its address cannot put that off.
    Raises: Refusal invalid_credential for a credential that is unknown, wrong, revoked or ended, all alike;
        address_not_allowed; outside_hours; identity_unavailable; too_many_unknown_credentials.
    """
    principal = identities.known(head.credential)
    if principal is None:
        principal = await _find(head, identities, peer=None if was_proven else head.peer)
    if principal is None:
        raise Refusal(Code.INVALID_CREDENTIAL)
    check_bounds(principal, peer=head.peer, now=now)
    return principal


def check_bounds(principal: Principal, *, peer: str, now: datetime.datetime) -> None:
    """Refuse a proven caller who comes too late, from elsewhere or at another hour. Raises: Refusal."""
    if principal.expires_at <= now:
        raise Refusal(Code.INVALID_CREDENTIAL)
    for networks in principal.networks:
        if not within(peer, networks):
            raise Refusal(Code.ADDRESS_NOT_ALLOWED)
    if principal.hours and not principal.is_in_hours(now):
        raise Refusal(Code.OUTSIDE_HOURS)


async def _find(head: Head, identities: Identities, *, peer: str | None) -> Principal | None:
    """Look up a credential that is not remembered. What none could have issued dies here, without a look-up."""
    presented = read_presented(head.credential)
    if presented is None:
        return None
    return await identities.find(presented, peer=peer)
