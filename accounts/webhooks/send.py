"""Deliver what waits, with growing pauses between tries; what no try delivered is dead until somebody has it delivered again.

A delivery is claimed by moving its next try ahead, in a transaction of its own. A process that dies leaves it to be tried again
then: it may arrive twice, and bears the same id.
"""

import datetime
import logging
import time

import requests
from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.models.webhooks import DeliveryState, WebhookDelivery, WebhookFormat
from accounts.webhooks.form import ID_HEADER, SIGNATURE_HEADER, body_of, signature
from accounts.writes.webhooks import open_secret, open_url
from portal.lib.checked_http import post_bytes
from portal.lib.clock import utc_now
from portal.lib.crypto import SealBroken
from portal.lib.networks import AddressNotAllowed

RETRY_AFTER = tuple(datetime.timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 720))
CLAIMED_FOR = datetime.timedelta(minutes=2)
TIMEOUT_S = 10.0
ANSWER_MAX = 64 * 1024
RUN_S = 30.0
INTERRUPTED = "Its last try came to no end."
NOT_ALLOWED = "Its address is in none of LATCHKEY_WEBHOOK_NETWORKS."
_log = logging.getLogger("latchkey.webhooks")


class _Undeliverable(Exception):
    """This try did not deliver it; the text says why, and holds nothing of the URL or the answer.

    is_final: no other try would.
    """

    def __init__(self, fault: str, *, is_final: bool = False) -> None:
        super().__init__(fault)
        self.is_final = is_final


def deliver_due() -> int:
    """Deliver what is due until nothing is or the run has lasted long enough; return how much was delivered."""
    end = time.monotonic() + RUN_S
    delivered = 0
    while time.monotonic() < end:
        delivery = claim(now=utc_now())
        if delivery is None:
            break
        delivered += deliver_claimed(delivery)
    return delivered


def claim(*, now: datetime.datetime) -> WebhookDelivery | None:
    """Take the delivery that has been due the longest, for this process alone for a while.

    One whose last try was claimed and came to no end is dead: what ends the process that sends it is not sent for ever.
    """
    while True:
        with transaction.atomic(durable=True):
            found = (
                WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",))
                .select_related("webhook")
                .filter(
                    state=DeliveryState.WAITING,
                    next_try_at__lte=now,
                    webhook__team__disabled_at=None,
                )
                .order_by("next_try_at")
                .first()
            )
            if found is None:
                return None
            if found.tries <= len(RETRY_AFTER):
                found.tries += 1
                found.next_try_at = now + CLAIMED_FOR
                found.save(update_fields=["tries", "next_try_at"])
                return found
            _note(found, state=DeliveryState.DEAD, fault=INTERRUPTED)


def deliver_claimed(delivery: WebhookDelivery) -> bool:
    """Send a claimed delivery, and note what became of it. Returns whether it was delivered."""
    try:
        _post(delivery)
    except _Undeliverable as failed:
        _note_failure(delivery, str(failed), is_final=failed.is_final)
        return False
    _note(delivery, state=DeliveryState.DELIVERED, delivered_at=utc_now(), fault="")
    return True


def _post(delivery: WebhookDelivery) -> None:
    """Raises: _Undeliverable."""
    webhook = delivery.webhook
    body = body_of(WebhookFormat(webhook.format), delivery.payload)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Latchkey",
        ID_HEADER: str(delivery.pk),
    }
    try:
        secret = open_secret(webhook)
        if secret:
            headers[SIGNATURE_HEADER] = signature(secret, body, now=utc_now())
        post_bytes(
            open_url(webhook),
            body,
            headers=headers,
            networks=settings.LATCHKEY_WEBHOOK_NETWORKS,
            timeout_s=TIMEOUT_S,
            max_bytes=ANSWER_MAX,
        )
    except AddressNotAllowed:
        raise _Undeliverable(NOT_ALLOWED, is_final=True) from None
    except SealBroken:
        raise _Undeliverable("Its URL or secret cannot be opened.") from None
    except requests.HTTPError as error:
        status = error.response.status_code
        raise _Undeliverable(f"It answered {status}.", is_final=status == 410) from None
    except requests.TooManyRedirects:
        raise _Undeliverable("It answered with a redirect, and none is followed.") from None
    except (requests.RequestException, OSError, ValueError) as error:
        # Their texts hold the URL.
        raise _Undeliverable(f"It could not be reached: {type(error).__name__}.") from None


def _note_failure(delivery: WebhookDelivery, fault: str, *, is_final: bool) -> None:
    _log.warning(
        "A webhook was not delivered.", extra={"delivery": str(delivery.pk), "fault": fault}
    )
    if is_final or delivery.tries > len(RETRY_AFTER):
        _note(delivery, state=DeliveryState.DEAD, fault=fault)
        return
    again_at = utc_now() + RETRY_AFTER[delivery.tries - 1]
    _note(delivery, next_try_at=again_at, fault=fault)


def _note(delivery: WebhookDelivery, **facts: object) -> None:
    """Write down what became of this try, unless the delivery was tried or asked for again meanwhile."""
    WebhookDelivery.objects.filter(
        pk=delivery.pk, tries=delivery.tries, state=DeliveryState.WAITING
    ).update(**({"next_try_at": F("next_try_at")} | facts))
