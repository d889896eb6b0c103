"""Asks the management API as somebody: by a key, or as a browser that signed in."""

import itertools
import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from accounts.audit import COMMAND
from accounts.models import Team, User
from accounts.models.keys import Scope
from accounts.models.teams import Role
from accounts.writes.keys import IssuedKey, issue_key
from portal.lib.clock import days_ahead
from tests.accounts.rows import new_member, new_name, new_person

_addresses = itertools.count(1)
API = "/api/v1/"


class Asker:
    """One caller of the API, from an address of its own."""

    def __init__(
        self, *, text: str = "", person: User | None = None, headers: dict[str, str] | None = None
    ) -> None:
        number = next(_addresses)
        self.address = f"10.{number // 62_500 % 250}.{number // 250 % 250}.{1 + number % 250}"
        self.client = Client(raise_request_exception=False)
        self.headers = headers or ({"Authorization": f"Bearer {text}"} if text else {})
        if person is not None:
            self.client.force_login(person)

    def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: Any
    ) -> HttpResponse:
        """Send a request below /api/v1/; `headers` are named with _ for -."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        reply = self.client.generic(
            method.upper(),
            path if path.startswith("/") else API + path,
            data,
            headers.pop("content_type", "application/json"),
            headers=sent,
            REMOTE_ADDR=self.address,
        )
        assert isinstance(reply, HttpResponse)
        return reply

    def get(self, path: str, **headers: Any) -> HttpResponse:
        return self.ask("get", path, **headers)

    def post(self, path: str, body: Any = None, **headers: Any) -> HttpResponse:
        return self.ask("post", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: Any) -> HttpResponse:
        return self.ask("put", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: Any) -> HttpResponse:
        return self.ask("patch", path, body, **headers)

    def delete(self, path: str, **headers: Any) -> HttpResponse:
        return self.ask("delete", path, **headers)


def personal_key(person: User, team: Team, *scopes: Scope, **facts: Any) -> IssuedKey:
    """A key of a person; it may chat and manage unless other scopes are named. It outlives what ends tomorrow."""
    facts = {"expires_at": days_ahead(2)} | facts
    return issue_key(
        team,
        holder=person,
        name=new_name("key"),
        scopes=list(scopes) or [Scope.CHAT, Scope.MANAGE],
        actor=COMMAND,
        **facts,
    )


def member_of(team: Team, role: Role = Role.MEMBER) -> Asker:
    """A member of the team who came with a key."""
    return Asker(text=personal_key(new_member(team, role), team).text)


def administrator() -> Asker:
    """An administrator who signed in."""
    return Asker(person=new_person(is_administrator=True))


def code_of(reply: HttpResponse) -> str:
    """The problem's code, once the reply is a problem in form."""
    problem = json.loads(reply.content)
    assert reply["Content-Type"] == "application/problem+json", reply.content
    assert problem["status"] == reply.status_code
    assert problem["instance"] == f"urn:uuid:{reply['X-Request-Id']}"
    assert problem["type"] == f"urn:latchkey:problem:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    return str(problem["code"])


def fields_of(reply: HttpResponse) -> set[str]:
    """The fields at fault."""
    assert code_of(reply) == "invalid_request"
    return set(json.loads(reply.content)["errors"])


def data_of(reply: HttpResponse, status: int = 200) -> Any:
    """The body of a reply that was to succeed."""
    assert reply.status_code == status, reply.content
    return json.loads(reply.content)
