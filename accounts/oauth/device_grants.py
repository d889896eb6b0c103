"""Devices that wait for a person (RFC 8628): a code for the device, a short one for the person, and the polls between them."""

import datetime
import secrets

from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant

from accounts.models import OAuthApplication, OAuthDeviceGrant
from accounts.oauth.secrets import digest_of, make_device_code
from accounts.oauth.subjects import may_act_in
from portal.lib.clock import utc_now

LIFE = datetime.timedelta(minutes=10)
INTERVAL_S = 5
# Neither vowels, which would make words, nor letters that are taken for another: RFC 8628, section 6.1.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8  # 20 ** 8: 34 bits, guessed by signed-in people alone, whose tries are counted.


def begin(client: OAuthApplication, scopes: list[str]) -> tuple[str, OAuthDeviceGrant]:
    """Return a device's code, which is stored nowhere, and the row that waits."""
    device_code = make_device_code()
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    grant = OAuthDeviceGrant.objects.create(
        client_id=client.client_id,
        device_code=digest_of(device_code),
        user_code=letters,
        scope=" ".join(scopes),
        interval=INTERVAL_S,
        expires=utc_now() + LIFE,
    )
    return device_code, grant


def shown_code(grant: OAuthDeviceGrant) -> str:
    return f"{grant.user_code[:4]}-{grant.user_code[4:]}"


def find_waiting(text: str, *, lock: bool = False) -> OAuthDeviceGrant | None:
    """Return the device that waits under this code, however it was typed."""
    letters = "".join(letter for letter in text.upper() if letter in _LETTERS)
    rows = OAuthDeviceGrant.objects.filter(
        user_code=letters, status=OAuthDeviceGrant.AUTHORIZATION_PENDING, expires__gt=utc_now()
    )
    return (rows.select_for_update() if lock else rows).first() if len(letters) == _LENGTH else None


def answer_poll(
    device_code: str, *, client: OAuthApplication
) -> tuple[str | None, OAuthDeviceGrant | None]:
    """Say how the device's wait stands. An authorized one is answered once: its row goes, and with it the code.

    device_code: its digest.
    """
    grant = (
        OAuthDeviceGrant.objects.select_for_update(of=("self",))
        .select_related("user", "team")
        .filter(device_code=device_code, client_id=client.client_id)
        .first()
    )
    if grant is None:
        return None, None
    now = utc_now()
    if grant.expires <= now:
        return DeviceCodeGrant.DEVICE_CODE_EXPIRED, None
    if grant.status == OAuthDeviceGrant.DENIED:
        return DeviceCodeGrant.DEVICE_CODE_DENIED, None
    if grant.status == OAuthDeviceGrant.AUTHORIZED:
        grant.delete()
        is_allowed = may_act_in(grant.user, grant.team)
        status = DeviceCodeGrant.DEVICE_CODE_AUTHORIZED
        return (status, grant) if is_allowed else (DeviceCodeGrant.DEVICE_CODE_DENIED, None)
    interval = datetime.timedelta(seconds=grant.interval)
    is_hasty = grant.asked_at is not None and grant.asked_at + interval > now
    # Whoever polls too often waits longer from then on.
    more_s = INTERVAL_S if is_hasty and grant.interval < 60 else 0
    OAuthDeviceGrant.objects.filter(pk=grant.pk).update(
        asked_at=now, interval=grant.interval + more_s
    )
    if is_hasty:
        return DeviceCodeGrant.DEVICE_CODE_SLOW_DOWN, None
    return DeviceCodeGrant.DEVICE_CODE_PENDING, None
