"""T11: no key of a caller and no credential of a provider stands anywhere, whatever went wrong with it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import redis
from django.conf import settings
from psycopg import sql

from accounts.audit import COMMAND
from accounts.links import invitation_link, reset_link
from accounts.models import AuditEntry, Team, User
from accounts.models.teams import Role
from accounts.writes.invitations import invite
from accounts.writes.keys import revoke_key
from accounts.writes.teams import change_member_role
from models_registry.writes.providers import add_provider
from tests.flows.answers import (
    CHAT,
    DONE,
    EMBEDDINGS,
    JSON_HEAD,
    chat_body,
    completion,
    delta,
    demo,
    embeddings_body,
    event,
    stream,
    whole,
)
from tests.flows.conftest import SCRIPTED_KEY, CallerMaker, Catalogue, wait_until_listed
from tests.flows.house import new_member, new_model, unique
from tests.flows.ledger import find_call, find_calls
from tests.flows.processes import UPSTREAM_KEY, RunningGateway
from tests.flows.scripted_upstream import ScriptedUpstream

JSON = ("Content-Type", "application/json")
DOWN_KEY = "sk-down-Rb7Wk2Jd9Pz4Ls6Mv3Qc"
PIECE = 8


@dataclass(frozen=True)
class Kept:
    """Everything that a gateway leaves behind, as texts."""

    gateway: RunningGateway
    database_url: str
    store_urls: tuple[str, ...]

    def texts(self) -> Iterator[str]:
        """The log, every row, what the stores hold, and the journal."""
        yield self.gateway.log()
        yield from database_texts(self.database_url)
        yield from valkey_texts(*self.store_urls)
        yield from self.journal_texts()

    def journal_texts(self) -> Iterator[str]:
        """What has not been overwritten of the journal; a segment's rest is empty."""
        for file in (self.gateway.log_file.parent / "journal").rglob("*"):
            if file.is_file():
                yield file.read_bytes().rstrip(b"\0").decode("latin-1")


@pytest.fixture
def kept(
    gateway: RunningGateway, database_url: str, limits_url: str, cache_url: str, broker_url: str
) -> Kept:
    """What the worker's gateway leaves behind."""
    return Kept(gateway, database_url, (limits_url, cache_url, broker_url))


def test_a_canary_key_stands_nowhere_after_every_refusal(
    catalogue: Catalogue,
    new_caller_of: CallerMaker,
    kept: Kept,
) -> None:
    caller = new_caller_of(catalogue.chat, requests_per_minute=3)
    key, secret = caller.text, caller.text.split("_")[2]
    ours = chat_body(catalogue.chat.name)
    bodies = [
        ours, b"{", key.encode(), json.dumps({key: 1, "model": key, "messages": []}).encode(), chat_body(key),
        chat_body(catalogue.chat.name, **{key: key}), chat_body(catalogue.chat.name, stream=key), b"[" * 2000,
        chat_body(catalogue.chat.name, demo(status=400) + key), chat_body(catalogue.chat.name, demo(fault="hang") + key),
        chat_body(catalogue.chat.name, n=key), chat_body(catalogue.chat.name, max_tokens=key), ours, ours, ours,
    ]  # fmt: skip
    replies = [caller.post(CHAT, body) for body in bodies]
    carriers = [
        [("Authorization", key)],
        [("Authorization", f"Bearer {key}x")],
        [("X-Api-Key", key + " ")],
        [("Authorization", f"Basic {key}")],
        [("Cookie", key)],
        [("X-Forwarded-For", key), *caller.headers()[:1]],
        [*caller.headers()[:1], ("X-Api-Key", "other")],
    ]
    replies += [caller.send("POST", CHAT, ours, headers=[JSON, *headers]) for headers in carriers]
    replies += [caller.send("GET", f"/v1/models/{key}"), caller.send("GET", f"/v1/{key}"), caller.send("GET", f"/{key}"),
                caller.send("GET", f"/v1/models?key={key}"), caller.send(key, "/v1/models"), caller.send("GET", "/v1/models", host=key)]  # fmt: skip
    revoke_key(caller.key, actor=COMMAND, reason=f"It stood in a log as {key}.")
    time.sleep(0.5)
    replies.append(caller.post(CHAT, ours))

    assert len({reply.status for reply in replies}) > 4
    for reply in replies:
        # Names of members that a caller wrote itself come back to it alone, and shortened.
        assert secret not in reply.body.decode(errors="replace") + str(reply.headers), reply.body
    find_call(next(reply.request_id for reply in reversed(replies) if reply.status == 429))
    assert caller.address in "".join(kept.journal_texts())
    for text in kept.texts():
        assert secret not in text
    assert AuditEntry.objects.filter(subject_id=caller.key.id).count() == 2


def database_texts(url: str) -> Iterator[str]:
    """Every row of every table that can be read, as text."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace AND has_table_privilege(oid, 'SELECT')"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT t::text FROM {} AS t").format(sql.SQL(table))
            for (row,) in connection.execute(query):
                yield row


def valkey_texts(*urls: str) -> Iterator[str]:
    """Every key and value of the worker's stores."""
    for url in urls:
        with redis.Redis.from_url(
            url.replace("redis+socket", "unix").replace("virtual_host", "db")
        ) as store:
            for key in store.scan_iter():
                value: Any = store.dump(key)
                yield repr(key) + repr(value)


