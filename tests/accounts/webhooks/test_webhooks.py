"""Webhooks: signed so that a receiver can tell, tried again with growing pauses, dead in the end, and never to where they may not."""

import datetime
import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.ending_keys import tell_of_ending_keys
from accounts.models import AuditEntry, Team, Webhook, WebhookDelivery
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.teams import Role
from accounts.models.webhooks import WEBHOOK_KINDS, DeliveryState, WebhookFormat
from accounts.webhooks.form import body_of, signature
from accounts.webhooks.send import (
    INTERRUPTED,
    NOT_ALLOWED,
    RETRY_AFTER,
    claim,
    deliver_claimed,
    deliver_due,
)
from accounts.writes.teams import disable_team
from accounts.writes.webhooks import (
    NewWebhook,
    add_webhook,
    deliver_again,
    remove_webhook,
    tell_webhooks,
)
from portal.lib.clock import utc_now
from portal.lib.networks import NetworkPolicy
from tests.accounts.conftest import committed
from tests.accounts.mail.test_write import FACTS
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_team
from tests.accounts.webhooks.receiver import Received, receiving
from tests.asking_api import personal_key
from tests.pages import Browser

__all__ = ["committed"]
KEY_ENDING = NotificationKind.KEY_ENDING


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings: Settings) -> None:
    settings.LATCHKEY_WEBHOOK_NETWORKS = NetworkPolicy.parse("127.0.0.0/8")


def new_webhook(
    url: str, team: Team | None = None, form: WebhookFormat = WebhookFormat.SIGNED
) -> NewWebhook:
    return add_webhook(
        team or new_team(), name="Hook", url=url, form=form, kinds=WEBHOOK_KINDS, actor=COMMAND
    )


def told(webhook: Webhook, **facts: Any) -> WebhookDelivery:
    """Something that the webhook is to hear of."""
    tell_webhooks(webhook.team_id, KEY_ENDING, **(FACTS[KEY_ENDING] | facts))
    return WebhookDelivery.objects.filter(webhook=webhook).latest("id")


def tried(delivery: WebhookDelivery) -> WebhookDelivery:
    """The delivery after a try of its own."""
    delivery.refresh_from_db()
    delivery.tries += 1
    delivery.save()
    deliver_claimed(delivery)
    return WebhookDelivery.objects.get(pk=delivery.pk)


@pytest.fixture
def receiver() -> Iterator[Received]:
    with receiving() as running:
        yield running


@pytest.mark.django_db
def test_delivery_is_signed_so_that_its_receiver_can_tell(receiver: Received) -> None:
    made = new_webhook(receiver.url())
    delivery = tried(told(made.webhook))
    assert delivery.state == DeliveryState.DELIVERED
    [(headers, body)] = receiver.requests
    # As docs/notifications.md tells receivers to.
    at, given = (part.partition("=")[2] for part in headers["latchkey-signature"].split(","))
    expected = hmac.new(made.secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    assert hmac.compare_digest(expected.hexdigest(), given)
    assert abs(int(at) - utc_now().timestamp()) < 60
    payload = json.loads(body)
    assert payload["id"] == headers["latchkey-delivery"] == str(delivery.pk)
    assert payload["kind"] == "key_ending"
    assert payload["text"] == "The key Batch ends on 2999-01-02"
    assert payload["link"].endswith(f"/keys/{FACTS[KEY_ENDING]['key_id']}/")
    assert payload["team"] == made.webhook.team.slug


def test_signature_covers_the_time_and_the_body() -> None:
    now = utc_now()
    signed = signature("s", b"body", now=now)
    assert signed == signature("s", b"body", now=now)
    others = {
        signature("s", b"bodY", now=now),
        signature("t", b"body", now=now),
        signature("s", b"body", now=now + datetime.timedelta(seconds=1)),
    }
    assert signed not in others
    assert len(others) == 3


@pytest.mark.django_db
def test_what_fails_is_tried_with_growing_pauses_until_it_is_dead() -> None:
    with receiving(500) as failing:
        delivery = told(new_webhook(failing.url()).webhook)
        for pause in RETRY_AFTER:
            delivery = tried(delivery)
            assert delivery.state == DeliveryState.WAITING
            assert abs(delivery.next_try_at - utc_now() - pause) < datetime.timedelta(seconds=30)
        delivery = tried(delivery)
    assert (delivery.state, delivery.fault) == (DeliveryState.DEAD, "It answered 500.")

    deliver_again(delivery, actor=COMMAND)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.WAITING, 0)
    entry = AuditEntry.objects.get(tag=AuditTag.WEBHOOK_DELIVERED_AGAIN, subject_id=delivery.pk)
    assert entry.facts == {"kind": "key_ending"}
    with pytest.raises(ValidationError):
        deliver_again(delivery, actor=COMMAND)


