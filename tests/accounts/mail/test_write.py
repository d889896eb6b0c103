"""What each kind of mail says, to whom it is no longer said, and that nothing anybody wrote is more than text in it."""

import datetime
import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import resolve

from accounts.audit import COMMAND
from accounts.mail.write import SUBJECTS, NothingToTell, write_mail
from accounts.models import ApiKey, IdleKey, Invitation, Notification
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.two_person_roles import ask_to_give
from accounts.writes.proposals import refuse_proposal
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from tests.accounts.leaks.rows import new_leak
from tests.accounts.rows import new_key, new_person, new_team, tomorrow

pytestmark = pytest.mark.django_db
Kind = NotificationKind
HOSTILE = "<script>alert(1)</script> &\r\nBcc: eve@evil.test {{ 7|add:7 }} {% now 'Y' %}"
OF_REQUEST = {
    "request_id": str(new_id()),
    "team": "Search",
    "models": ["house-chat"],
    "requested_by": "Ada",
}
OF_END = {"team": "Search", "holder": "", "ends_at": "2999-01-02T03:04:05+00:00", "days": 3}
OF_KEY = {"key": "Batch", "public_id": "ab12cd34"}
OF_PROPOSAL = {
    "action": "Give a portal role",
    "why": "She guards the keys.",
    "by": "Ada",
    "state": "open",
    "reason": "",
}
FACTS: dict[NotificationKind, dict[str, Any]] = {
    Kind.SECOND_FACTOR_CHANGED: {"what": "added", "factor": "webauthn"},
    Kind.DIGEST: {"count": 2, "lines": ["The key Batch ends on 2999-01-02", "Bob & Ada agree"]},
    Kind.INVITATION: {},
    Kind.PASSWORD_RESET: {},
    Kind.REQUEST_MADE: OF_REQUEST | {"justification": "We answer tickets."},
    Kind.REQUEST_COMMENTED: OF_REQUEST | {"author": "Bob", "text": "Which tickets?"},
    Kind.REQUEST_DECIDED: OF_REQUEST | {"status": "approved", "reason": "Go on."},
    Kind.REQUEST_WITHDRAWN: OF_REQUEST | {"withdrawn_by": "Bob"},
    Kind.REQUEST_AGREED: OF_REQUEST | {"by": "Bob"},
    Kind.APPROVALS_DELEGATED: {"by": "Bob", "ends_at": "2999-01-02T03:04:05+00:00"},
    Kind.REQUEST_WAITS: OF_REQUEST | {"since": "2999-01-02T03:04:05+00:00", "is_late": True},
    Kind.KEY_ENDING: OF_END | {"key_id": str(new_id()), "key": "Batch", "public_id": "ab12cd34"},
    Kind.KEY_IDLE: OF_END | OF_KEY | {"idle_since": "2026-01-02T03:04:05+00:00"},
    Kind.KEY_DISABLED: {"team": "Search", "holder": ""} | OF_KEY | {"removes_at": "2999-01-02"},
    Kind.KEY_ROTATED: OF_END | OF_KEY | {"key_id": str(new_id())},
    Kind.GRANT_ENDING: OF_END | {"model": "house-chat"},
    Kind.DECOY_USED: {
        "decoy_id": str(new_id()),
        "name": "The wiki",
        "public_id": "ab12cd34",
        "peer": "203.0.113.9",
        "agent": "curl/8.5",
        "at": "2026-01-02T03:04:05+00:00",
    },
    Kind.KEY_LEAKED: {"key": "Batch", "public_id": "ab12cd34", "team": "Search", "holder": "Bot"},
    Kind.LIMIT_ALERT: {
        "limit_id": str(new_id()),
        "of": "Batch",
        "team": "Search",
        "at_most": "$50.00 a calendar month (UTC)",
        "used": "$41.20",
        "percent": 80,
        "is_soft": True,
        "resets_at": "2999-01-02T03:04:05+00:00",
        "slug": "search",
        "in_admin": False,
    },
    Kind.PROPOSAL_MADE: OF_PROPOSAL,
    Kind.PROPOSAL_DECIDED: OF_PROPOSAL | {"reason": "Less would do.", "state": "refused"},
}
EXPECTED = {
    Kind.INVITATION: ["Ada Lovelace invites you to join the team", "until"],
    Kind.PASSWORD_RESET: ["asked to choose a new password"],
    Kind.REQUEST_MADE: ["Ada asks for the team Search", "house-chat", "We answer tickets."],
    Kind.REQUEST_COMMENTED: ["Bob says", "Which tickets?"],
    Kind.REQUEST_DECIDED: ["has been approved", "Go on.", "call it now"],
    Kind.APPROVALS_DELEGATED: ["Bob is away", "in their place until 2999-01-02 03:04 UTC"],
    Kind.REQUEST_WAITS: ["Search", "house-chat", "since 2999-01-02 03:04 UTC", "It is late."],
    Kind.REQUEST_AGREED: ["Bob agreed that the team Search", "Others still have to agree"],
    Kind.REQUEST_WITHDRAWN: [
        "Bob has withdrawn the request of Search for house-chat",
        "nothing to decide",
    ],
    Kind.KEY_ENDING: ["Your key Batch (lk_ab12cd34_…)", "2999-01-02 03:04 UTC"],
    Kind.KEY_IDLE: ["has not been used since 2026-01-02", "disabled on 2999-01-02 03:04 UTC"],
    Kind.KEY_ROTATED: ["has a new secret", "The old one works until 2999-01-02 03:04 UTC"],
    Kind.KEY_DISABLED: ["was disabled, as nobody had used it", "for good on 2999-01-02"],
    Kind.LIMIT_ALERT: [
        "$41.20 of $50.00 a calendar month (UTC) are used: 80 % of the limit of Batch",
        "Team: Search",
        "calls go on",
        "2999-01-02 03:04 UTC",
    ],
    Kind.SECOND_FACTOR_CHANGED: ["A passkey was added for you.", "end your other sessions"],
    Kind.PROPOSAL_MADE: ["Ada proposed", "Give a portal role", "She guards the keys."],
    Kind.DIGEST: ["The key Batch ends on 2999-01-02", "once a day"],
    Kind.PROPOSAL_DECIDED: ["Your proposal has been refused", "Less would do."],
    Kind.DECOY_USED: [
        "lk_ab12cd34_… was used from 203.0.113.9 on 2026-01-02 03:04 UTC",
        "The wiki",
        "curl/8.5",
    ],
    Kind.KEY_LEAKED: [
        "The key Batch (lk_ab12cd34_…) of Bot in the team Search was found",
        "0 calls were let in with it",
    ],
    Kind.GRANT_ENDING: ["The team Search may call house-chat until 2999-01-02 03:04 UTC"],
}


