"""Decoys are issued and read by whoever may revoke keys, are no team's, and tell of their use in bounded numbers."""

import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.credential import read_credential
from accounts.decoys.known import find_decoy, load_decoys, which_decoy
from accounts.decoys.sightings import ROOM, Sighting, Sightings, subscriber
from accounts.mail.write import write_mail
from accounts.models import ApiKey, AuditEntry, DecoyKey, DecoyUse, Notification
from accounts.models.audit import AuditTag
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from accounts.ways_in.presented import read_presented
from accounts.ways_in.prove import prove
from accounts.ways_in.proven import Door
from accounts.writes.decoys import (
    PEERS_TOLD,
    end_decoy,
    issue_decoy,
    note_decoy_use,
    printable,
)
from portal.lib.clock import utc_now
from portal.lib.ids import new_id
from tests.accounts.rows import new_holder, new_key, new_person
from tests.asking_api import Asker, code_of, data_of, fields_of
from tests.signed_in import leave_proof

pytestmark = pytest.mark.django_db


def sighting(decoy: DecoyKey, peer: str = "203.0.113.9", **changed: Any) -> Sighting:
    facts: dict[str, Any] = {"user_agent": "curl/8.5", "door": Door.CALLS, "times": 1}
    now = utc_now()
    return Sighting(decoy.pk, peer, first_at=now, last_at=now, **(facts | changed))


def told() -> list[Notification]:
    return list(Notification.objects.filter(kind=NotificationKind.DECOY_USED))


