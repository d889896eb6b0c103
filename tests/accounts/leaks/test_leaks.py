"""What a report does: the key is revoked or flagged, its holder told once, and everybody else told nothing."""

import datetime
import json
import re
from typing import Any

import pytest
from django.core import mail as django_mail
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.audit import SYSTEM, acting
from accounts.credential import checksum, make_credential
from accounts.leaks.recognise import recognised
from accounts.mail.write import write_mail
from accounts.models import ApiKey, AuditEntry, Leak, Notification
from accounts.models.audit import AuditTag
from accounts.models.leaks import LeakOutcome, LeakReporter
from accounts.models.notifications import NotificationKind
from accounts.models.roles import PortalRole
from accounts.models.teams import Role
from accounts.roles import PortalRight
from accounts.writes.key_rotation import rotate_key
from accounts.writes.keys import revoke_key
from accounts.writes.leaks import PLACES_MAX, REASON, LeakReport, report_leaks
from portal.lib.clock import utc_now
from tests.accounts.rows import (
    REASON as WHY,
)
from tests.accounts.rows import (
    new_account,
    new_holder,
    new_key,
    new_member,
    new_person,
    new_portal_role,
    new_team,
)
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, personal_key
from tests.models_registry.rows import new_offer
from tests.proxy.ledger_rows import call_with
from tests.services import ROOT

pytestmark = pytest.mark.django_db
PLACE = "https://git.corp.example/a/b/blob/main/.env"


def report(text: str, place: str = PLACE, found_in: str = "commit") -> ApiKey | None:
    reports = [LeakReport(token=text, place=place, found_in=found_in)]
    [key] = report_leaks(reports, reporter=LeakReporter.SCANNER, actor=SYSTEM)
    return key


def told() -> list[Notification]:
    return list(Notification.objects.filter(kind=NotificationKind.KEY_LEAKED))


def test_key_is_recognised_whole_and_by_nothing_less(
    django_assert_num_queries: Any,
) -> None:
    issued = new_key()
    revoked = new_key()
    revoke_key(revoked.key, actor=SYSTEM, reason=WHY)
    junk = ["", "x", issued.text[:-1], issued.text + "0", issued.text.swapcase(), "lk_" + "0" * 51]
    with django_assert_num_queries(1):
        found = recognised([issued.text, revoked.text, make_credential().text, *junk])
    assert [one.key.pk if one else None for one in found] == [
        issued.key.pk,
        revoked.key.pk,
        *[None] * (1 + len(junk)),
    ]
    # What nobody could have issued asks the database as often as what somebody could.
    with django_assert_num_queries(1):
        assert recognised(["junk"]) == [None]


def test_expression_in_the_docs_finds_every_key_and_the_checksum_tells_it_from_junk() -> None:
    page = (ROOT / "docs" / "leaks.md").read_text(encoding="utf-8")
    [pattern] = re.findall(r"^    (\\b.*)$", page, re.MULTILINE)
    for _ in range(50):
        text = make_credential().text
        assert re.findall(pattern, f'key = "{text}"; other') == [text]
        assert checksum(text[:-6]) == text[-6:]
    for other in ("lk_short_x", f"x{text}", f"{text}x", text[:-1]):
        assert not re.findall(pattern, other)


def test_policy_says_whether_the_key_is_revoked_or_flagged(settings: Settings) -> None:
    settings.LATCHKEY_LEAKED_KEYS = "flag"
    issued = new_key()
    assert report(issued.text) == issued.key
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert key.revoked_at is None
    assert Leak.objects.get(key=key).outcome == LeakOutcome.FLAGGED

    settings.LATCHKEY_LEAKED_KEYS = "revoke"
    report(issued.text)
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.revoked_reason == REASON
    assert Leak.objects.get(key=key).outcome == LeakOutcome.REVOKED


