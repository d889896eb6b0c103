"""Give a key a new secret while the old one still works, and end the old one early.

The public id stays, so that whoever finds either secret finds the key, and every row about the key goes on telling of it.
"""

import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import Actor, record_audit
from accounts.credential import make_credential
from accounts.models import ApiKey, HandOver
from accounts.models.audit import AuditTag
from accounts.writes.keys import IssuedKey, locked_key
from portal.lib.clock import utc_now
from portal.lib.crypto import Peppers

OVERLAP = datetime.timedelta(days=7)
OVERLAP_MAX = datetime.timedelta(days=30)


@transaction.atomic
def rotate_key(
    key: ApiKey, *, overlap: datetime.timedelta = OVERLAP, actor: Actor, new_was_lost: bool = False
) -> IssuedKey:
    """Replace a key's secret; the old one works beside the new one for the overlap, and never past the key's own end.

    A key has one old secret. While it works the next rotation is refused: ending it early would break whoever still calls
    with it, unasked. The way out is to end it by name, or to wait.

    new_was_lost: the new secret reached nobody. It is replaced and dead at once; the old one keeps the end it has.
    Raises: ValidationError naming what stands in the way.
    """
    _refuse_overlap(overlap)
    key = locked_key(key)
    now = utc_now()
    _refuse_standing(key, now=now)
    has_two = key.has_two_secrets(now=now)
    if has_two and not new_was_lost:
        raise ValidationError(
            f"The old secret works until {key.previous_ends_at:%Y-%m-%d %H:%M} UTC. End it first, or wait until then."
        )
    if not has_two:
        key.previous_pepper_id, key.previous_digest = key.pepper_id, key.digest
        # With no older secret to keep, the one that was lost ends now.
        ends_at = now if new_was_lost else min(now + overlap, key.expires_at)
        key.rotated_at, key.previous_ends_at = now, ends_at
    credential, peppers = make_credential(key.public_id), Peppers(settings.LATCHKEY_KEY_PEPPERS)
    key.pepper_id = peppers.current_id
    key.digest = peppers.digest(credential.text, pepper_id=key.pepper_id)
    key.save(update_fields=_SECRETS)
    # What waited to be fetched is no secret of this key any more.
    HandOver.objects.filter(key=key).delete()
    record_audit(
        AuditTag.KEY_ROTATED,
        actor=actor,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
        old_secret_ends_at=None
        if key.previous_ends_at is None
        else key.previous_ends_at.isoformat(),
        new_was_lost=new_was_lost,
    )
    return IssuedKey(key, credential.text)


@transaction.atomic
def end_old_secret(key: ApiKey, *, actor: Actor) -> None:
    """End the secret that the last rotation replaced, as a key is revoked. One that has ended is left as it is."""
    key = locked_key(key)
    now = utc_now()
    if not key.has_two_secrets(now=now):
        return
    key.previous_ends_at = now
    HandOver.objects.filter(key=key).delete()
    key.save(update_fields=["previous_ends_at"])
    record_audit(
        AuditTag.KEY_OLD_SECRET_ENDED,
        actor=actor,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
    )


_SECRETS = [
    "pepper_id",
    "digest",
    "rotated_at",
    "previous_pepper_id",
    "previous_digest",
    "previous_ends_at",
]


def _refuse_overlap(overlap: datetime.timedelta) -> None:
    if not datetime.timedelta() <= overlap <= OVERLAP_MAX:
        raise ValidationError(
            {"overlap": f"At most {OVERLAP_MAX.days} days, and not less than none."}
        )


def _refuse_standing(key: ApiKey, *, now: datetime.datetime) -> None:
    """A key that is refused gets no new secret: that would work again with whatever let it be refused undone."""
    if key.revoked_at is not None:
        raise ValidationError("This key is revoked. Issue another.")
    if key.expires_at <= now:
        raise ValidationError("This key has ended. Issue another.")
    if key.disabled_at is not None:
        raise ValidationError("This key is disabled, as nobody used it. Enable it first.")
    if key.team.disabled_at is not None:
        raise ValidationError("The key's team is disabled.")
    if key.service_account is not None and key.service_account.disabled_at is not None:
        raise ValidationError("The service account that holds this key is disabled.")
    if key.person is not None and not key.person.is_active:
        raise ValidationError("The person who holds this key is disabled.")
