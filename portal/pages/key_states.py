"""Where a key stands in its life, for one key and for a list of them."""

import datetime

from django.db.models import Q, TextChoices
from django.utils.translation import gettext_lazy as _

from accounts.models import ApiKey

EXPIRING = datetime.timedelta(days=14)


class KeyState(TextChoices):
    ACTIVE = "active", _("Active")
    EXPIRING = "expiring", _("Expiring")
    DISABLED = "disabled", _("Disabled")
    EXPIRED = "expired", _("Expired")
    REVOKED = "revoked", _("Revoked")


PILLS = {
    KeyState.ACTIVE: "ok",
    KeyState.EXPIRING: "warn",
    KeyState.DISABLED: "warn",
    KeyState.EXPIRED: "quiet",
    KeyState.REVOKED: "bad",
}


def state_of(key: ApiKey, *, now: datetime.datetime) -> KeyState:
    if key.revoked_at is not None:
        return KeyState.REVOKED
    if key.expires_at <= now:
        return KeyState.EXPIRED
    if key.disabled_at is not None:
        return KeyState.DISABLED
    return KeyState.EXPIRING if key.expires_at <= now + EXPIRING else KeyState.ACTIVE


def in_state(state: KeyState, *, now: datetime.datetime) -> Q:
    """The condition under which `state_of` says this."""
    soon = now + EXPIRING
    return {
        KeyState.REVOKED: Q(revoked_at__isnull=False),
        KeyState.EXPIRED: Q(revoked_at=None, expires_at__lte=now),
        KeyState.DISABLED: Q(revoked_at=None, expires_at__gt=now, disabled_at__isnull=False),
        KeyState.EXPIRING: Q(
            revoked_at=None, disabled_at=None, expires_at__gt=now, expires_at__lte=soon
        ),
        KeyState.ACTIVE: Q(revoked_at=None, disabled_at=None, expires_at__gt=soon),
    }[state]