def idle_key(*, is_disabled: bool) -> ApiKey:
    key, now = new_key().key, utc_now()
    IdleKey.objects.create(key=key, idle_since=now, disables_at=now)
    if is_disabled:
        ApiKey.objects.filter(pk=key.pk).update(disabled_at=now)
    return key


def of_kind(kind: NotificationKind, **changes: Any) -> Notification:
    """A row of this kind with everything it speaks of."""
    facts = FACTS[kind] | changes
    if kind is Kind.INVITATION:
        by = new_person()
        by.name = "Ada Lovelace"
        by.save()
        invitation = Invitation.objects.create(
            team=new_team(),
            email="new@latchkey.test",
            role=Role.MEMBER,
            invited_by=by,
            ends_at=tomorrow(),
        )
        facts |= {"invitation_id": str(invitation.pk), "team": invitation.team.name}
        return Notification.objects.create(kind=kind, email="new@latchkey.test", facts=facts)
    person = new_person()
    if kind is Kind.KEY_LEAKED:
        facts |= {"leak_id": str(new_leak(new_key().key).pk)}
    if kind in {Kind.KEY_IDLE, Kind.KEY_DISABLED}:
        facts |= {"key_id": str(idle_key(is_disabled=kind is Kind.KEY_DISABLED).pk)}
    if kind in {Kind.PROPOSAL_MADE, Kind.PROPOSAL_DECIDED}:
        proposal = ask_to_give(
            person,
            role=PortalRole.SECURITY,
            by=new_person(is_administrator=True),
            why=facts["why"],
        )
        assert proposal is not None
        if kind is Kind.PROPOSAL_DECIDED:
            refuse_proposal(proposal, actor=COMMAND, reason=facts["reason"])
        facts |= {"proposal_id": str(proposal.pk)}
    return Notification.objects.create(kind=kind, person=person, email=person.email, facts=facts)


@pytest.mark.parametrize("kind", list(Kind))
def test_mail_says_what_happened_in_text_and_in_html(kind: NotificationKind) -> None:
    mail = write_mail(of_kind(kind))
    assert mail.subject
    shown = re.sub(r"<[^>]+>", "", mail.html)
    for words in EXPECTED[kind]:
        assert words in mail.text
        assert words in shown
    for raw in ("{{", "{%", "None", "%("):
        assert raw not in mail.subject + mail.text + mail.html


@pytest.mark.parametrize("kind", list(Kind))
def test_link_leads_to_a_page_of_the_base_url(kind: NotificationKind, client: Client) -> None:
    # What a caller named as the host has no part in it.
    client.get("/", headers={"host": "localhost"})
    mail = write_mail(of_kind(kind))
    [link] = {found for found in links(mail.text) if found != settings.LATCHKEY_BASE_URL}
    assert f'href="{link}"' in mail.html
    assert link.startswith(f"{settings.LATCHKEY_BASE_URL}/")
    assert resolve(link.removeprefix(settings.LATCHKEY_BASE_URL)).url_name


