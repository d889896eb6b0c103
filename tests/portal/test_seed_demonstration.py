import io
import json
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import transaction

from accounts.audit import COMMAND
from accounts.credential import read_credential
from accounts.models import ApiKey, AuditEntry, Membership, Team, User
from accounts.writes.keys import revoke_key
from models_registry.models import AiModel, Deployment, Grant, Provider
from models_registry.writes.providers import open_credential
from portal.lib.clock import utc_now
from tests.proxy.loading import loaded

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:4444/v1"
KEY = "key-of-the-demonstration-upstream"
TABLES = (Team, User, Membership, ApiKey, Provider, AiModel, Deployment, Grant, AuditEntry)


@pytest.fixture(autouse=True)
def upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATCHKEY_DEMO_UPSTREAM_URL", URL)
    monkeypatch.setenv("DEMO_UPSTREAM_KEY", KEY)


def seed(path: Path) -> dict[str, Any]:
    out, err = io.StringIO(), io.StringIO()
    call_command("seed_demonstration", "--facts", str(path), stdout=out, stderr=err)
    facts: dict[str, Any] = json.loads(path.read_text())
    told = out.getvalue() + err.getvalue()
    for secret in (facts["api_key"], facts["admin"]["password"], facts["member"]["password"], KEY):
        assert secret not in told
    return facts


def key_of(facts: dict[str, Any]) -> ApiKey:
    credential = read_credential(facts["api_key"])
    assert credential is not None
    return ApiKey.objects.get(public_id=credential.public_id)


def counts() -> list[int]:
    return [table._default_manager.count() for table in TABLES]


def test_demonstration_is_whole_and_its_facts_are_private(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    facts = seed(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for who in ("admin", "member"):
        sign_in = facts[who]
        assert authenticate(username=sign_in["email"], password=sign_in["password"]) is not None
    assert key_of(facts).revoked_at is None
    for name in facts["models"].values():
        assert AiModel.objects.get(name=name).deployments.get().provider.is_demonstration
    assert list(tmp_path.iterdir()) == [path]


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    facts = seed(tmp_path / "facts.json")
    before = counts()
    assert seed(tmp_path / "facts.json") == facts
    assert counts() == before


def test_provider_follows_the_upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = seed(tmp_path / "facts.json")
    monkeypatch.setenv("LATCHKEY_DEMO_UPSTREAM_URL", "http://127.0.0.1:5555/v1")
    monkeypatch.setenv("DEMO_UPSTREAM_KEY", "another-key")
    path = tmp_path / "facts.json"
    call_command("seed_demonstration", "--facts", str(path), stdout=io.StringIO())
    assert json.loads(path.read_text()) == facts
    provider = Provider.objects.get(is_demonstration=True)
    assert provider.base_url == "http://127.0.0.1:5555/v1"
    assert open_credential(provider) == "another-key"


def test_killed_before_the_commit_it_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        lost = seed(tmp_path / "facts.json")
        raise KeyboardInterrupt
    assert not Provider.objects.filter(is_demonstration=True).exists()
    facts = seed(tmp_path / "facts.json")
    assert facts["api_key"] != lost["api_key"]
    assert key_of(facts).revoked_at is None


@pytest.mark.parametrize("left", [None, "", "{", "[]", "{}", '{"api_key": 7}'])
def test_lost_facts_are_made_again_and_the_lost_key_ends(tmp_path: Path, left: str | None) -> None:
    path = tmp_path / "facts.json"
    lost = seed(path)
    people = User.objects.count()
    path.unlink() if left is None else path.write_text(left)
    facts = seed(path)
    assert key_of(lost).revoked_at is not None
    assert key_of(facts).revoked_at is None
    assert (
        authenticate(username=facts["admin"]["email"], password=lost["admin"]["password"]) is None
    )
    assert authenticate(username=facts["admin"]["email"], password=facts["admin"]["password"])
    assert User.objects.count() == people


def test_facts_of_another_database_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    with pytest.raises(RuntimeError), transaction.atomic():
        foreign = seed(path)
        raise RuntimeError
    assert seed(tmp_path / "own.json")["api_key"] != foreign["api_key"]
    assert key_of(seed(path))


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=utc_now())


def revoke(key: ApiKey) -> None:
    revoke_key(key, actor=COMMAND, reason="It was found in a log.")


def lose_the_pepper(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(digest=secrets.token_bytes(32))


@pytest.mark.parametrize("spoil", [expire, revoke, lose_the_pepper])
def test_kept_key_that_would_be_refused_is_replaced(
    tmp_path: Path, spoil: Callable[[ApiKey], None]
) -> None:
    path = tmp_path / "facts.json"
    lost = seed(path)
    spoil(key_of(lost))
    facts = seed(path)
    assert facts["api_key"] != lost["api_key"]
    assert loaded(facts["api_key"]) is not None
    assert seed(path) == facts


@pytest.mark.parametrize("name", ["LATCHKEY_DEMO_UPSTREAM_URL", "DEMO_UPSTREAM_KEY"])
def test_missing_upstream_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(CommandError, match=name):
        call_command("seed_demonstration", "--facts", str(tmp_path / "facts.json"))
    assert list(tmp_path.iterdir()) == []
