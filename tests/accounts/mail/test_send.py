"""From the outbox to a real server: sent once, tried again where it certainly was not, left alone where nobody knows."""

from email.headerregistry import Address

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction
from pytest_django.fixtures import Settings

from accounts.audit import acting
from accounts.mail import send as sending
from accounts.mail.send import RETRY_AFTER, compose, send_due
from accounts.mail.write import Mail
from accounts.models import AuditEntry, CaughtMail, Notification
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind, NotificationState
from accounts.writes.notifications import notify, send_again
from portal.lib.clock import utc_now
from portal.lib.mail_url import Kept
from tests.accounts.mail.outbox import clear_outbox, let_pass_since_handed_over, make_due, waiting
from tests.accounts.rows import new_person
from tests.smtp_server import Fault, SmtpServer

pytestmark = pytest.mark.django_db
State = NotificationState


@pytest.fixture(autouse=True)
def empty_outbox(db: None) -> None:
    clear_outbox()


def test_waiting_mail_is_sent_once_as_text_and_html(mail_server: SmtpServer) -> None:
    notification = waiting()
    send_due()
    send_due()
    [taken] = mail_server.taken_by(notification.email)
    message = taken.message
    assert taken.sender == "latchkey@models.test"
    assert message["From"] == "Latchkey <latchkey@models.test>"
    assert message["To"] == notification.email
    assert message["Subject"] == "Search asks for house-chat, house-embed"
    assert message["Message-ID"] == f"<{notification.pk}@testserver>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in message.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert taken.raw.isascii()
    notification.refresh_from_db()
    assert (notification.state, notification.tries, notification.fault) == (State.SENT, 1, "")


def test_mail_that_is_not_due_waits(mail_server: SmtpServer) -> None:
    notification = waiting()
    later = utc_now() + RETRY_AFTER[0]
    Notification.objects.filter(pk=notification.pk).update(next_try_at=later)
    send_due()
    assert not mail_server.taken_by(notification.email)
    make_due(notification)
    send_due()
    assert len(mail_server.taken_by(notification.email)) == 1


def test_failed_try_waits_longer_each_time_and_ends(mail_server: SmtpServer) -> None:
    notification = waiting()
    mail_server.fault = Fault.ADDRESS_LATER
    for number, pause in enumerate(RETRY_AFTER, start=1):
        send_due()
        notification.refresh_from_db()
        assert (notification.state, notification.tries) == (State.WAITING, number)
        assert pause.total_seconds() - 30 < seconds_until_due(notification)
        assert seconds_until_due(notification) <= pause.total_seconds()
        assert "451" in notification.fault
        make_due(notification)
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.FAILED
    mail_server.fault = Fault.NONE
    make_due(notification)
    send_due()
    assert not mail_server.taken_by(notification.email)


def seconds_until_due(notification: Notification) -> float:
    return (notification.next_try_at - utc_now()).total_seconds()


def test_try_that_succeeds_after_a_failure_leaves_no_fault(mail_server: SmtpServer) -> None:
    notification = waiting()
    mail_server.fault = Fault.CUT_BEFORE_DATA
    send_due()
    notification.refresh_from_db()
    assert notification.fault
    mail_server.fault = Fault.NONE
    make_due(notification)
    send_due()
    notification.refresh_from_db()
    assert (notification.state, notification.tries, notification.fault) == (State.SENT, 2, "")


def test_refusal_for_good_is_not_tried_again_and_tells_no_secret(mail_server: SmtpServer) -> None:
    notification = waiting()
    mail_server.fault = Fault.REFUSES_ADDRESS
    send_due()
    notification.refresh_from_db()
    assert (notification.state, notification.tries) == (State.FAILED, 1)
    assert notification.fault.startswith("The mail server answered 550")
    assert "Fq81xLsd9Kw2zP" not in notification.fault


def test_silence_after_the_message_is_uncertain_and_stays_so(mail_server: SmtpServer) -> None:
    notification = waiting()
    mail_server.fault = Fault.CUT_AFTER_DATA
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.UNCERTAIN
    mail_server.fault = Fault.NONE
    make_due(notification)
    send_due()
    assert len(mail_server.taken_by(notification.email)) == 1


def test_mail_left_handed_over_becomes_uncertain_after_ten_minutes(mail_server: SmtpServer) -> None:
    notification = waiting()
    claimed = sending.claim()
    assert claimed == notification
    let_pass_since_handed_over(notification, 9.5)
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.HANDED_OVER
    let_pass_since_handed_over(notification, 1)
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.UNCERTAIN
    assert not mail_server.taken_by(notification.email)


def test_somebody_sends_an_uncertain_mail_again_with_an_entry(mail_server: SmtpServer) -> None:
    notification, administrator = waiting(), new_person(is_administrator=True)
    mail_server.fault = Fault.CUT_AFTER_DATA
    send_due()
    mail_server.fault = Fault.NONE
    send_again(notification, actor=acting(administrator))
    send_due()
    first, second = mail_server.taken_by(notification.email)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    entry = AuditEntry.objects.get(tag=AuditTag.MAIL_SENT_AGAIN, subject_id=notification.pk)
    assert entry.actor_id == administrator.pk
    assert entry.facts == {"kind": "request_made"}


