"""What somebody chose to hear of once a day comes in one mail, once, whenever and however often anybody looks."""

import datetime
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from accounts.audit import acting
from accounts.mail.digest import last_turn, make_digests
from accounts.mail.write import write_mail
from accounts.models import AuditEntry, Notification, User
from accounts.models.audit import AuditTag
from accounts.models.notifications import (
    ALWAYS_AT_ONCE,
    CHOSEN_KINDS,
    Delivery,
    NotificationKind,
    NotificationState,
)
from accounts.writes.notifications import choose_deliveries, notify
from portal.lib.clock import utc_now
from tests.accounts.conftest import committed
from tests.accounts.mail.outbox import waiting
from tests.accounts.rows import new_person

__all__ = ["committed"]
DAY = datetime.timedelta(days=1)


def choose(person: User, delivery: Delivery, *kinds: NotificationKind) -> None:
    chosen = dict.fromkeys(kinds or CHOSEN_KINDS, delivery)
    choose_deliveries(person, chosen, actor=acting(person))


def digests_of(person: User) -> list[Notification]:
    return list(Notification.objects.filter(person=person, kind=NotificationKind.DIGEST))


@pytest.mark.django_db
def test_choice_decides_how_somebody_is_told() -> None:
    person = new_person()
    assert waiting(person).state == NotificationState.WAITING
    choose(person, Delivery.DAILY, NotificationKind.REQUEST_MADE)
    assert waiting(person).state == NotificationState.GATHERED
    choose(person, Delivery.PORTAL, NotificationKind.REQUEST_MADE)
    assert waiting(person).state == NotificationState.KEPT
    choose(person, Delivery.PORTAL, NotificationKind.REQUEST_MADE)
    choose(person, Delivery.AT_ONCE, NotificationKind.REQUEST_MADE)
    assert waiting(person).state == NotificationState.WAITING
    entries = AuditEntry.objects.filter(
        tag=AuditTag.NOTIFICATIONS_CHOSEN, subject_id=person.pk
    ).order_by("id")
    assert [entry.facts["changed"] for entry in entries] == [
        ["request_made: daily"],
        ["request_made: portal"],
        ["request_made: at_once"],
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", sorted(ALWAYS_AT_ONCE))
def test_what_guards_an_account_is_told_at_once_whatever_was_chosen(kind: NotificationKind) -> None:
    person = new_person()
    with pytest.raises(ValidationError):
        choose(person, Delivery.PORTAL, kind)
    choose(person, Delivery.PORTAL)
    notify(person, kind, what="added", factor="totp")
    assert Notification.objects.get(person=person).state == NotificationState.WAITING


@pytest.mark.django_db
def test_digest_holds_the_day_once() -> None:
    person, other = new_person(), new_person()
    choose(person, Delivery.DAILY)
    rows = [waiting(person) for _ in range(3)]
    waiting(other)
    now = last_turn(utc_now()) + DAY
    assert make_digests(now=now - datetime.timedelta(seconds=1)) == 0
    assert make_digests(now=now) == 1
    assert make_digests(now=now + DAY) == 0

    [digest] = digests_of(person)
    assert digests_of(other) == []
    assert digest.state == NotificationState.WAITING
    mail = write_mail(digest)
    assert mail.subject == "Your day on Latchkey: 3 notifications"
    assert mail.text.count("Search asks for house-chat, house-embed") == 3
    states = Notification.objects.filter(pk__in=[row.pk for row in rows]).values_list("state")
    assert set(states) == {(NotificationState.DIGESTED,)}


@pytest.mark.django_db
def test_nobody_who_was_disabled_gets_a_digest() -> None:
    person = new_person()
    choose(person, Delivery.DAILY)
    waiting(person)
    person.is_active = False
    person.save()
    make_digests(now=utc_now() + DAY)
    assert digests_of(person) == []


@pytest.mark.usefixtures("committed")
def test_workers_at_once_make_one_digest() -> None:
    person = new_person()
    choose(person, Delivery.DAILY)
    for _ in range(5):
        waiting(person)
    now = utc_now() + DAY

    def make(_: int) -> int:
        try:
            return make_digests(now=now)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    assert [digest.facts["count"] for digest in digests_of(person)] == [5]
