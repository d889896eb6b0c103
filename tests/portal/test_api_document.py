"""The OpenAPI document and its page."""

import io
import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

from accounts.api.problems import ProblemCode
from accounts.models.keys import Scope
from tests.accounts.rows import new_member, new_person, new_team
from tests.asking_api import Asker, administrator, code_of, data_of, member_of, personal_key
from tests.services import ROOT

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, found)
        for path, item in document["paths"].items()
        for method, found in item.items()
        if method in METHODS
    ]


def test_document_is_valid_and_warns_of_nothing(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert len(operations(document)) > 20


def test_every_operation_is_named_told_of_and_refuses_in_one_form(document: dict[str, Any]) -> None:
    names = [found["operationId"] for _, _, found in operations(document)]
    assert len(names) == len(set(names))
    for path, method, found in operations(document):
        where = f"{method} {path}"
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", found["operationId"]), where
        assert found["summary"].endswith("."), where
        assert found["description"], where
        assert found["security"], where
        if path.startswith("/api/"):
            for status in ("400", "401", "403", "429", "503"):
                content = found["responses"][status]["content"]
                assert set(content) == {"application/problem+json"}, where


def test_every_group_has_its_place(document: dict[str, Any]) -> None:
    used = {tag for _, _, found in operations(document) for tag in found["tags"]}
    assert used == {tag["name"] for tag in document["tags"]}


def test_every_body_is_closed_to_what_is_not_declared(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, method, found in operations(document):
        if "requestBody" in found and path.startswith("/api/"):
            ref = found["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schemas[ref.rpartition("/")[2]]["additionalProperties"] is False, (path, method)


def test_document_says_which_texts_may_not_be_empty(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    needed = schemas["NewComment"]["properties"]["text"]
    free = schemas["NewProvider"]["properties"]["credential"]
    assert needed["minLength"] == 1
    assert "minLength" not in free
    for text, is_something in (("a", True), (" a\n", True), ("", False), (" \n", False)):
        assert bool(re.search(needed["pattern"], text)) == is_something
        assert re.search(free["pattern"], text)
    for one in (needed, free):
        assert not re.search(one["pattern"], "a\x00b")


def test_everything_that_changes_something_takes_an_idempotency_key(
    document: dict[str, Any],
) -> None:
    for path, method, found in operations(document):
        if path.startswith("/api/"):
            named = {one["name"] for one in found.get("parameters", ())}
            assert ("Idempotency-Key" in named) == (method != "get"), path


def test_document_is_for_everybody_who_may_ask(document: dict[str, Any]) -> None:
    team = new_team()
    for asker in (administrator(), member_of(team)):
        assert data_of(asker.get("openapi.json")) == document
    assert code_of(Asker().get("openapi.json")) == "missing_credential"
    chat = personal_key(new_member(team), team, Scope.CHAT)
    assert code_of(Asker(text=chat.text).get("openapi.json")) == "scope_missing"


def test_page_is_for_people_who_signed_in_and_needs_no_leave_for_inline_code(
    client: Client,
) -> None:
    assert client.get("/api/docs/").status_code == 302
    client.force_login(new_person())
    reply = client.get("/api/docs/")
    page = reply.content.decode()
    policy = reply["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "img-src 'self' data:" in policy
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"<script(?! src=)", page)
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    script = next(one for one in sources if "script=" in one)
    for source in sources:
        assert source in {script, "/"} or finders.find(source.removeprefix("/static/"))
    reply = client.get(script.replace("&amp;", "&"))
    assert reply["Content-Type"].startswith("application/javascript")
    assert "/api/v1/openapi.json" in reply.content.decode().replace("\\u002D", "-")
    assert client.get("/")["Content-Security-Policy"] != policy


def test_every_problem_is_explained() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [
        f"| `{code.code}` | {code.status} | {code.title} |"
        for code in ProblemCode
        if f"`{code.code}`" not in text
    ]
    assert not missing, "Add to docs/api.md:\n" + "\n".join(missing)
