"""Proves an API key, for whichever door it was presented at.

Unknown, wrong, revoked and ended keys take the same path. What time still differs is the door's to cover: each refuses a
key that was looked up REFUSED_AFTER_S after it came.
"""

import datetime
import hmac

from django.conf import settings

from accounts.models import ApiKey
from accounts.ways_in.networks import hours_over, lists_over
from accounts.ways_in.presented import Presented
from accounts.ways_in.proven import CredentialKind, Door, Proven
from accounts.ways_in.standing import standing_of
from portal.lib.crypto import Peppers


def prove(presented: Presented, *, door: Door, now: datetime.datetime) -> Proven | None:
    """Return what is known of the key's caller, or None where it is unknown, wrong, revoked, ended or its holder gone.

    A key opens either door, as far as its scopes go. Where it may be used from is the caller's to ask: who it is comes first.
    """
    key = _proven_key(presented, now=now)
    return None if key is None else caller_of(key)


def caller_of(key: ApiKey) -> Proven:
    """Return what is known of the caller of a key that was proven."""
    ids = {key.id, key.team_id, key.service_account_id, key.person_id}
    return Proven(
        credential_id=key.id,
        kind=CredentialKind.API_KEY,
        team=key.team,
        service_account=key.service_account,
        person=key.person,
        scopes=frozenset(key.scopes),
        networks=lists_over(key.networks),
        hours=hours_over(key.hours),
        expires_at=key.expires_at,
        purpose=key.purpose,
        depends_on=frozenset(one for one in ids if one is not None),
        key=key,
    )


def _proven_key(presented: Presented, *, now: datetime.datetime) -> ApiKey | None:
    peppers = Peppers(settings.LATCHKEY_KEY_PEPPERS)
    key = (
        ApiKey.objects.select_related("team", "service_account", "person")
        .filter(public_id=presented.public_id)
        .first()
    )
    # An unknown key is digested too, so that the time taken does not tell it from a wrong one.
    stored = bytes(key.digest) if key is not None else bytes(32)
    digest = peppers.digest(presented.text, pepper_id=key.pepper_id if key else peppers.current_id)
    is_proven = hmac.compare_digest(stored, digest)
    if key is None or not is_proven or not all(held for _, held in standing_of(key, now=now)):
        return None
    return key