def test_decoy_has_the_form_of_a_key_and_opens_no_door() -> None:
    issued, real = issue_decoy(name="A page", actor=COMMAND), new_key()
    form = re.compile(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")
    assert form.fullmatch(issued.text)
    assert form.fullmatch(real.text)
    assert read_credential(issued.text) is not None
    presented = read_presented(issued.text)
    assert presented is not None
    for door in Door:
        assert prove(presented, door=door, now=utc_now()) is None
    assert not ApiKey.objects.filter(public_id=issued.decoy.public_id).exists()
    assert issued.text not in str(vars(DecoyKey.objects.get(pk=issued.decoy.pk)))


def test_decoy_is_known_by_all_of_it_until_it_is_ended() -> None:
    issued, real = issue_decoy(name="A page", actor=COMMAND), new_key()
    presented, other = read_presented(issued.text), read_presented(real.text)
    assert presented is not None
    assert other is not None
    assert find_decoy(presented) == which_decoy(presented, load_decoys()) == issued.decoy.pk
    assert find_decoy(other) is which_decoy(other, load_decoys()) is None
    for _ in range(2):
        end_decoy(issued.decoy, actor=COMMAND)
    assert find_decoy(presented) is which_decoy(presented, load_decoys()) is None
    entries = AuditEntry.objects.filter(subject_id=issued.decoy.pk).order_by("id")
    assert [one.tag for one in entries] == [AuditTag.DECOY_ISSUED, AuditTag.DECOY_ENDED]


def test_unknown_key_is_looked_for_like_a_decoy(django_assert_num_queries: Any) -> None:
    issued, real = issue_decoy(name="A page", actor=COMMAND), new_key()
    for text in (issued.text, real.text):
        presented = read_presented(text)
        assert presented is not None
        with django_assert_num_queries(1):
            find_decoy(presented)


def test_security_is_told_once_for_each_address_and_nobody_else_is() -> None:
    security, other = new_holder(PortalRole.SECURITY), new_holder(PortalRole.APPROVER)
    issued = issue_decoy(name="The wiki's page", actor=COMMAND)
    for _ in range(3):
        note_decoy_use(sighting(issued.decoy))
    use = DecoyUse.objects.get(decoy=issued.decoy)
    assert use.times == 3
    [mine] = [one for one in told() if one.person == security]
    assert not [one for one in told() if one.person == other]
    mail = write_mail(mine)
    for text in (mail.text, mail.html):
        assert "203.0.113.9" in text
        assert "curl/8.5" in text
        assert issued.decoy.public_id in text
        assert issued.text not in text
    assert "The wiki's page" in mail.text
    note_decoy_use(sighting(issued.decoy, "198.51.100.4"))
    assert len([one for one in told() if one.person == security]) == 2
    entries = AuditEntry.objects.filter(subject_id=issued.decoy.pk, tag=AuditTag.DECOY_USED)
    assert entries.count() == 2


def test_whoever_has_many_addresses_fills_no_mailbox() -> None:
    security = new_holder(PortalRole.SECURITY)
    decoy = issue_decoy(name="A page", actor=COMMAND).decoy
    for number in range(PEERS_TOLD + 5):
        note_decoy_use(sighting(decoy, f"10.0.0.{number}"))
    assert DecoyUse.objects.filter(decoy=decoy).count() == PEERS_TOLD + 5
    assert len([one for one in told() if one.person == security]) == PEERS_TOLD


def test_use_of_an_ended_or_unknown_decoy_is_noted_by_nobody() -> None:
    decoy = issue_decoy(name="A page", actor=COMMAND).decoy
    end_decoy(decoy, actor=COMMAND)
    note_decoy_use(sighting(decoy))
    unknown = DecoyKey(id=new_id())
    note_decoy_use(sighting(unknown))
    assert not DecoyUse.objects.filter(decoy_id__in=[decoy.pk, unknown.pk]).exists()


AGENTS = {
    "curl/8.5": "curl/8.5",
    "a\r\nBcc: eve@evil.test": "a Bcc: eve@evil.test",
    "\x00\x1b[31mred": "[31mred",
    "x" * 500: "x" * 200,
    "lk_abcdefabcdef_0123456789": "[redacted]",
    "\u202egnp.exe": "gnp.exe",
}


@pytest.mark.parametrize("sent", AGENTS)
def test_what_a_caller_calls_itself_is_kept_in_one_printable_line(sent: str) -> None:
    assert printable(sent) == AGENTS[sent]


def test_address_stands_for_its_subscriber() -> None:
    assert subscriber("203.0.113.9") == "203.0.113.9"
    assert subscriber("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64"
    assert subscriber("nonsense:x") == "nonsense:x"


def test_uses_that_wait_are_one_for_each_address_and_bounded() -> None:
    decoy = issue_decoy(name="A page", actor=COMMAND).decoy
    notes = Sightings()
    # As if its thread ran already: here the test writes.
    notes._thread = object()  # type: ignore[assignment]
    for number in range(ROOM + 10):
        notes.add(decoy.pk, peer=f"10.1.{number // 250}.{number % 250}", user_agent="", door=Door.CALLS)  # fmt: skip
    assert len(notes._waiting) == ROOM
    few = Sightings()
    few._thread = object()  # type: ignore[assignment]
    for _ in range(4):
        few.add(decoy.pk, peer="203.0.113.9", user_agent="a", door=Door.CALLS)
    few.flush()
    few.flush()
    assert [(one.peer, one.times) for one in decoy.uses.all()] == [("203.0.113.9", 4)]


def test_api_issues_reads_and_ends_decoys_for_whoever_may_revoke_keys() -> None:
    security = Asker(person=new_holder(PortalRole.SECURITY))
    issued = data_of(security.post("admin/decoys", {"name": "A page"}), 201)
    assert read_credential(issued["key"]) is not None
    decoy = DecoyKey.objects.get(pk=issued["id"])
    note_decoy_use(sighting(decoy))
    read = data_of(security.get(f"admin/decoys/{decoy.pk}"))
    assert [one["peer"] for one in read["uses"]] == ["203.0.113.9"]
    assert "key" not in read
    assert data_of(security.get("admin/decoys"))["data"][0]["id"] == issued["id"]
    assert data_of(security.post(f"admin/decoys/{decoy.pk}/end"))["ended_at"]
    assert fields_of(security.post("admin/decoys", {"name": "x" * 201})) == {"name"}
    for person in (new_person(), new_holder(PortalRole.REGISTRY_ADMIN)):
        other = Asker(person=person)
        for reply in (
            other.get("admin/decoys"),
            other.post("admin/decoys", {"name": "A page"}),
            other.get(f"admin/decoys/{decoy.pk}"),
            other.post(f"admin/decoys/{decoy.pk}/end"),
        ):
            assert code_of(reply) == "forbidden"


def test_admin_shows_a_new_decoy_once_and_its_page_says_who_used_it() -> None:
    browser, security = Client(), new_holder(PortalRole.SECURITY)
    browser.force_login(security)
    leave_proof(browser, security)
    reply = browser.post(reverse("admin:accounts_decoykey_add"), {"name": "A <b>page</b>"})
    page = reply.content.decode()
    [text] = re.findall(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", page)
    assert "no-store" in reply["Cache-Control"]
    assert "A &lt;b&gt;page&lt;/b&gt;" in page
    decoy = DecoyKey.objects.latest("id")
    note_decoy_use(sighting(decoy, user_agent="<script>alert(1)</script>"))
    shown = browser.get(reverse("admin:accounts_decoykey_change", args=[decoy.pk])).content.decode()
    assert "203.0.113.9" in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert text not in shown
    assert text not in browser.get(reverse("admin:accounts_decoykey_changelist")).content.decode()


def test_name_that_is_empty_or_too_long_is_refused() -> None:
    assert issue_decoy(name="A page", actor=COMMAND)
    for name in ("", " ", "x" * 201):
        with pytest.raises(ValidationError):
            issue_decoy(name=name, actor=COMMAND)