@pytest.mark.django_db
def test_delivery_whose_last_try_came_to_no_end_is_dead_and_holds_no_other_up() -> None:
    with receiving(200) as receiver:
        ends_workers = told(new_webhook(receiver.url()).webhook)
        other = told(new_webhook(receiver.url()).webhook)
    due = utc_now() - datetime.timedelta(days=1)
    waiting = WebhookDelivery.objects.filter(pk__in=[ends_workers.pk, other.pk])
    waiting.update(next_try_at=due, tries=len(RETRY_AFTER))
    ended = {claim(now=due), claim(now=due)}
    assert {one.tries for one in ended if one} == {len(RETRY_AFTER) + 1}
    # Neither came back to say what became of it; one was delivered again meanwhile.
    waiting.update(next_try_at=due)
    WebhookDelivery.objects.filter(pk=other.pk).update(tries=0)
    assert claim(now=due) == other
    ends_workers.refresh_from_db()
    assert (ends_workers.state, ends_workers.fault) == (DeliveryState.DEAD, INTERRUPTED)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "state", "fault"),
    [
        (410, DeliveryState.DEAD, "It answered 410."),
        (302, DeliveryState.WAITING, "It answered with a redirect, and none is followed."),
    ],
)
def test_answer_decides_what_becomes_of_it(status: int, state: str, fault: str) -> None:
    with receiving(status) as answering:
        delivery = tried(told(new_webhook(answering.url()).webhook))
    assert (delivery.state, delivery.fault) == (state, fault)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "[::]",
    ],
)
def test_no_address_inside_is_reached_where_the_setting_says_public(
    settings: Settings, receiver: Received, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """T12: the address is checked when it is connected to, whatever name led there."""
    settings.LATCHKEY_WEBHOOK_NETWORKS = NetworkPolicy.parse("public")
    with caplog.at_level(logging.WARNING):
        delivery = tried(told(new_webhook(f"https://{host}:{receiver.port}/in?t=canary").webhook))
    assert (delivery.state, delivery.fault) == (DeliveryState.DEAD, NOT_ALLOWED)
    assert receiver.requests == []
    assert "canary" not in caplog.text + delivery.fault


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "ftp://corp.example/",
        "https://ada:secret@corp.example/",
        "https://corp.example/#part",
        "https://corp.example/ space",
        "https://0x7f.1/",
        "file:///etc/passwd",
        "https://corp.example/\r\nX: y",
        "https://" + "a" * 3000,
    ],
)
def test_url_of_another_form_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        new_webhook(url)
    assert set(refused.value.message_dict) == {"url"}
    assert url not in str(refused.value)


@pytest.mark.django_db
def test_http_is_for_networks_that_the_setting_lists(settings: Settings) -> None:
    assert new_webhook("http://127.0.0.1:8000/")
    settings.LATCHKEY_WEBHOOK_NETWORKS = NetworkPolicy.parse("public")
    with pytest.raises(ValidationError, match="https"):
        new_webhook("http://corp.example/")


@pytest.mark.django_db
def test_secret_and_url_stand_nowhere_but_sealed() -> None:
    url = "https://hooks.corp.example/services/T0/canary-in-the-url"
    made = new_webhook(url)
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(w)::text FROM accounts_webhook w")
        rows = "".join(row[0] for row in cursor.fetchall())
        cursor.execute("SELECT row_to_json(a)::text FROM accounts_auditentry a")
        rows += "".join(row[0] for row in cursor.fetchall())
    for secret in (made.secret, "canary-in-the-url"):
        assert secret not in rows
        assert secret.encode().hex() not in rows
    assert made.webhook.host == "hooks.corp.example"


