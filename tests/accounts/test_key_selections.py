"""Many keys are revoked at once, and none but those that were shown."""

import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts.audit import COMMAND, acting
from accounts.models import ApiKey, AuditEntry, KeyUse, Team, User
from accounts.models.audit import AuditTag
from accounts.models.roles import PortalRole
from accounts.writes import key_selections
from accounts.writes.key_selections import KeySelection, preview_selection, revoke_selection
from accounts.writes.keys import revoke_key
from portal.lib.clock import utc_now
from tests.accounts.leaks.rows import new_leak
from tests.accounts.rows import REASON, new_account, new_holder, new_key, new_member, new_team
from tests.asking_api import Asker, code_of, data_of, fields_of, personal_key
from tests.proxy.ledger_rows import call_with
from tests.signed_in import leave_proof

pytestmark = pytest.mark.django_db


class House:
    """A team with keys of each kind, and another team's key that has nothing to do with it."""

    def __init__(self) -> None:
        self.team: Team = new_team()
        self.person: User = new_member(self.team)
        self.own = personal_key(self.person, self.team).key
        account = new_account(self.team)
        self.issued = new_key(account).key
        ApiKey.objects.filter(pk=self.issued.pk).update(created_by=self.person.pk)
        self.other = new_key(account).key
        self.foreign = new_key().key
        self.revoked = new_key(account).key
        revoke_key(self.revoked, actor=COMMAND, reason=REASON)
        for key, peer in ((self.own, "203.0.113.9"), (self.other, "2001:db8::7")):
            KeyUse.objects.create(key=key, last_used_at=utc_now(), last_peer=peer)
        KeyUse.objects.create(key=self.foreign, last_used_at=utc_now(), last_peer="")
        call_with(self.issued, peer="203.0.113.77")
        call_with(self.foreign, peer="not an address")
        new_leak(self.other)


@pytest.fixture
def house() -> House:
    return House()


def hit(**facts: Any) -> set[Any]:
    return {key.pk for key in preview_selection(KeySelection(**facts)).keys}


def test_selection_hits_what_it_names_and_nothing_else(house: House) -> None:
    own, issued, other = house.own.pk, house.issued.pk, house.other.pk
    assert hit(team=house.team) == {own, issued, other}
    assert hit(person=house.person) == {own}
    assert hit(person=house.person, issued_too=True) == {own, issued}
    assert hit(network="203.0.113.0/24") == {own, issued}
    assert hit(network="203.0.113.9") == {own}
    assert hit(network="2001:db8::/32") == {other}
    assert hit(network="198.51.100.0/24") == set()
    assert hit(leaked=True, team=house.team) == {other}
    assert hit(team=house.team, network="203.0.113.0/24", person=house.person) == {own}
    assert hit(team=new_team()) == set()


@pytest.mark.parametrize("unfit", [{}, {"issued_too": True}, {"network": "corp"}, {"network": "10.0.0.1/8"}, {"network": "fe80::1%eth0"}])  # fmt: skip
def test_selection_that_says_nothing_or_no_network_is_refused(
    house: House, unfit: dict[str, Any]
) -> None:
    assert hit(team=house.team)
    with pytest.raises(ValidationError):
        preview_selection(KeySelection(**unfit))


def test_what_was_shown_is_revoked_with_an_entry_for_each(house: House) -> None:
    selection, actor = KeySelection(team=house.team), acting(house.person)
    preview = preview_selection(selection)
    done = revoke_selection(
        selection, fingerprint=preview.fingerprint, actor=actor, reason=f" {REASON} "
    )
    assert (done.count, done.is_cut) == (3, False)
    for key in (house.own, house.issued, house.other):
        entry = AuditEntry.objects.get(tag=AuditTag.KEY_REVOKED, subject_id=key.pk)
        assert (entry.actor_id, entry.facts) == (house.person.pk, {"reason": REASON})
        key.refresh_from_db()
        assert key.revoked_reason == REASON
    house.foreign.refresh_from_db()
    assert house.foreign.revoked_at is None
    assert preview_selection(selection).keys == []


def test_selection_that_hits_other_keys_by_now_hits_none(house: House) -> None:
    selection = KeySelection(team=house.team)
    fingerprint = preview_selection(selection).fingerprint
    new_key(new_account(house.team))
    with pytest.raises(ValidationError, match="Look again"):
        revoke_selection(selection, fingerprint=fingerprint, actor=COMMAND, reason=REASON)
    assert ApiKey.objects.filter(team=house.team, revoked_at=None).count() == 4


def test_without_a_reason_nothing_is_revoked(house: House) -> None:
    selection = KeySelection(team=house.team)
    fingerprint = preview_selection(selection).fingerprint
    with pytest.raises(ValidationError):
        revoke_selection(selection, fingerprint=fingerprint, actor=COMMAND, reason=" ")
    assert hit(team=house.team)


