"""What the pages say of a key that nobody uses, and the button that enables it."""

import datetime

import pytest
from django.urls import reverse

from accounts.audit import COMMAND
from accounts.models import ApiKey, IdleKey
from accounts.models.teams import Role
from accounts.writes.keys import revoke_key
from portal.lib.clock import utc_now
from tests.accounts.rows import REASON, new_account, new_key, new_member, new_team
from tests.asking_api import Asker, data_of
from tests.pages import Browser, text_of, words_of
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db


def disable(key: ApiKey) -> None:
    now = utc_now()
    ApiKey.objects.filter(pk=key.pk).update(disabled_at=now)
    removes_at = now + datetime.timedelta(days=30)
    IdleKey.objects.create(key=key, idle_since=now, disables_at=now, removes_at=removes_at)


def test_warned_key_says_when_it_will_be_disabled() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.MANAGER))
    page = reverse("key", args=[key.pk])
    assert "Nobody has used it" not in words_of(browser.page(page))
    IdleKey.objects.create(key=key, idle_since=utc_now(), disables_at=utc_now())
    assert "Nobody has used it" in words_of(browser.page(page))


@pytest.mark.parametrize("role", Role)
def test_disabled_key_says_so_and_is_enabled_by_whoever_may_revoke_it(role: Role) -> None:
    account = new_account()
    issued = new_key(account)
    browser = Browser(new_member(account.team, role))
    page, enable = (reverse(name, args=[issued.key.pk]) for name in ("key", "key-enable"))
    disable(issued.key)
    assert loaded(issued.text) is None
    may = role in {Role.OWNER, Role.MANAGER}
    sees = role is not Role.MEMBER
    if sees:
        words = browser.page(page)
        assert "Disabled on" in words_of(words)
        assert (enable in words) == may
        assert issued.key.name in browser.page("/keys/?state=disabled")
        assert issued.key.name not in browser.page("/keys/?state=active")
    assert browser.post(enable).status_code == (302 if may else 403 if sees else 404)
    assert (loaded(issued.text) is not None) == may
    if may:
        assert enable not in browser.page(page)


def test_revoked_key_is_not_enabled() -> None:
    account = new_account()
    key = new_key(account).key
    browser = Browser(new_member(account.team, Role.MANAGER))
    disable(key)
    revoke_key(key, actor=COMMAND, reason=REASON)
    reply = browser.client.post(reverse("key-enable", args=[key.pk]), follow=True)
    assert "This key is revoked" in text_of(reply)  # type: ignore[arg-type]
    assert ApiKey.objects.get(pk=key.pk).disabled_at is not None


def test_api_tells_of_it_and_enables_it() -> None:
    account = new_account()
    issued = new_key(account)
    asker = Asker(person=new_member(account.team, Role.MANAGER))
    disable(issued.key)
    assert data_of(asker.get(f"keys/{issued.key.pk}"))["disabled_at"] is not None
    stranger = Asker(person=new_member(new_team(), Role.OWNER))
    assert stranger.post(f"keys/{issued.key.pk}/enable").status_code == 404
    assert loaded(issued.text) is None
    assert data_of(asker.post(f"keys/{issued.key.pk}/enable"))["disabled_at"] is None
    assert loaded(issued.text)
