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
    found = _proven_key(presented, now=now)
    return None if found is None else caller_of(*found)


def caller_of(key: ApiKey, previous_ends_at: datetime.datetime | None = None) -> Proven:
    """Return what is known of the caller of a key that was proven.

    previous_ends_at: where it was proven by the secret that a rotation replaced, when that ends.
    """
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
        expires_at=min(key.expires_at, previous_ends_at or key.expires_at),
        purpose=key.purpose,
        depends_on=frozenset(one for one in ids if one is not None),
        key=key,
        by_previous_secret=previous_ends_at is not None,
    )


def _proven_key(
    presented: Presented, *, now: datetime.datetime
) -> tuple[ApiKey, datetime.datetime | None] | None:
    """Return the key, and the end of what was presented where that is the secret which a rotation replaced."""
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
    if key is None:
        return None
    is_previous = not is_proven and _is_previous(presented, key, now=now)
    if not (is_proven or is_previous) or not all(held for _, held in standing_of(key, now=now)):
        return None
    return key, key.previous_ends_at if is_previous else None


def _is_previous(presented: Presented, key: ApiKey, *, now: datetime.datetime) -> bool:
    if key.previous_digest is None or not key.has_two_secrets(now=now):
        return False
    digest = Peppers(settings.LATCHKEY_KEY_PEPPERS).digest(
        presented.text, pepper_id=key.previous_pepper_id
    )
    return hmac.compare_digest(bytes(key.previous_digest), digest)