@pytest.mark.parametrize("state", [State.WAITING, State.HANDED_OVER, State.SENT])
def test_only_an_uncertain_or_failed_mail_is_sent_again(
    state: NotificationState, mail_server: SmtpServer
) -> None:
    notification, administrator = waiting(), new_person(is_administrator=True)
    Notification.objects.filter(pk=notification.pk).update(state=state)
    with pytest.raises(ValidationError, match="only an uncertain or a failed one"):
        send_again(notification, actor=acting(administrator))
    assert not AuditEntry.objects.filter(subject_id=notification.pk).exists()
    Notification.objects.filter(pk=notification.pk).update(state=State.FAILED)
    send_again(notification, actor=acting(administrator))
    assert AuditEntry.objects.filter(subject_id=notification.pk).count() == 1


def test_late_news_of_a_claim_does_not_touch_a_newer_one(mail_server: SmtpServer) -> None:
    notification = waiting()
    paused = sending.claim()
    assert paused is not None
    let_pass_since_handed_over(notification, 11)
    sending.give_up_interrupted()
    send_again(notification, actor=acting(new_person(is_administrator=True)))
    assert sending.claim() == notification
    assert sending.send_claimed(paused) is False
    notification.refresh_from_db()
    assert notification.state == State.HANDED_OVER


def test_what_cannot_be_written_waits_for_the_fault_to_be_mended(mail_server: SmtpServer) -> None:
    notification = waiting()
    whole = dict(notification.facts)
    Notification.objects.filter(pk=notification.pk).update(facts={"team": "secret-4711"})
    send_due()
    notification.refresh_from_db()
    assert (notification.state, notification.fault) == (
        State.WAITING,
        "It could not be written: KeyError.",
    )
    Notification.objects.filter(pk=notification.pk).update(facts=whole)
    make_due(notification)
    send_due()
    assert len(mail_server.taken_by(notification.email)) == 1


def test_demonstration_shows_its_mail_instead_of_sending_it(
    mail_server: SmtpServer, settings: Settings
) -> None:
    notification = waiting()
    settings.LATCHKEY_EMAIL_URL = Kept.CAUGHT
    send_due()
    caught = CaughtMail.objects.get(to=notification.email)
    assert caught.subject == "Search asks for house-chat, house-embed"
    assert "We answer tickets." in caught.text
    assert "We answer tickets." in caught.html
    assert not mail_server.taken
    notification.refresh_from_db()
    assert notification.state == State.SENT


def test_without_a_server_mail_fails_and_can_be_sent_again_later(
    mail_server: SmtpServer, settings: Settings
) -> None:
    notification, server = waiting(), settings.LATCHKEY_EMAIL_URL
    settings.LATCHKEY_EMAIL_URL = Kept.NONE
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.FAILED
    assert "LATCHKEY_EMAIL_URL" in notification.fault
    settings.LATCHKEY_EMAIL_URL = server
    send_again(notification, actor=acting(new_person(is_administrator=True)))
    send_due()
    assert len(mail_server.taken_by(notification.email)) == 1


def test_host_of_an_address_travels_in_ascii(mail_server: SmtpServer) -> None:
    notification = waiting()
    Notification.objects.filter(pk=notification.pk).update(email="ada@bücher.test")
    notification.person.email = "ada@bücher.test"  # type: ignore[union-attr]
    notification.person.save()  # type: ignore[union-attr]
    send_due()
    assert len(mail_server.taken_by("ada@xn--bcher-kva.test")) == 1


def test_address_that_could_be_two_is_refused(mail_server: SmtpServer) -> None:
    notification = waiting()
    person = notification.person
    assert person is not None
    person.email = '"a,b"@corp.test'
    person.save()
    Notification.objects.filter(pk=notification.pk).update(email=person.email)
    send_due()
    notification.refresh_from_db()
    assert notification.state == State.FAILED
    assert not mail_server.taken


@pytest.mark.parametrize("part", ["subject", "to"])
def test_line_end_in_a_header_is_refused(part: str) -> None:
    facts = {"to": "ada@corp.test", "subject": "Hello", "text": "Hello", "html": "<p>Hello</p>"}
    sender = Address(addr_spec="latchkey@models.test")
    assert compose(Mail(**facts), message_id="<1@h>", sender=sender, at=utc_now())
    facts[part] += "\r\nBcc: eve@evil.test"
    with pytest.raises(ValueError, match=r"(?i)header|CR|newline|linefeed"):
        compose(Mail(**facts), message_id="<1@h>", sender=sender, at=utc_now())


def test_what_is_told_under_a_name_is_told_once() -> None:
    person = new_person()
    for _ in range(2):
        notify(person, NotificationKind.KEY_ENDING, once=f"test:{person.pk}", key="First")
    assert Notification.objects.filter(person=person).count() == 1


def test_disabled_person_is_told_nothing() -> None:
    person = new_person()
    person.is_active = False
    notify(person, NotificationKind.KEY_ENDING, key="First")
    assert not Notification.objects.filter(person=person).exists()


def test_rolled_back_write_tells_nobody(mail_server: SmtpServer) -> None:
    person = new_person()
    with pytest.raises(RuntimeError), transaction.atomic():
        waiting(person)
        raise RuntimeError
    send_due()
    assert not mail_server.taken_by(person.email)
    waiting(person)
    send_due()
    assert len(mail_server.taken_by(person.email)) == 1
