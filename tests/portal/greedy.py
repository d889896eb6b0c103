"""What somebody writes who wants more, into each member that an operation of the management API takes, and into others."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import resolve

from accounts.roles import Right
from portal.api_document import written_document

FAR = "2999-01-01T00:00:00Z"
MUCH = 2_147_483_647
GREEDY: list[Any] = [
    None,
    0,
    MUCH,
    FAR,
    "owner",
    "administrator",
    "approved",
    [],
    ["chat", "embeddings", "manage", "administer"],
    ["0.0.0.0/0", "::/0"],
    [right.value for right in Right],
]
UNDECLARED: dict[str, Any] = {
    "role": "owner",
    "status": "approved",
    "is_staff": True,
    "is_superuser": True,
    "is_administrator": True,
    "is_narrowed": False,
    "scopes": ["administer"],
    "networks": [],
    "requests_per_minute": MUCH,
    "tokens_per_minute": MUCH,
    "expires_at": FAR,
    "ends_at": FAR,
    "revoked_at": None,
    "disabled_at": None,
    "holder": "x",
    "person_id": "x",
    "team_id": "x",
    "grant": "x",
    "created_by": "x",
    "acts_in_team_id": None,
}
# A field that the accepted body does without, and that the greedy bodies hold.
LEFT_OUT = ...


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    fields: frozenset[str]

    def reads(self, body: dict[str, Any], path: str) -> bool:
        """Whether the body gets past the operation's form, to what decides by who asks; without a form none does."""
        view = getattr(resolve(path).func, "cls")  # noqa: B009 - DRF's own.
        form = getattr(view, self.method).contract.takes
        return not body if form is None else bool(form(data=body).is_valid())


def changing_operations(*, are_administrators: bool) -> list[Operation]:
    """Every operation that changes something, of the administrators' part or of the others."""
    document = json.loads(written_document())
    schemas = document["components"]["schemas"]
    found = []
    for path, item in document["paths"].items():
        for method, told in item.items():
            is_there = path.startswith("/api/v1/") and ("/admin/" in path) == are_administrators
            if method == "get" or not is_there:
                continue
            content = told.get("requestBody", {}).get("content", {})
            ref = content.get("application/json", {}).get("schema", {}).get("$ref", "")
            fields = schemas[ref.rpartition("/")[2]]["properties"] if ref else {}
            found.append(Operation(told["operationId"], method, path, frozenset(fields)))
    return found


def filled(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [filled(one, values) for one in value]
    if isinstance(value, str) and value.startswith("{"):
        return values[value[1:-1]]
    return value


def greedy_bodies(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The body, and every body in which one member is what somebody would write who wants more."""
    taken = accepted(body)
    yield taken
    for name in body:
        yield {other: value for other, value in taken.items() if other != name}
        for value in GREEDY:
            yield taken | {name: value}
    undeclared = {name: value for name, value in UNDECLARED.items() if name not in body}
    yield taken | undeclared
    yield from (taken | {name: value} for name, value in undeclared.items())


def accepted(body: dict[str, Any]) -> dict[str, Any]:
    """The body as whoever may has it accepted."""
    return {name: value for name, value in body.items() if value is not LEFT_OUT}