def test_many_are_hit_in_rounds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_selections, "SELECTED_MAX", 2)
    monkeypatch.setattr(key_selections, "BATCH", 1)
    selection = KeySelection(team=house.team)
    for expected in ((2, True), (1, False)):
        preview = preview_selection(selection)
        done = revoke_selection(
            selection, fingerprint=preview.fingerprint, actor=COMMAND, reason=REASON
        )
        assert (done.count, done.is_cut) == expected


def test_admin_shows_first_and_revokes_what_it_showed(house: House) -> None:
    browser, security = Client(), new_holder(PortalRole.SECURITY)
    browser.force_login(security)
    leave_proof(browser, security)
    page = reverse("admin:revoke-keys")
    assert "Say which keys are meant" in browser.get(page).content.decode()
    assert "There is none of this name" in browser.get(f"{page}?team=nobody").content.decode()
    assert "Say which keys" in browser.get(f"{page}?issued_too=on").content.decode()
    asked = f"{page}?team={house.team.slug}&network=203.0.113.0/24"
    shown = browser.get(asked).content.decode()
    assert "2 keys are hit" in shown
    assert str(house.own) in shown
    assert str(house.other) not in shown
    [fingerprint] = re.findall(r'name="fingerprint" value="(\w+)"', shown)
    assert browser.post(asked, {"fingerprint": "x", "reason": REASON}).status_code == 200
    refused = browser.post(asked, {"fingerprint": fingerprint, "reason": ""})
    assert "This field is required" in refused.content.decode()
    assert len(hit(team=house.team)) == 3
    done = browser.post(asked, {"fingerprint": fingerprint, "reason": REASON}, follow=True)
    assert "2 keys are revoked." in done.content.decode()
    assert hit(team=house.team) == {house.other.pk}


def test_whoever_may_not_revoke_keys_sees_no_page(house: House) -> None:
    browser, person = Client(), new_holder(PortalRole.REGISTRY_ADMIN)
    browser.force_login(person)
    leave_proof(browser, person)
    page = reverse("admin:revoke-keys")
    assert browser.get(page).status_code == 403
    assert browser.post(f"{page}?team={house.team.slug}", {"reason": REASON}).status_code == 403
    assert page not in browser.get(reverse("admin:index")).content.decode()
    assert len(hit(team=house.team)) == 3


def test_api_previews_and_revokes_by_the_same_selection(house: House) -> None:
    asker = Asker(person=new_holder(PortalRole.SECURITY))
    selection = {"person_id": str(house.person.pk), "issued_too": True}
    preview = data_of(asker.post("admin/key-revocations/preview", selection))
    assert {one["id"] for one in preview["keys"]} == {str(house.own.pk), str(house.issued.pk)}
    sent = selection | {"fingerprint": preview["fingerprint"], "reason": REASON}
    wrong = asker.post("admin/key-revocations", sent | {"fingerprint": "x"})
    assert fields_of(wrong) == {"fingerprint"}
    assert data_of(asker.post("admin/key-revocations", sent)) == {"count": 2, "is_cut": False}
    assert hit(team=house.team) == {house.other.pk}
    assert fields_of(asker.post("admin/key-revocations/preview", {})) == {"request"}
    nobody = {"team_id": str(house.person.pk)}
    assert fields_of(asker.post("admin/key-revocations/preview", nobody)) == {"team_id"}
    other = Asker(person=new_holder(PortalRole.REGISTRY_ADMIN))
    for path in ("admin/key-revocations/preview", "admin/key-revocations"):
        assert code_of(other.post(path, sent)) == "forbidden"


def test_command_lists_first_and_revokes_what_it_listed(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("revoke_keys", "--team", house.team.slug)
    listed = capsys.readouterr().out
    assert "3 keys are hit." in listed
    assert str(house.own) in listed
    [fingerprint] = re.findall(r"--confirm (\w+)", listed)
    with pytest.raises(CommandError, match="reason"):
        call_command("revoke_keys", "--team", house.team.slug, "--confirm", fingerprint)
    with pytest.raises(CommandError, match="Look again"):
        call_command("revoke_keys", "--team", house.team.slug, "--confirm", "x", "--reason", REASON)
    for unknown in (["--team", "nobody"], ["--person", "nobody@latchkey.test"]):
        with pytest.raises(CommandError, match="is called this"):
            call_command("revoke_keys", *unknown)
    with pytest.raises(CommandError, match="Say which keys"):
        call_command("revoke_keys")
    confirm = ["--confirm", fingerprint, "--reason", REASON]
    call_command("revoke_keys", "--team", house.team.slug, *confirm)
    assert "3 keys are revoked." in capsys.readouterr().out
    assert not hit(team=house.team)