def test_key_that_was_over_stays_as_it_was_and_is_noted() -> None:
    issued = new_key()
    revoke_key(issued.key, actor=SYSTEM, reason=WHY)
    report(issued.text)
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert key.revoked_reason == WHY
    assert Leak.objects.get(key=key).outcome == LeakOutcome.WAS_OVER


def test_leak_that_is_reported_twice_is_one_row_one_mail_and_one_entry() -> None:
    team = new_team()
    issued = personal_key(new_member(team), team)
    for _ in range(3):
        report(issued.text)
    leak = Leak.objects.get(key=issued.key)
    assert leak.times == 3
    assert leak.last_reported_at > leak.reported_at
    [mail] = told()
    assert mail.person == issued.key.person
    entries = AuditEntry.objects.filter(tag=AuditTag.KEY_LEAKED, subject_id=issued.key.pk)
    assert [one.facts for one in entries] == [
        {"leak_id": str(leak.pk), "reporter": "scanner", "outcome": "revoked"}
    ]
    report(issued.text, place="https://elsewhere.example/")
    assert Leak.objects.filter(key=issued.key).count() == 2
    assert len(told()) == 1


def test_old_secret_that_is_found_is_ended_and_the_key_goes_on() -> None:
    issued = new_key()
    rotated = rotate_key(issued.key, actor=SYSTEM)
    report(issued.text)
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert key.revoked_at is None
    assert not key.has_two_secrets(now=utc_now())
    assert [leak.outcome for leak in Leak.objects.filter(key=key)] == [LeakOutcome.OLD_SECRET_ENDED]
    # In the same place, the new one is another leak.
    report(rotated.text)
    key.refresh_from_db()
    assert key.revoked_at is not None
    outcomes = Leak.objects.filter(key=key).order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == [LeakOutcome.OLD_SECRET_ENDED, LeakOutcome.REVOKED]


def test_old_secret_that_has_ended_is_recognised_and_ends_nothing() -> None:
    issued = new_key()
    rotate_key(issued.key, overlap=datetime.timedelta(), actor=SYSTEM)
    report(issued.text)
    assert Leak.objects.get(key=issued.key).outcome == LeakOutcome.WAS_OVER
    assert ApiKey.objects.get(pk=issued.key.pk).revoked_at is None


def test_places_of_one_key_are_bounded() -> None:
    issued = new_key()
    for number in range(PLACES_MAX + 2):
        assert report(issued.text, place=f"https://fork.example/{number}") == issued.key
    assert Leak.objects.filter(key=issued.key).count() == PLACES_MAX


def test_place_is_kept_in_one_line_without_the_key_that_stands_in_it() -> None:
    issued = new_key()
    report(issued.text, place=f"https://x.example/?key={issued.text}\r\n\x00 <b>{'y' * 2000}")
    leak = Leak.objects.get(key=issued.key)
    assert issued.text not in leak.place
    assert leak.place.startswith("https://x.example/?key=[redacted] <b>")
    assert len(leak.place) == 1_000


def test_managers_are_told_of_an_accounts_key_and_others_are_not() -> None:
    account = new_account()
    manager = new_member(account.team, Role.MANAGER)
    for role in (Role.MEMBER, Role.AUDITOR):
        new_member(account.team, role)
    report(new_key(account).text)
    assert [mail.person for mail in told()] == [manager]


def test_mail_says_where_it_was_what_was_called_and_never_the_key() -> None:
    team = new_team()
    issued = personal_key(new_member(team), team)
    model = new_offer()
    for peer in ("203.0.113.9", "203.0.113.9", "198.51.100.4"):
        call_with(issued.key, model, peer=peer)
    report(issued.text)
    [row] = told()
    mail = write_mail(row)
    for text in (mail.text, mail.html):
        assert "3 calls were let in with it" in text
        assert "203.0.113.9: 2" in text
        assert "It is refused." in text
        assert reverse("key", args=[issued.key.pk]) in text
        assert issued.text not in text
    assert issued.text not in json.dumps(row.facts)
    assert not django_mail.outbox


