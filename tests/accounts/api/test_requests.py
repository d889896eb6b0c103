"""The form of requests and refusals, whatever they are about."""

import json
import logging

import pytest

from accounts.models.teams import Role
from tests.accounts.rows import new_account, new_team
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, member_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> tuple[Asker, str]:
    """An owner, and the address of their team's service accounts."""
    team = new_team()
    return member_of(team, Role.OWNER), f"teams/{team.slug}/service-accounts"


HOSTILE = {
    "no JSON": b"{",
    "not UTF-8": b'{"name": "\xff"}',
    "a list": b'[{"name": "x"}]',
    "a text": b'"name"',
    "null": b"null",
    "twins": b'{"name": "a", "name": "b"}',
    "nested twins": b'{"name": {"a": 1, "a": 2}}',
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "nested": b'{"name": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "digits": b'{"name": ' + b"9" * 6000 + b"}",
    "two": b'{"name": "a"} {"name": "b"}',
}


@pytest.mark.parametrize("how", HOSTILE)
def test_body_without_one_meaning_is_refused(owner: tuple[Asker, str], how: str) -> None:
    asker, path = owner
    reply = asker.ask("post", path, raw=HOSTILE[how])
    assert code_of(reply) == "malformed_body"
    assert reply.status_code == 400
    assert data_of(asker.post(path, {"name": "fine"}), 201)


@pytest.mark.parametrize(
    "value", [5, 1.5, True, None, [], {}, "", " ", "x" * 101, "a\x00b", "\ud800", [["x"]]]
)
def test_value_of_another_form_is_refused_by_its_field(
    owner: tuple[Asker, str], value: object
) -> None:
    asker, path = owner
    assert fields_of(asker.post(path, {"name": value})) == {"name"}


@pytest.mark.parametrize(
    "member", ["team", "team_id", "id", "disabled_at", "__class__", "pk", "Name", "x" * 5000]
)
def test_member_that_is_not_declared_is_refused(owner: tuple[Asker, str], member: str) -> None:
    asker, path = owner
    assert fields_of(asker.post(path, {"name": "app", member: "x"})) == {member[:60]}


def test_head_is_answered_like_get_without_the_body(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    stranger = Asker()
    for who, address in ((asker, path), (asker, "me"), (asker, "teams/nobodys"), (stranger, path)):
        read, head = who.get(address), who.ask("head", address)
        assert head.status_code == read.status_code, address
        assert head.content == b""
        kept = {"Content-Type", "Content-Length", "Cache-Control", "Allow", "WWW-Authenticate"}
        assert {name: head.get(name) for name in kept} == {name: read.get(name) for name in kept}
    refused = asker.ask("head", "invitations/019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071")
    assert refused.status_code == 405
    assert "HEAD" not in refused["Allow"]
    assert "HEAD" in asker.get("me")["Allow"]


def test_body_where_none_is_taken_is_refused() -> None:
    team = new_team()
    asker, account = member_of(team, Role.OWNER), new_account(team)
    path = f"service-accounts/{account.pk}/enable"
    assert fields_of(asker.post(path, {"reason": "x"})) == {"reason"}
    assert asker.post(path).status_code == 200


@pytest.mark.parametrize("query", ["?nothing=1", "?limit=1&limit=2", "?limit[]=1", "?format=xml"])
def test_query_that_is_not_declared_is_refused(owner: tuple[Asker, str], query: str) -> None:
    assert code_of(owner[0].get(owner[1] + query)) == "invalid_request"


@pytest.mark.parametrize(
    "limit", ["0", "101", "-1", "1.0", "ten", "", "1e1", "9" * 40, "%00", "\u0661"]
)
def test_page_is_bounded(owner: tuple[Asker, str], limit: str) -> None:
    assert fields_of(owner[0].get(f"{owner[1]}?limit={limit}")) == {"limit"}
    assert owner[0].get(f"{owner[1]}?limit=100").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("application/json; charset=utf-8", None),
        ("application/json; charset=utf-16", "wrong_content_type"),
        ("text/plain", "wrong_content_type"),
        ("application/x-www-form-urlencoded", "wrong_content_type"),
        ("multipart/form-data; boundary=x", "wrong_content_type"),
        ("application/vnd.api+json", "wrong_content_type"),
    ],
)
def test_body_is_json_by_name(
    owner: tuple[Asker, str], content_type: str, code: str | None
) -> None:
    reply = owner[0].ask("post", owner[1], {"name": "app"}, content_type=content_type)
    assert reply.status_code == (201 if code is None else 415)
    assert code is None or code_of(reply) == code


def test_compressed_and_large_bodies_are_refused_unread(owner: tuple[Asker, str]) -> None:
    asker, path = owner
    reply = asker.post(path, {"name": "app"}, Content_Encoding="gzip")
    assert code_of(reply) == "wrong_content_type"
    large = {"name": "app", "description": "x" * 140_000}
    assert code_of(asker.post(path, large)) == "body_too_large"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "*/*", ""])
def test_json_is_answered_whatever_is_accepted(owner: tuple[Asker, str], accept: str) -> None:
    assert data_of(owner[0].get("me", Accept=accept))
    assert code_of(owner[0].get("nowhere", Accept=accept)) == "not_found"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/",
        "/api/v1//me",
        "/api/v1/nowhere",
        "/api/v1/me/",
        "/api/v1/teams/a%00b",
        "/api/v1/%ff",
    ],
)
def test_address_that_is_none_answers_a_problem_to_those_who_may_ask(path: str) -> None:
    assert code_of(member_of(new_team()).get(path)) == "not_found"
    assert code_of(Asker().get(path)) == "missing_credential"


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace", "nonsense"])
def test_method_that_is_not_taken_names_those_that_are(
    owner: tuple[Asker, str], method: str
) -> None:
    reply = owner[0].ask(method, owner[1])
    assert code_of(reply) == "method_not_allowed"
    assert set(reply["Allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_replies_are_kept_by_nobody(owner: tuple[Asker, str]) -> None:
    assert owner[0].get("me")["Cache-Control"] == "no-store"
    assert owner[0].get("nowhere")["Cache-Control"] == "no-store"


def test_fault_of_ours_is_a_problem_that_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr("accounts.api.me.Me._carry_out", fail)
    with caplog.at_level(logging.ERROR, "latchkey.api"):
        reply = member_of(new_team()).get("me")
    assert code_of(reply) == "internal_error"
    assert reply.status_code == 500
    assert b"inside" not in reply.content
    told = [record for record in caplog.records if record.name == "latchkey.api"]
    assert [record.__dict__["request_id"] for record in told] == [reply["X-Request-Id"]]


def test_search_takes_wildcards_as_text() -> None:
    chief = administrator()
    assert data_of(chief.post("admin/teams", {"name": "Percent 100% and_more"}), 201)
    for wanted, count in (("100%", 1), ("%25_%25", 0), ("d_m", 1), ("%25", 1), ("d%25m", 0)):
        found = data_of(chief.get(f"admin/teams?search={wanted.replace('100%', '100%25')}"))
        assert len(found["data"]) == count, wanted


def test_error_does_not_repeat_what_looks_like_a_credential() -> None:
    chief, secret = administrator(), "sk-0123456789abcdef0123"
    reply = chief.post("admin/people", {"email": secret, "password": "x" * 20})
    assert fields_of(reply) == {"email"}
    assert secret not in reply.content.decode()
    body = {"email": "ada@corp.example", "password": "short"}
    assert "short" not in json.dumps(json.loads(chief.post("admin/people", body).content)["errors"])
