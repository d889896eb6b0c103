"""Keys that nobody uses: noted and warned of, disabled, enabled by whoever wants them after all, and revoked in the end."""

import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.audit import SYSTEM, Actor, record_audit
from accounts.key_facts import facts_of, told_of
from accounts.key_use import last_sign_of_life
from accounts.models import ApiKey, IdleKey
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.writes.keys import locked_key, revoke_key
from accounts.writes.notifications import notify
from portal.lib.clock import utc_now


@transaction.atomic
def disable_idle_key(key: ApiKey, *, now: datetime.datetime) -> bool:
    """Disable a key whose time has come, and tell its keepers. False where it was used, enabled or ended meanwhile."""
    key = locked_key(key)
    idle = IdleKey.objects.filter(key=key, disables_at__lte=now).first()
    if idle is None or key.disabled_at is not None or key.revoked_at is not None:
        return False
    if last_sign_of_life(key) > idle.idle_since:
        idle.delete()
        return False
    keep_days = settings.LATCHKEY_IDLE_KEY_REMOVE_DAYS
    idle.removes_at = now + datetime.timedelta(days=keep_days) if keep_days else None
    idle.save(update_fields=["removes_at"])
    key.disabled_at = now
    key.save(update_fields=["disabled_at"])
    record_audit(
        AuditTag.KEY_DISABLED,
        actor=SYSTEM,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
        idle_since=idle.idle_since.isoformat(),
    )
    for person in told_of(key):
        removes_at = None if idle.removes_at is None else idle.removes_at.isoformat()
        notify(person, NotificationKind.KEY_DISABLED, removes_at=removes_at, **facts_of(key))
    return True


@transaction.atomic
def enable_key(key: ApiKey, *, actor: Actor) -> None:
    """Let a key that was disabled as idle be used again, for as long as a new one could stay unused.

    Raises: ValidationError for a key that is revoked.
    """
    key = locked_key(key)
    if key.revoked_at is not None:
        raise ValidationError("This key is revoked. Issue another.")
    if key.disabled_at is None:
        return
    key.disabled_at, key.enabled_at = None, utc_now()
    key.save(update_fields=["disabled_at", "enabled_at"])
    IdleKey.objects.filter(key=key).delete()
    record_audit(
        AuditTag.KEY_ENABLED,
        actor=actor,
        subject_kind="key",
        subject_id=key.pk,
        team_id=key.team_id,
    )


@transaction.atomic
def remove_idle_key(key: ApiKey, *, now: datetime.datetime) -> bool:
    """Revoke a key that stayed disabled until its time was over. Its row stays: the ledger and the trail speak of it."""
    key = locked_key(key)
    is_due = IdleKey.objects.filter(key=key, removes_at__lte=now).exists()
    if not is_due or key.disabled_at is None or key.revoked_at is not None:
        return False
    reason = f"Nobody used it, and it was disabled on {key.disabled_at:%Y-%m-%d}."
    revoke_key(key, actor=SYSTEM, reason=reason)
    return True
