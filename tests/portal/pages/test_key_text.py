"""T11: a key that a page shows stands nowhere else: no table, no store, no log, no session."""

import logging
import re
from collections.abc import Iterator

import pytest
import redis
from django.db import connection

from accounts.models.keys import Scope
from accounts.models.teams import Role
from portal.lib.clock import days_ahead
from tests.accounts.rows import new_account, new_member
from tests.models_registry.rows import new_offer
from tests.pages import Browser, text_of

pytestmark = pytest.mark.django_db
KEY_TEXT = re.compile(r"lk_[0-9A-Za-z]{12}_([0-9A-Za-z]{38})")


def issue(browser: Browser, holder: str, form_id: str) -> tuple[str, str]:
    """Issue a key through the page. Returns its text and the text's secret part."""
    reply = browser.post(
        "/keys/new/",
        form_id=form_id,
        holder=holder,
        name="Canary",
        scopes=[Scope.CHAT.value],
        expires_at=days_ahead(3).date().isoformat(),
    )
    match = KEY_TEXT.search(text_of(reply))
    assert match is not None
    return match[0], match[1]


def tables_that_hold(text: str) -> list[str]:
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        found = []
        for name in names:
            quoted = connection.ops.quote_name(name)
            cursor.execute(
                f"SELECT EXISTS (SELECT FROM {quoted} AS row WHERE strpos(row::text, %s) > 0)",  # noqa: S608
                [text],
            )
            if cursor.fetchone()[0]:
                found.append(name)
        return found


def stored(url: str) -> Iterator[bytes]:
    """Every name and value of a store, whose URL may be in the form that Celery reads."""
    url = url.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    with redis.Redis.from_url(url) as client:
        for name in client.scan_iter(count=1000):
            yield name
            dumped = client.dump(name)
            yield dumped or b""
            if client.type(name) == b"string":
                yield client.get(name) or b""


@pytest.mark.parametrize("of_account", [False, True])
def test_key_text_stands_in_the_answer_alone(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    broker_url: str,
    cache_url: str,
    limits_url: str,
    of_account: bool,
) -> None:
    account = new_account()
    new_offer()
    browser = Browser(new_member(account.team, Role.OWNER))
    holder = f"account:{account.pk}" if of_account else f"team:{account.team_id}"
    form_id = "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"
    with caplog.at_level(logging.DEBUG):
        text, secret = issue(browser, holder, form_id)
        browser.page("/keys/")
        browser.page(f"/keys/{account.team.keys.get().pk}/")
        browser.get("/keys/", q=text)
        assert browser.get(f"/keys/{form_id}/", q=text).status_code == 404
    # What is looked for can be found: the public part stands in the key's row.
    assert "accounts_apikey" in tables_that_hold(text[3:15])
    assert tables_that_hold(secret) == []
    found = [value for url in (broker_url, cache_url, limits_url) for value in stored(url)]
    assert any(form_id.encode() in value for value in found)
    assert not any(secret.encode() in value for value in found)
    assert "Not Found" in caplog.text
    assert secret not in caplog.text
    output = capfd.readouterr()
    assert secret not in output.out + output.err
    assert secret not in str(dict(browser.client.session))
    assert secret not in str(browser.client.cookies)
