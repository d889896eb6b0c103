"""The registry by the API: for administrators alone, and no credential comes out of it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from accounts.models import AuditEntry
from accounts.models.teams import Role
from models_registry.models import Grant, Provider
from models_registry.writes.providers import open_credential
from tests.accounts.rows import (
    REASON,
    new_account,
    new_key,
    new_member,
    new_name,
    new_team,
    tomorrow,
)
from tests.asking_api import Asker, administrator, code_of, data_of, fields_of, member_of
from tests.models_registry.rows import (
    CREDENTIAL,
    new_deployment,
    new_model,
    new_offer,
    new_provider,
)

pytestmark = pytest.mark.django_db


class Upstream(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == f"Bearer {CREDENTIAL}"
        body = json.dumps({"data": [{"id": "upstream-chat"}]}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name.
        """Say nothing."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def operations() -> list[tuple[str, str, Any]]:
    provider, model, team = new_provider(), new_model(), new_team()
    key = new_key(new_account(team)).key
    grant = Grant.objects.create(team=team, model=model, scopes=["chat"], ends_at=tomorrow())
    name = new_name("model")
    return [
        ("get", "admin/providers", None),
        (
            "post",
            "admin/providers",
            {"name": name, "base_url": "http://127.0.0.1:9/v1", "save_untested": True},
        ),
        ("get", f"admin/providers/{provider.pk}", None),
        ("patch", f"admin/providers/{provider.pk}", {"save_untested": True}),
        ("get", "admin/models", None),
        (
            "post",
            "admin/models",
            {"name": name, "kind": "chat", "context_tokens": 10, "max_output_tokens": 5},
        ),
        ("get", f"admin/models/{model.pk}", None),
        ("patch", f"admin/models/{model.pk}", {"description": "x"}),
        ("put", f"admin/models/{model.pk}/status", {"status": "published"}),
        ("patch", f"admin/deployments/{new_deployment().pk}", {"position": 3}),
        (
            "post",
            f"admin/models/{model.pk}/deployments",
            {"provider_id": str(provider.pk), "upstream_name": "u"},
        ),
        ("get", "admin/grants", None),
        (
            "post",
            "admin/grants",
            {
                "model": model.name,
                "team_id": str(team.pk),
                "scopes": ["chat"],
                "ends_at": tomorrow().isoformat(),
            },
        ),
        ("post", f"admin/grants/{grant.pk}/end", {"reason": REASON}),
        ("get", "admin/keys", None),
        ("post", f"admin/keys/{key.pk}/revoke", {"reason": REASON}),
    ]


def test_registry_is_for_administrators() -> None:
    team = new_team()
    chief = administrator()
    others = (member_of(team, Role.OWNER), Asker(person=new_member(team, Role.OWNER)))
    for method, path, body in operations():
        for other in others:
            assert other.ask(method, path, body).status_code == 403, path
        assert Asker().ask(method, path, body).status_code == 401, path
        reply = chief.ask(method, path, body)
        assert reply.status_code in {200, 201}, (path, reply.content)


def test_provider_is_tested_before_it_is_saved_and_its_credential_never_comes_out(
    upstream: str,
) -> None:
    chief, name = administrator(), new_name("provider")
    body = {"name": name, "base_url": upstream, "credential": "sk-wrong-0123456789"}
    reply = chief.post("admin/providers", body)
    assert code_of(reply) == "provider_silent"
    assert "401" in json.loads(reply.content)["detail"]
    assert not Provider.objects.filter(name=name).exists()
    body["credential"] = CREDENTIAL
    made = data_of(chief.post("admin/providers", body, Idempotency_Key="one"), 201)
    assert made["has_credential"] is True
    path = f"admin/providers/{made['id']}"
    assert data_of(chief.post(f"{path}/test"))["models"] == ["upstream-chat"]
    texts = [
        chief.get(path).content,
        chief.get("admin/providers").content,
        chief.post("admin/providers", body, Idempotency_Key="one").content,
        chief.get("admin/audit?limit=100").content,
        json.dumps(list(AuditEntry.objects.values_list("facts", flat=True))).encode(),
    ]
    assert not any(CREDENTIAL.encode() in text for text in texts)


def test_credential_never_goes_to_another_server_than_it_was_given_for(upstream: str) -> None:
    chief, provider = administrator(), new_provider()
    path = f"admin/providers/{provider.pk}"
    moved = {"base_url": "http://127.0.0.1:10/v1"}
    for body in (moved, moved | {"save_untested": True}):
        assert fields_of(chief.patch(path, body)) == {"credential"}
    assert code_of(chief.patch(path, {"credential": "sk-other"})) == "provider_silent"
    provider.refresh_from_db()
    assert provider.base_url.endswith(":9/v1")
    assert open_credential(provider) == CREDENTIAL
    body = {"base_url": upstream, "credential": CREDENTIAL}
    assert data_of(chief.patch(path, body))["base_url"] == upstream