def test_keys_page_says_where_it_was_found_and_what_was_called() -> None:
    team = new_team()
    issued = personal_key(new_member(team), team)
    person = issued.key.person
    assert person is not None
    browser = Client()
    browser.force_login(person)
    page = reverse("key", args=[issued.key.pk])
    assert "Found where others can read it" not in browser.get(page).content.decode()
    call_with(issued.key, new_offer(), peer="203.0.113.9")
    report(issued.text, place="javascript:alert(1)//<script>")
    shown = browser.get(page).content.decode()
    assert "Found where others can read it" in shown
    assert "javascript:alert(1)//&lt;script&gt;" in shown
    assert 'href="javascript' not in shown
    assert "1 call was let in with it" in shown
    assert "203.0.113.9" in shown


def scanner() -> Asker:
    """A program whose person may report, and nothing else."""
    return Asker(person=new_holder(new_portal_role(PortalRight.REPORT_LEAKS)))


def test_scanner_reports_and_learns_nothing_but_whether_it_is_a_key(
    settings: Settings,
) -> None:
    settings.LATCHKEY_LEAKED_KEYS = "flag"
    issued, asker = new_key(), scanner()
    body = {"token": issued.text, "place": PLACE, "found_in": "commit"}
    assert data_of(asker.post("admin/leaks", body)) == {"label": "true_positive"}
    leak = Leak.objects.get(key=issued.key)
    assert leak.reported_by is not None
    assert leak.reporter == LeakReporter.SCANNER
    for junk in (make_credential().text, "junk", issued.text[:-1]):
        assert data_of(asker.post("admin/leaks", {"token": junk})) == {"label": "false_positive"}
    assert list(Leak.objects.filter(reported_by=leak.reported_by)) == [leak]
    assert code_of(asker.get("admin/leaks")) == "forbidden"


def test_whoever_may_not_report_is_refused() -> None:
    issued = new_key()
    for person in (new_person(), new_holder(PortalRole.REGISTRY_ADMIN)):
        reply = Asker(person=person).post("admin/leaks", {"token": issued.text})
        assert code_of(reply) == "forbidden"
    assert not Leak.objects.filter(key=issued.key).exists()
    security = Asker(person=new_holder(PortalRole.SECURITY))
    assert data_of(security.post("admin/leaks", {"token": issued.text}))


def test_report_holds_to_its_form() -> None:
    asker = administrator()
    assert fields_of(asker.post("admin/leaks", {})) == {"token"}
    assert fields_of(asker.post("admin/leaks", {"token": "x" * 4_001})) == {"token"}
    assert fields_of(asker.post("admin/leaks", {"token": "x", "url": "y"})) == {"url"}


def test_whoever_may_revoke_keys_reads_what_was_reported() -> None:
    first, second = new_key(), new_key()
    for issued in (first, second):
        report(issued.text)
    asker = Asker(person=new_holder(PortalRole.SECURITY))
    listed = data_of(asker.get("admin/leaks"))["data"]
    assert [one["key_id"] for one in listed[:2]] == [str(second.key.pk), str(first.key.pk)]
    assert first.text not in json.dumps(listed)
    [one] = data_of(asker.get(f"admin/leaks?key_id={first.key.pk}"))["data"]
    assert (one["place"], one["outcome"], one["times"]) == (PLACE, "revoked", 1)


def test_who_acts_is_the_scanners_person() -> None:
    person, issued = new_person(), new_key()
    reports = [LeakReport(token=issued.text, place=PLACE, found_in="")]
    report_leaks(reports, reporter=LeakReporter.SCANNER, actor=acting(person))
    for tag in (AuditTag.KEY_LEAKED, AuditTag.KEY_REVOKED):
        entry = AuditEntry.objects.get(tag=tag, subject_id=issued.key.pk)
        assert entry.actor_id == person.pk
