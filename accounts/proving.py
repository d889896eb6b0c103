"""Proves an API key, for whichever door it was presented at.

Unknown, wrong, revoked and ended keys take the same path. What time still differs is the door's to cover: each refuses a
key that was looked up REFUSED_AFTER_S after it came.
"""

import datetime
import hmac
import ipaddress

from django.conf import settings

from accounts.models import ApiKey, Membership
from portal.lib.client_address import Network
from portal.lib.crypto import Peppers

# A look-up takes far less. How much less tells what was found, so nobody hears earlier that a key is not valid.
REFUSED_AFTER_S = 0.02


def prove_key(credential: str, public_id: str, *, now: datetime.datetime) -> ApiKey | None:
    """Return the key with its team and holder, or None where it is unknown, wrong, revoked, ended or its holder gone.

    Where it may be used from is the caller's to ask, with `networks_of`: who it is comes first.
    """
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    key = (
        ApiKey.objects.select_related("team", "service_account", "person")
        .filter(public_id=public_id)
        .first()
    )
    # An unknown key is digested too, so that the time taken does not tell it from a wrong one.
    stored = bytes(key.digest) if key is not None else bytes(32)
    presented = peppers.digest(credential, pepper_id=key.pepper_id if key else peppers.current_id)
    is_proven = hmac.compare_digest(stored, presented)
    if key is None or not is_proven or not _stands(key, now=now):
        return None
    return key


def networks_of(key: ApiKey) -> tuple[Network, ...]:
    """Return where the key may be used from; none means from anywhere."""
    return tuple(ipaddress.ip_network(text) for text in key.networks)


def _stands(key: ApiKey, *, now: datetime.datetime) -> bool:
    if key.revoked_at is not None or key.expires_at <= now or key.team.disabled_at is not None:
        return False
    if key.service_account is not None:
        return key.service_account.disabled_at is None
    return (
        key.person is not None
        and key.person.is_active
        and Membership.objects.filter(team=key.team, person=key.person).exists()
    )