@pytest.mark.parametrize(
    "base_url",
    [
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/v1",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433:1/",
        "ftp://127.0.0.1/",
        "not a URL",
    ],
)
def test_provider_stands_where_settings_allow(base_url: str) -> None:
    reply = administrator().post("admin/providers", {"name": "x", "base_url": base_url})
    assert reply.status_code in {400, 422}
    assert "secret" not in reply.content.decode()
    assert not Provider.objects.filter(name="x").exists()


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "../x"}, "name"),
        ({"kind": "video"}, "kind"),
        ({"context_tokens": 0}, "context_tokens"),
        ({"context_tokens": 2**31}, "context_tokens"),
        ({"context_tokens": 1.5}, "context_tokens"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"price_input": -1}, "price_input"),
        ({"price_input": 2**63}, "price_input"),
        ({"price_reasoning": True}, "price_reasoning"),
        ({"price_audio_input": -1}, "price_audio_input"),
        ({"price_audio_output": 2**63}, "price_audio_output"),
        ({"tokens_per_byte": 0}, "tokens_per_byte"),
        ({"owner_id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"}, "owner_id"),
        ({"status": "published"}, "status"),
        ({"id": "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071"}, "id"),
    ],
)
def test_models_facts_are_checked(facts: dict[str, Any], field: str) -> None:
    chief = administrator()
    body = {"name": new_name("m"), "kind": "chat", "context_tokens": 10, "max_output_tokens": 5}
    assert fields_of(chief.post("admin/models", body | facts)) == {field}
    assert chief.post("admin/models", body).status_code == 201


def test_model_lives_from_draft_to_retired() -> None:
    chief, model, provider = administrator(), new_model(), new_provider()
    path = f"admin/models/{model.pk}"
    body = {"provider_id": str(provider.pk), "upstream_name": "u"}
    deployed = data_of(chief.post(f"{path}/deployments", body), 201)
    assert chief.post(f"{path}/deployments", body).status_code == 400
    assert data_of(chief.get(path))["deployments"] == [deployed]
    changed = data_of(chief.patch(f"admin/deployments/{deployed['id']}", {"enabled": False}))
    assert changed == deployed | {"enabled": False}
    assert data_of(chief.patch(path, {"price_output": 7}))["price_output"] == 7
    for price in (5, None):
        assert data_of(chief.patch(path, {"price_reasoning": price}))["price_reasoning"] == price
    assert data_of(chief.get(path))["context_tokens"] == model.context_tokens
    for member in ("name", "kind", "status", "id", "created_at"):
        assert fields_of(chief.patch(path, {member: "x"})) == {member}
    for status in ("published", "deprecated", "retired"):
        assert data_of(chief.put(f"{path}/status", {"status": status}))["status"] == status
    assert fields_of(chief.put(f"{path}/status", {"status": "published"})) == {"status"}


def test_grant_is_for_one_and_ends() -> None:
    chief, team, model = administrator(), new_team(), new_offer()
    account = new_account(team)
    body = {"model": model.name, "scopes": ["chat"], "ends_at": tomorrow().isoformat()}
    ids = {"team_id": str(team.pk), "service_account_id": str(account.pk)}
    assert fields_of(chief.post("admin/grants", body)) == {"team_id"}
    assert fields_of(chief.post("admin/grants", body | ids)) == {"team_id"}
    assert fields_of(chief.post("admin/grants", body | {"model": "no", **ids})) == {"team_id"}
    for name, value in ids.items():
        made = data_of(chief.post("admin/grants", body | {name: value}), 201)
        assert made[name] == value
        ended = data_of(chief.post(f"admin/grants/{made['id']}/end", {"reason": REASON}))
        assert ended["ends_at"] < made["ends_at"]
    found = data_of(chief.get(f"admin/grants?team_id={team.pk}&model={model.name}"))["data"]
    assert len(found) == 2


def test_any_key_is_found_by_its_public_id_and_revoked() -> None:
    chief, issued = administrator(), new_key()
    found = data_of(chief.get(f"admin/keys?public_id={issued.key.public_id}"))["data"]
    assert [row["id"] for row in found] == [str(issued.key.pk)]
    assert issued.text not in json.dumps(found)
    reply = chief.post(f"admin/keys/{issued.key.pk}/revoke", {"reason": REASON})
    assert data_of(reply)["revoked_at"]
