"""The page that rotates a key, and what a key's page says of its old secret."""

import datetime
import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import ApiKey, AuditEntry, PreviousSecretUse, Team, User
from accounts.models.audit import AuditTag
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.key_rotation import rotate_key
from accounts.writes.keys import issue_key, revoke_key
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_team, tomorrow
from tests.pages import QUERIES_MAX, Browser, text_of, words_of
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
MaxQueries = Callable[[int], AbstractContextManager[object]]
SHOWN = re.compile(r"lk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}")


def page_of(key: ApiKey) -> str:
    return reverse("key", args=[key.pk])


def rotation_of(key: ApiKey) -> str:
    return reverse("key-rotate", args=[key.pk])


def end_of(key: ApiKey) -> str:
    return reverse("key-old-secret-end", args=[key.pk])


def own_key(person: User, team: Team) -> ApiKey:
    return issue_key(
        team,
        holder=person,
        name="Own",
        scopes=[Scope.CHAT],
        expires_at=tomorrow(),
        actor=COMMAND,
    ).key


def test_new_secret_is_shown_once_and_the_old_one_goes_on() -> None:
    account = new_account()
    issued = new_key(account)
    browser = Browser(new_member(account.team, Role.MANAGER))
    assert rotation_of(issued.key) in browser.page(page_of(issued.key))
    reply = browser.post(rotation_of(issued.key), overlap="3600")
    texts = set(SHOWN.findall(text_of(reply)))
    assert len(texts) == 1
    assert "no-store" in reply["Cache-Control"]
    assert "The old secret works until" in text_of(reply)
    text = texts.pop()
    assert loaded(text)
    assert loaded(issued.text)
    for address in (page_of(issued.key), rotation_of(issued.key), "/keys/"):
        assert not SHOWN.search(browser.page(address))


def test_page_of_a_rotated_key_tells_who_still_calls_with_the_old_secret() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.MANAGER))
    assert "Old secret" not in browser.page(page_of(key))
    key = rotate_key(key, actor=COMMAND).key
    assert key.rotated_at is not None
    for address in (page_of(key), rotation_of(key)):
        assert "Calls since 0" in words_of(browser.page(address))
    PreviousSecretUse.objects.create(
        key=key,
        rotated_at=key.rotated_at,
        calls=12345,
        last_used_at=utc_now(),
        last_peer="192.0.2.7",
    )
    for address in (page_of(key), rotation_of(key)):
        words = words_of(browser.page(address))
        assert "Calls since 12,345" in words
        assert "from 192.0.2.7" in words
    # What was counted for an earlier rotation is not told for this one.
    PreviousSecretUse.objects.filter(key=key).update(
        rotated_at=key.rotated_at - datetime.timedelta(days=1)
    )
    assert "Calls since 0" in words_of(browser.page(page_of(key)))


def test_old_secret_is_ended_by_a_button() -> None:
    account = new_account()
    issued = new_key(account)
    new = rotate_key(issued.key, actor=COMMAND)
    browser = Browser(new_member(account.team, Role.MANAGER))
    assert end_of(issued.key) in browser.page(page_of(issued.key))
    assert browser.post(end_of(issued.key)).status_code == 302
    assert loaded(issued.text) is None
    assert loaded(new.text)
    assert end_of(issued.key) not in browser.page(page_of(issued.key))


def test_second_rotation_in_the_overlap_offers_what_can_be_done() -> None:
    account = new_account()
    issued = new_key(account)
    browser = Browser(new_member(account.team, Role.MANAGER))
    lost = SHOWN.findall(text_of(browser.post(rotation_of(issued.key), overlap="3600")))[0]
    refused = text_of(browser.post(rotation_of(issued.key), overlap="3600"))
    assert "old secret works until" in refused
    assert not SHOWN.search(refused)
    assert end_of(issued.key) in refused
    found = SHOWN.findall(text_of(browser.post(rotation_of(issued.key), new_was_lost="True")))[0]
    assert [bool(loaded(text)) for text in (issued.text, lost, found)] == [True, False, True]


@pytest.mark.parametrize("overlap", ["", "-1", "61", "x", "99999999999"])
def test_overlap_that_is_not_offered_rotates_nothing(overlap: str) -> None:
    account = new_account()
    issued = new_key(account)
    browser = Browser(new_member(account.team, Role.MANAGER))
    reply = browser.post(rotation_of(issued.key), overlap=overlap)
    assert 'class="errorlist' in text_of(reply)
    assert not AuditEntry.objects.filter(
        tag=AuditTag.KEY_ROTATED, subject_id=issued.key.pk
    ).exists()
    assert SHOWN.search(text_of(browser.post(rotation_of(issued.key), overlap="0")))
    assert loaded(issued.text) is None


@pytest.mark.parametrize("role", Role)
def test_each_role_rotates_as_its_rights_say(role: Role) -> None:
    account = new_account()
    person, colleague = new_member(account.team, role), new_member(account.team)
    browser = Browser(person)
    manages = role in {Role.OWNER, Role.MANAGER}
    sees = role is not Role.MEMBER
    for key, may_rotate, may_see in (
        (own_key(person, account.team), role is not Role.AUDITOR, True),
        (new_key(account).key, manages, sees),
        (own_key(colleague, account.team), False, sees),
    ):
        status = 200 if may_rotate else 403 if may_see else 404
        if may_see:
            assert (rotation_of(key) in browser.page(page_of(key))) == may_rotate
        assert browser.get(rotation_of(key)).status_code == status
        assert browser.post(rotation_of(key), overlap="0").status_code == status
        assert (ApiKey.objects.get(pk=key.pk).rotated_at is not None) == may_rotate


def test_key_that_has_ended_offers_no_rotation_and_refuses_one() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.OWNER))
    revoke_key(key, actor=COMMAND, reason=REASON)
    assert rotation_of(key) not in browser.page(page_of(key))
    assert "This key is revoked" in text_of(browser.post(rotation_of(key), overlap="0"))


def test_page_needs_few_queries(django_assert_max_num_queries: MaxQueries) -> None:
    person = new_member(team := new_team(), Role.OWNER)
    key = rotate_key(own_key(person, team), actor=COMMAND).key
    browser = Browser(person)
    for address in (page_of(key), rotation_of(key)):
        with django_assert_max_num_queries(QUERIES_MAX):
            browser.page(address)


def test_age_at_which_it_is_rotated_by_itself_is_chosen_on_its_page() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.MANAGER))
    address = reverse("key-rotation-set", args=[key.pk])
    assert address in browser.page(rotation_of(key))
    for days, kept in (("90", 90), ("7", 90), ("x", 90), ("", None)):
        assert browser.post(address, days=days).status_code == 302
        assert ApiKey.objects.get(pk=key.pk).rotates_after_days == kept
    assert "by itself every" not in words_of(browser.page(page_of(key)))
    browser.post(address, days="30")
    assert "by itself every 30 days" in words_of(browser.page(page_of(key)))
