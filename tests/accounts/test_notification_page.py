"""The page of notifications: one's own and nobody else's, as text, without a secret, and the choices on it."""

from typing import Any

import pytest

from accounts.mail.headlines import headline_of
from accounts.models import Notification, NotificationChoice
from accounts.models.notifications import CHOSEN_KINDS, Delivery, NotificationKind
from accounts.pages.notifications import KIND_LABELS
from accounts.writes.notifications import notify
from tests.accounts.mail.test_write import FACTS, of_kind
from tests.accounts.rows import new_person
from tests.pages import HOSTILE, QUERIES_MAX, Browser, shows_as_text, words_of

pytestmark = pytest.mark.django_db


def test_page_lists_ones_own_and_nobody_elses() -> None:
    person, other = new_person(), new_person()
    for kind in (NotificationKind.KEY_ENDING, NotificationKind.SECOND_FACTOR_CHANGED):
        notify(person, kind, **FACTS[kind])
    notify(other, NotificationKind.GRANT_ENDING, **FACTS[NotificationKind.GRANT_ENDING])
    page = Browser(person).page("/notifications/")
    assert "The key Batch ends on 2999-01-02" in page
    assert "Your second factor for Latchkey has changed" in page
    assert 'href="/security/"' in page
    assert "Access to house-chat ends" not in page
    assert "Nothing yet" in Browser(new_person()).page("/notifications/")


@pytest.mark.parametrize("kind", list(NotificationKind))
def test_headline_says_what_the_mail_says_and_holds_no_secret(kind: NotificationKind) -> None:
    row = of_kind(kind)
    said = headline_of(row)
    assert said.text
    assert "%(" not in said.text
    assert "/reset/" not in said.path
    assert "/invitations/" not in said.path
    # What an older version kept says less, and breaks nothing.
    assert headline_of(Notification(kind=kind, facts={})).text


def test_hostile_text_stays_text(django_assert_max_num_queries: Any) -> None:
    person = new_person()
    for _ in range(60):
        notify(
            person,
            NotificationKind.REQUEST_MADE,
            **(FACTS[NotificationKind.REQUEST_MADE] | {"team": HOSTILE}),
        )
    browser = Browser(person)
    with django_assert_max_num_queries(QUERIES_MAX):
        page = browser.page("/notifications/")
    assert shows_as_text(page)


def test_choices_are_kept_and_shown() -> None:
    person = new_person()
    browser = Browser(person)
    values = dict.fromkeys((kind.value for kind in CHOSEN_KINDS), Delivery.AT_ONCE.value)
    values |= {"limit_alert": "daily", "key_ending": "portal"}
    reply = browser.post("/notifications/", **values)
    assert reply.status_code == 302
    kept = dict(NotificationChoice.objects.filter(person=person).values_list("kind", "delivery"))
    assert kept == {"limit_alert": "daily", "key_ending": "portal"}
    assert "From now on you are told as you chose." in words_of(browser.page("/notifications/"))

    refused = browser.post("/notifications/", **(values | {"limit_alert": "never"}))
    assert refused.status_code == 200
    assert "never is not one of the available choices" in refused.content.decode()


def test_every_kind_that_can_be_chosen_has_a_label() -> None:
    assert set(KIND_LABELS) == set(CHOSEN_KINDS)
