"""Rotate keys by their age, and hand the new secret to whoever holds the old one.

The new secret waits sealed, for the overlap and not a moment longer, and is gone once it was fetched. All of a rotation is one
transaction: a worker that is killed in it leaves the key as it was.
"""

import datetime
import logging

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import SYSTEM, Actor, acting, record_audit
from accounts.key_facts import facts_of, told_of
from accounts.models import ApiKey, HandOver
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.writes.key_rotation import OVERLAP, rotate_key
from accounts.writes.keys import locked_key
from accounts.writes.notifications import notify
from portal.lib.clock import utc_now
from portal.lib.crypto import SealBroken, Sealer

COLUMN = "accounts_handover.sealed"
DAYS_MIN, DAYS_MAX = 7, 365
_log = logging.getLogger("latchkey.keys")


@transaction.atomic
def set_rotation(key: ApiKey, *, days: int | None, actor: Actor) -> None:
    """Have a key rotated by itself once its secret is so many days old; None leaves that to what the house demands.

    Raises: ValidationError naming the field.
    """
    if days is not None and not DAYS_MIN <= days <= DAYS_MAX:
        raise ValidationError({"days": f"{DAYS_MIN} to {DAYS_MAX} days."})
    key = locked_key(key)
    if key.rotates_after_days == days:
        return
    key.rotates_after_days = days
    key.save(update_fields=["rotates_after_days"])
    record_audit(
        AuditTag.KEY_ROTATION_SET,
        actor=actor,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
        days=days,
    )


@transaction.atomic
def rotate_by_schedule(key: ApiKey, *, older_than: datetime.datetime) -> bool:
    """Rotate a key whose secret was made by then, seal the new one for its hand-over, and tell the key's keepers.

    False where somebody rotated, revoked or disabled it meanwhile.
    """
    key = locked_key(key)
    if (key.rotated_at or key.created_at) > older_than or key.has_two_secrets(now=utc_now()):
        return False
    try:
        rotated = rotate_key(key, overlap=OVERLAP, actor=SYSTEM)
    except ValidationError:
        return False
    sealed = Sealer(settings.LATCHKEY_SEALING_KEYS).seal(
        rotated.text, row=str(key.pk), column=COLUMN
    )
    HandOver.objects.create(key=key, sealed=sealed)
    ends_at = rotated.key.previous_ends_at
    for person in told_of(key):
        notify(
            person,
            NotificationKind.KEY_ROTATED,
            ends_at=None if ends_at is None else ends_at.isoformat(),
            **facts_of(key),
        )
    return True


@transaction.atomic
def hand_over(key: ApiKey) -> str | None:
    """Return the key's new secret, once, to whoever proved the old one; None where none waits."""
    waiting = (
        HandOver.objects.select_for_update(of=("self",))
        .filter(key=key, key__previous_ends_at__gt=utc_now(), key__revoked_at=None)
        .first()
    )
    if waiting is None:
        return None
    sealer = Sealer(settings.LATCHKEY_SEALING_KEYS)
    try:
        text = sealer.open(bytes(waiting.sealed), row=str(key.pk), column=COLUMN)
    except SealBroken as error:
        _log.error("A new secret cannot be handed over.", extra={"error": str(error)})
        return None
    waiting.delete()
    record_audit(
        AuditTag.KEY_HANDED_OVER,
        actor=SYSTEM if key.person is None else acting(key.person),
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
    )
    return text


def forget_hand_overs(*, now: datetime.datetime) -> int:
    """Delete new secrets that nobody can fetch any more: what proves the right to them has ended."""
    return HandOver.objects.filter(key__previous_ends_at__lte=now).delete()[0]