def links(text: str) -> set[str]:
    return set(re.findall(r"https?://\S+", text))


def test_html_loads_nothing_from_anywhere() -> None:
    for kind in Kind:
        page = write_mail(of_kind(kind)).html
        assert not re.search(r"(?i)\bsrc\s*=|url\(|@import|<link|<img|<script", page)


# What stands in its facts chooses a sentence, and is never shown; a digest's is looked at by itself.
CHOOSES = {Kind.SECOND_FACTOR_CHANGED, Kind.DIGEST}


@pytest.mark.parametrize("kind", [kind for kind in Kind if FACTS[kind] and kind not in CHOOSES])
def test_hostile_text_stays_text(kind: NotificationKind) -> None:
    fixed = {"request_id", "key_id", "ends_at", "status", "models", "model"}
    fixed |= {"limit_id", "resets_at", "idle_since", "removes_at", "slug", "in_admin", "is_soft"}
    fixed |= {"decoy_id", "at", "since", "is_late"}
    hostile = {name: HOSTILE for name in FACTS[kind] if name not in fixed}
    mail = write_mail(of_kind(kind, **hostile))
    assert "<script" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject
    assert "{{ 7|add:7 }}" in mail.text
    assert "14" not in re.sub(r"\d{4}-\d\d-\d\d|[0-9a-f-]{36}", "", mail.subject)


def test_hostile_line_of_a_digest_stays_text() -> None:
    mail = write_mail(of_kind(Kind.DIGEST, lines=[HOSTILE]))
    assert "<script" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "{{ 7|add:7 }}" in mail.text


def test_text_that_somebody_wrote_is_marked_as_theirs_on_every_line() -> None:
    text = write_mail(of_kind(Kind.REQUEST_COMMENTED, text="One.\n-- \nTwo.")).text
    assert "> One.\n> -- \n> Two.\n" in text


def test_every_kind_has_its_words() -> None:
    assert set(SUBJECTS) == set(EXPECTED) == set(Kind)


def test_denial_does_not_say_that_calls_work() -> None:
    mail = write_mail(of_kind(Kind.REQUEST_DECIDED, status="denied"))
    assert "has been denied" in mail.text
    assert "call it now" not in mail.text + mail.html


@pytest.mark.parametrize("change", ["used", "over", "gone"])
def test_invitation_that_lets_nobody_in_is_not_sent(change: str) -> None:
    notification = of_kind(Kind.INVITATION)
    assert write_mail(notification)
    invitation = Invitation.objects.get(pk=notification.facts["invitation_id"])
    if change == "used":
        invitation.closed_at = utc_now()
    elif change == "over":
        invitation.ends_at = utc_now() - datetime.timedelta(seconds=1)
    if change == "gone":
        invitation.delete()
    else:
        invitation.save()
    with pytest.raises(NothingToTell):
        write_mail(notification)


@pytest.mark.parametrize("change", ["disabled", "moved"])
def test_link_for_a_person_goes_to_nobody_else(change: str) -> None:
    notification = of_kind(Kind.PASSWORD_RESET)
    assert write_mail(notification)
    person = notification.person
    assert person is not None
    if change == "disabled":
        person.is_active = False
    else:
        person.email = f"moved-{person.email}"
    person.save()
    with pytest.raises(NothingToTell):
        write_mail(Notification.objects.get(pk=notification.pk))


def test_end_that_has_come_is_not_announced() -> None:
    with pytest.raises(NothingToTell):
        write_mail(of_kind(Kind.KEY_ENDING, ends_at="2020-01-01T00:00:00+00:00"))


def test_secret_of_a_link_stands_in_no_row() -> None:
    for kind in (Kind.INVITATION, Kind.PASSWORD_RESET):
        notification = of_kind(kind)
        [link] = {one for one in links(write_mail(notification).text) if one.count("/") > 3}
        secret = link.rstrip("/").rpartition("/")[2]
        row = Notification.objects.filter(pk=notification.pk).values().get()
        assert secret not in str(row)


def test_key_that_was_used_or_enabled_meanwhile_is_told_of_no_more() -> None:
    warning, done = of_kind(Kind.KEY_IDLE), of_kind(Kind.KEY_DISABLED)
    assert write_mail(warning)
    assert write_mail(done)
    IdleKey.objects.filter(key=warning.facts["key_id"]).delete()
    ApiKey.objects.filter(pk=done.facts["key_id"]).update(disabled_at=None)
    for notification in (warning, done):
        with pytest.raises(NothingToTell):
            write_mail(notification)