class Pieces:
    """So many characters in a row of what is random in the credentials, in whatever case."""

    def __init__(self, *credentials: str) -> None:
        secrets = [credential.rpartition("-")[2].lower() for credential in credentials]
        self._pieces = {s[at : at + PIECE] for s in secrets for at in range(len(s) - PIECE + 1)}

    def stand_in(self, text: str) -> bool:
        # Megabytes are looked through: one search for each piece takes a tenth of what one pattern of all takes.
        lower = text.lower()
        return any(piece in lower for piece in self._pieces)


def test_links_that_let_somebody_in_stand_in_no_log(
    catalogue: Catalogue, new_caller_of: CallerMaker, gateway: RunningGateway
) -> None:
    caller = new_caller_of()
    guest = f"{unique('guest')}@latchkey.test"
    invitation = invite(caller.team, email=guest, role=Role.MEMBER, by=_owner(caller.team))
    links = [invitation_link(invitation), reset_link(new_member(caller.team))]
    opened = [link.removeprefix(settings.LATCHKEY_BASE_URL) for link in links]
    wrong = [path + more for path in opened for more in ("nowhere/", "%0Awhere/")]
    mangled = [path.replace("/", "//", 1) for path in opened]
    told = [caller.send("GET", path).status for path in [*opened, *wrong, *mangled]]

    assert told == [302, 302] + [404] * 6
    log = gateway.log()
    assert log.count("/invitations/[redacted]") >= 3
    assert log.count("/password/reset/[redacted]") >= 3
    for path in opened:
        token = path.rstrip("/").rpartition("/")[2]
        assert token[:16] not in log


def _owner(team: Team) -> User:
    """A person who may invite others into the team."""
    person = new_member(team)
    change_member_role(team.memberships.get(person=person), role=Role.OWNER, actor=COMMAND)
    return person


DIRECTIVES = [
    demo(fault="leak_key"),
    demo(fault="leak_key", status=400),
    demo(fault="leak_key", status=401),
    demo(fault="leak_key", status=403),
    demo(fault="leak_key", status=429),
    demo(fault="echo_headers"),
    demo(fault="garbage"),
    demo(fault="reset"),
]
KEY = SCRIPTED_KEY.encode()
ERROR = json.dumps(
    {"error": {"message": f"{SCRIPTED_KEY} is wrong", "code": SCRIPTED_KEY}}
).encode()
SCRIPTS = {
    "garbage": KEY + b"\r\n\r\n",
    "its status line": b"HTTP/1.1 500 " + KEY + b"\r\ncontent-length: 0\r\n\r\n",
    "its headers": b"HTTP/1.1 200 OK\r\n" + KEY + b": a\r\nx: " + KEY + b"\0\r\n\r\n",
    "its length": b"HTTP/1.1 200 OK\r\ncontent-length: " + KEY + b"\r\n\r\n",
    "where it redirects": b"HTTP/1.1 302 Found\r\nlocation: http://a/" + KEY + b"\r\n\r\n",
    "refused with an echo": whole(ERROR, status=b"401 Unauthorized", headers=JSON_HEAD),
    "an error with an echo": whole(ERROR, status=b"500 Internal", headers=JSON_HEAD),
    "a rejection with an echo": whole(ERROR, status=b"422 No", headers=JSON_HEAD),
    "busy, and when to come back": whole(
        ERROR, status=b"429 Busy", headers=b"retry-after: " + KEY + b"\r\n"
    ),
    "no JSON": whole(b"<p>" + KEY, headers=b"content-type: text/html\r\n"),
    "an answer": whole(json.dumps(completion(SCRIPTED_KEY, model=SCRIPTED_KEY)).encode()),
    "a stream": stream(delta(SCRIPTED_KEY), DONE),
    "an event": stream(delta("Good"), event({"error": {"message": SCRIPTED_KEY}}), DONE),
    "a bad event": stream(delta("Good"), event(SCRIPTED_KEY), DONE),
}


def test_a_providers_credential_stands_nowhere_after_every_fault_of_an_upstream(
    catalogue: Catalogue, scripted: ScriptedUpstream, new_caller_of: CallerMaker, kept: Kept
) -> None:
    down = new_model(
        add_provider(
            unique("down"), base_url="http://127.0.0.1:1/v1", credential=DOWN_KEY, actor=COMMAND
        ),
        "m",
    )
    wait_until_listed(kept.gateway.port, down)
    caller = new_caller_of(catalogue.chat, catalogue.embeddings, catalogue.scripted_chat, down)
    scripts = [scripted.play(answer) for answer in SCRIPTS.values() for _ in (False, True)]
    calls = [(CHAT, chat_body(down.name))]
    calls += [
        (CHAT, chat_body(catalogue.scripted_chat.name, script.marker, stream=bool(number % 2)))
        for number, script in enumerate(scripts)
    ]
    for directive in DIRECTIVES:
        calls += [
            (CHAT, chat_body(catalogue.chat.name, directive)),
            (CHAT, chat_body(catalogue.chat.name, directive, stream=True)),
            (EMBEDDINGS, embeddings_body(catalogue.embeddings.name, directive)),
        ]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda call: caller.post(*call), calls))

    assert all(f"Bearer {SCRIPTED_KEY}".encode() in script.requests[0] for script in scripts)
    rows = find_calls(caller.key.id, count=len(calls))
    assert len({row.code for row in rows}) > 5
    credential = Pieces(UPSTREAM_KEY, SCRIPTED_KEY, DOWN_KEY)
    assert credential.stand_in(json.dumps(completion(SCRIPTED_KEY)))
    assert caller.address in "".join(kept.journal_texts())
    told = (reply.body.decode(errors="replace") + str(reply.headers) for reply in replies)
    for text in (*kept.texts(), *told):
        assert not credential.stand_in(text), text[:500]
