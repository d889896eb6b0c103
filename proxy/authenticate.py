"""Step 2: who calls. The same key gives the same principal, or the same refusal, whichever header carried it."""

import datetime

from portal.lib.client_address import within
from proxy.errors import Code, Refusal
from proxy.exchange import Head
from proxy.identities import Identities
from proxy.principal import Principal


async def authenticate(head: Head, identities: Identities, *, now: datetime.datetime) -> Principal:
    """Return the principal of the head's credential.

    Raises: Refusal invalid_credential for a key that is unknown, wrong, revoked or ended, all alike;
        address_not_allowed; identity_unavailable; too_many_unknown_credentials.
    """
    principal = identities.known(head.credential)
    if principal is None:
        principal = await identities.find(head.credential, head.public_id, peer=head.peer)
    if principal is None or principal.expires_at <= now:
        raise Refusal(Code.INVALID_CREDENTIAL)
    if principal.networks and not within(head.peer, principal.networks):
        raise Refusal(Code.ADDRESS_NOT_ALLOWED)
    return principal