def test_chats_read_their_own_forms_and_no_markup_of_others() -> None:
    payload = {"text": "<!channel> & [x](https://evil.test)", "link": "https://latchkey.test/keys/"}
    slack = json.loads(body_of(WebhookFormat.SLACK, payload))
    assert slack == {
        "text": "&lt;!channel&gt; &amp; [x](https://evil.test)\n<https://latchkey.test/keys/>"
    }
    teams = json.loads(body_of(WebhookFormat.TEAMS, payload))
    [attachment] = teams["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    [block] = attachment["content"]["body"]
    assert block["inlines"] == [{"type": "TextRun", "text": payload["text"]}]
    assert attachment["content"]["actions"][0]["url"] == payload["link"]
    assert json.loads(body_of(WebhookFormat.SIGNED, payload)) == payload


@pytest.mark.django_db
def test_what_is_told_once_is_told_once_to_each_webhook_that_wants_it(receiver: Received) -> None:
    team = new_team()
    first = new_webhook(receiver.url(), team).webhook
    other = add_webhook(
        team,
        name="Limits",
        url=receiver.url(),
        form=WebhookFormat.SLACK,
        kinds=[NotificationKind.LIMIT_ALERT],
        actor=COMMAND,
    ).webhook
    for _ in range(2):
        tell_webhooks(team.pk, KEY_ENDING, once="key:1", **FACTS[KEY_ENDING])
    assert first.deliveries.count() == 1
    assert other.deliveries.count() == 0
    remove_webhook(first, actor=COMMAND)
    remove_webhook(first, actor=COMMAND)
    assert AuditEntry.objects.filter(tag=AuditTag.WEBHOOK_REMOVED).count() == 1


@pytest.mark.usefixtures("committed")
def test_task_delivers_what_is_due_and_nothing_of_disabled_teams(receiver: Received) -> None:
    webhook, quiet = new_webhook(receiver.url()).webhook, new_webhook(receiver.url()).webhook
    told(webhook)
    told(webhook, key="Other")
    told(quiet)
    disable_team(quiet.team, actor=COMMAND, reason=REASON)
    assert deliver_due() == 2
    assert deliver_due() == 0
    states = webhook.deliveries.values_list("state", "tries")
    assert set(states) == {(DeliveryState.DELIVERED, 1)}
    assert quiet.deliveries.get().tries == 0
    quiet.deliveries.all().delete()


@pytest.mark.django_db
def test_team_hears_of_ends_of_its_service_accounts_keys_and_of_nobodys_own() -> None:
    team = new_team()
    webhook = new_webhook("https://hooks.corp.example/", team).webhook
    issued = new_key(new_account(team)).key
    own = personal_key(new_member(team), team).key
    for key in (issued, own):
        key.created_at -= datetime.timedelta(days=30)
        key.save()
    for _ in range(2):
        tell_of_ending_keys()
    [delivery] = webhook.deliveries.all()
    assert delivery.payload["link"].endswith(f"/keys/{issued.pk}/")
    assert delivery.payload["text"].startswith("The key First ends on")


@pytest.mark.django_db
def test_chat_is_sent_no_signature(receiver: Received) -> None:
    made = new_webhook(receiver.url(), form=WebhookFormat.SLACK)
    assert made.secret == ""
    assert tried(told(made.webhook)).state == DeliveryState.DELIVERED
    [(headers, body)] = receiver.requests
    assert "latchkey-signature" not in headers
    assert set(json.loads(body)) == {"text"}


@pytest.mark.django_db
def test_page_shows_the_secret_once_and_never_the_url() -> None:
    team = new_team()
    browser = Browser(new_member(team, Role.MANAGER))
    address = reverse("team-webhooks", args=[team.slug])
    values = {
        "name": "Alerts",
        "format": "signed",
        "url": "https://hooks.corp.example/canary",
        "kinds": ["key_ending", "limit_alert"],
    }
    shown = browser.post(address, **values).content.decode()
    assert "lkwh_" in shown
    again = browser.page(address)
    for page in (again, browser.page(address)):
        assert "hooks.corp.example" in page
        assert "canary" not in page
        assert "lkwh_" not in page
    assert (
        "Webhook with this Team and Name already exists"
        in browser.post(address, **values).content.decode()
    )
    webhook = Webhook.objects.get(team=team)
    elsewhere = Browser(new_member(new_team(), Role.OWNER))
    remove = reverse("webhook-remove", args=[team.slug, webhook.pk])
    assert elsewhere.post(remove).status_code == 404
    assert browser.post(remove).status_code == 302
    assert not Webhook.objects.filter(team=team).exists()
