"""T2: nothing that a head holds is ever read as SQL, at either door and at pages."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from accounts.credential import checksum
from accounts.models.keys import Scope
from tests.flows.answers import CHAT, chat_body
from tests.flows.conftest import Catalogue, wait_until_listed
from tests.flows.house import Caller, new_caller, new_member, new_team
from tests.flows.processes import RunningGateway, run_gateway
from tests.flows.recording_proxy import RecordingProxy, recording_proxy, without_literals

NAUGHTY = [
    "'OR'1'='1", "';DROP TABLE accounts_apikey;--", '" OR ""="', "') UNION SELECT 1 --", "%27%20OR%201=1",
    "$1", "%s", "%(a)s", "{0}", "\\'", "\\", "/*", "pg_sleep(5)", "1; SELECT pg_sleep(5)--", "$$", "E'\\''",
    "\u00ff\u00fe", "\t", "null", "-1", "lk_", "lk__", "${jndi:ldap://127.0.0.1/a}", "$(id)", "\u00a0",
]  # fmt: skip
HEADERS = [
    "Host", "Authorization", "X-Api-Key", "Cookie", "Content-Type", "Content-Language", "Idempotency-Key", "Forwarded",
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "X-Request-Id", "X-CSRFToken", "User-Agent",
    "Accept", "Accept-Language", "Origin", "Referer", "If-None-Match", "If-Modified-Since", "Range", "Traceparent",
    "OpenAI-Organization", "X-HTTP-Method-Override", "HX-Request",
]  # fmt: skip
# It follows each text, so that what became of the text can be found.
MARK = f"zq{secrets.token_hex(8)}"


@dataclass(frozen=True)
class Recorded:
    """A gateway whose statements are kept."""

    gateway: RunningGateway
    proxy: RecordingProxy


@pytest.fixture
def recorded(
    catalogue: Catalogue,
    committed: None,
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Recorded]:
    """A gateway that has PostgreSQL behind a proxy."""
    with (
        recording_proxy(database_url) as (proxy, url),
        run_gateway(
            tmp_path_factory.mktemp("recorded"),
            LATCHKEY_DATABASE_URL=url,
            LATCHKEY_DATABASE_LISTEN_URL=url,
        ) as gateway,
    ):
        yield Recorded(gateway, proxy)


def wrong(text: str) -> str:
    """The same key with another secret, whose checksum is right."""
    forged = text[:-7] + ("x" if text[-7] != "x" else "y")
    return forged + checksum(forged)


@pytest.mark.time_limit_s(120)
def test_no_header_of_any_door_reaches_sql(catalogue: Catalogue, recorded: Recorded) -> None:
    """A peer could be asked SQL through the Authorization header, before anybody was known."""
    port, team = recorded.gateway.port, new_team()
    wait_until_listed(port, catalogue.chat)
    caller = new_caller(port, catalogue.chat, team=team)
    manager = new_caller(port, team=team, holder=new_member(team), scopes=(Scope.MANAGE,))
    texts = [(header, text) for header in HEADERS for text in NAUGHTY]
    # Both doors of Django read a head by the same code, so each takes every other text.
    doors = [
        ((caller, "POST", CHAT, chat_body(catalogue.chat.name)), texts),
        ((manager, "POST", "/api/v1/keys", b"{}"), texts[::2]),
        ((manager, "GET", "/", b""), texts[1::2]),
    ]
    tries = [(*door, header, text) for door, sent in doors for header, text in sent]
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda one: send(*one), tries))
    for one in (caller, manager):
        forged = [("Authorization", f"Bearer {wrong(one.text)}"), one.headers()[1]]
        assert one.send("POST", CHAT, b"{}", headers=forged).status == 401
        assert one.send("GET", "/api/v1/me", headers=forged).status == 401
    assert caller.post(CHAT, chat_body(catalogue.chat.name)).status == 200

    assert {200, 400, 401} <= set(statuses) <= {200, 302, 400, 401, 403, 406, 415, 421, 429}
    assert_harmless(recorded.proxy)
    for text in (caller.text, wrong(caller.text), manager.text, wrong(manager.text)):
        assert text.split("_")[2][:10].encode() not in recorded.proxy.sent()


def send(caller: Caller, method: str, path: str, body: bytes, header: str, text: str) -> int:
    """Send the text in this header, with a key beside it where the header is not the key's own."""
    value = text + MARK
    if header == "Host":
        return caller.send(method, path, body, host=value).status
    if header == "Cookie":
        value = f"sessionid={value}; csrftoken={value}"
    elif header == "Authorization":
        value = f"Bearer {value}"
    headers = [one for one in caller.headers() if one[0] != header]
    if header in ("Cookie", "X-Api-Key") and path != CHAT:
        headers = headers[1:]
    return caller.send(method, path, body, headers=[*headers, (header, value)]).status


def assert_harmless(proxy: RecordingProxy) -> None:
    """What was sent is at most a text in a statement, or a value beside it, and never a part of the statement."""
    statements = proxy.statements()
    for table in ("accounts_apikey", "models_registry_grant", "accounts_idempotentreply"):
        assert any(table in statement for statement in statements)
    assert MARK.encode() in proxy.sent()
    for statement in statements:
        bare = without_literals(statement)
        assert MARK not in bare, statement
        assert "'" not in bare.replace("''", ""), statement


def test_what_is_read_as_sql_is_told_from_what_is_a_text() -> None:
    assert without_literals("SELECT 'it''s \\', a") == "SELECT '', a"
    assert without_literals("SELECT  E'\\'; DROP', a") == "SELECT  '', a"
    assert "DROP" in without_literals("SELECT ''; DROP TABLE a; --'")
