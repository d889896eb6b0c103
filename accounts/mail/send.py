"""Send what waits in the outbox, each mail once.

A mail is claimed in a transaction of its own before it is handed to the server. What becomes of it is written down
after; a process that dies in between leaves it handed over, and since nobody knows whether it was sent, it is never
sent again by itself.
"""

import datetime
import logging
import time
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from accounts.mail.write import Mail, NothingToTell, write_mail
from accounts.models import CaughtMail, Notification
from accounts.models.notifications import NotificationState
from portal.lib.clock import utc_now
from portal.lib.mail_url import Kept, MailServer
from portal.lib.smtp import FAULT_MAX, MaybeTaken, NotTaken, deliver

# After each try that failed for certain; after the last one it has failed.
RETRY_AFTER = tuple(datetime.timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 720))
UNCERTAIN_AFTER = datetime.timedelta(minutes=10)
# One run of the task, so that a slow server does not keep a worker from its other work.
RUN_S = 30.0
NO_SERVER = "LATCHKEY_EMAIL_URL names no mail server."
_log = logging.getLogger("latchkey.mail")


def send_due() -> int:
    """Send what is due, until nothing is or the run has lasted long enough; return how many were sent.

    Any number of processes may do so at once.
    """
    give_up_interrupted()
    end = time.monotonic() + RUN_S
    sent = 0
    while time.monotonic() < end:
        notification = claim()
        if notification is None:
            break
        sent += send_claimed(notification)
    return sent


def claim() -> Notification | None:
    """Take the mail that has been due the longest, for this process alone; it is committed when this returns."""
    with transaction.atomic(durable=True):
        now = utc_now()
        found = (
            Notification.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("person")
            .filter(state=NotificationState.WAITING, next_try_at__lte=now)
            .order_by("next_try_at")
            .first()
        )
        if found is None:
            return None
        found.state, found.handed_over_at = NotificationState.HANDED_OVER, now
        found.tries += 1
        found.save(update_fields=["state", "handed_over_at", "tries"])
        return found


def give_up_interrupted() -> int:
    """Name those uncertain whose sending never came to an end; return how many there were."""
    return Notification.objects.filter(
        state=NotificationState.HANDED_OVER, handed_over_at__lte=utc_now() - UNCERTAIN_AFTER
    ).update(state=NotificationState.UNCERTAIN)


def send_claimed(notification: Notification) -> bool:
    """Write and send a claimed mail, and note what became of it. Returns whether it was sent."""
    try:
        mail = write_mail(notification)
        _hand_over(mail, notification)
    except NothingToTell as reason:
        _note(notification, NotificationState.FAILED, str(reason))
    except NotTaken as fault:
        _note_failure(notification, str(fault), is_final=fault.is_final)
    except MaybeTaken:
        _note(notification, NotificationState.UNCERTAIN, "The mail server went silent at the end.")
    except Exception as error:  # noqa: BLE001 - whatever it is, the mail is not to hang.
        # A fault of ours, before anything was sent. Its text may hold what the mail holds.
        _log.exception("A mail could not be written.", extra={"notification": str(notification.pk)})
        _note_failure(notification, f"It could not be written: {type(error).__name__}.")
    else:
        return _note(notification, NotificationState.SENT)
    return False


def compose(mail: Mail, *, message_id: str, sender: Address, at: datetime.datetime) -> bytes:
    """The mail as it travels: text and HTML, in seven bits. Raises: ValueError for a header with a line's end in it."""
    message = EmailMessage(policy=policy.SMTP.clone(cte_type="7bit"))
    message["From"] = sender
    message["To"] = Address(addr_spec=mail.to)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id
    # RFC 3834: holiday notices do not answer it.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message.as_bytes()


def _hand_over(mail: Mail, notification: Notification) -> None:
    way, sender = settings.LATCHKEY_EMAIL_URL, settings.LATCHKEY_EMAIL_FROM
    if way is Kept.CAUGHT:
        CaughtMail.objects.create(to=mail.to, subject=mail.subject, text=mail.text, html=mail.html)
    elif isinstance(way, MailServer) and sender is not None:
        recipient = _wire_address(mail.to)
        message = compose(
            Mail(recipient, mail.subject, mail.text, mail.html),
            message_id=f"<{notification.pk}@{urlsplit(settings.LATCHKEY_BASE_URL).hostname}>",
            sender=sender,
            at=notification.created_at,
        )
        deliver(
            way,
            sender=sender.addr_spec,
            recipient=recipient,
            message=message,
        )
    else:
        raise NotTaken(NO_SERVER, is_final=True)


def _wire_address(email: str) -> str:
    """The address with its host in ASCII, as servers know it."""
    mailbox, _, host = email.rpartition("@")
    try:
        return f"{mailbox}@{host.encode('idna').decode('ascii')}"
    except UnicodeError:
        raise NotTaken("The address's host is no name.", is_final=True) from None


def _note_failure(notification: Notification, fault: str, *, is_final: bool = False) -> None:
    if is_final or notification.tries > len(RETRY_AFTER):
        _note(notification, NotificationState.FAILED, fault)
        return
    again_at = utc_now() + RETRY_AFTER[notification.tries - 1]
    _note(notification, NotificationState.WAITING, fault, again_at)


def _note(
    notification: Notification,
    state: NotificationState,
    fault: str = "",
    next_try_at: datetime.datetime | None = None,
) -> bool:
    """Write down what became of a claimed mail, unless somebody else has claimed it meanwhile."""
    noted = Notification.objects.filter(
        pk=notification.pk,
        handed_over_at=notification.handed_over_at,
        state__in=(NotificationState.HANDED_OVER, NotificationState.UNCERTAIN),
    ).update(
        state=state,
        fault=fault[:FAULT_MAX],
        next_try_at=next_try_at or notification.next_try_at,
    )
    if fault:
        _log.warning(
            "A mail was not sent.", extra={"notification": str(notification.pk), "fault": fault}
        )
    return bool(noted)
