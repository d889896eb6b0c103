"""Keys are fetched from where the issuer says, within the networks of the settings, by TLS, bounded, and never on a call's path."""

import datetime
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import AuditEntry, IssuerFetch, TrustedIssuer
from accounts.models.audit import AuditTag
from accounts.models.workload import KeySource
from accounts.tasks import fetch_issuer_keys
from accounts.workload.examine import examine
from accounts.workload.jwks import JWKS_MAX_BYTES
from accounts.workload.refresh import due_issuers, fetch_again, want_keys
from accounts.writes.issuers import add_issuer, disable_issuer, find_keys
from portal.lib.clock import utc_now
from portal.lib.networks import NetworkPolicy
from tests.accounts.rows import REASON, new_account, new_name
from tests.accounts.workload.issuing import (
    AUDIENCE,
    EC_KEY,
    PUBLISHED,
    RSA_KEY,
    Issuing,
    jwk_of,
    jwks,
    new_issuer,
    new_rule,
)
from tests.certificates import server_context

pytestmark = pytest.mark.django_db


class Platform:
    """An issuer's server: what it answers at each path, and what it was asked."""

    def __init__(self, port: int, authority: str) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.authority = authority
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []

    def serves(self, path: str, body: Any, *, status: int = 200, **headers: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers[path] = (status, headers, text.encode())

    def publishes(self, keys: str = PUBLISHED) -> None:
        document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.serves("/.well-known/openid-configuration", document)
        self.serves("/keys", keys)

    def found(self, **changes: Any) -> list[dict[str, str]]:
        facts = {"key_source": KeySource.DISCOVERY, "certificate_authority": self.authority}
        return find_keys(self.url, **(facts | changes))

    def added(self) -> TrustedIssuer:
        return add_issuer(
            new_name("issuer"),
            issuer=self.url,
            key_source=KeySource.DISCOVERY,
            keys=self.found(),
            audiences=[AUDIENCE],
            certificate_authority=self.authority,
            actor=COMMAND,
        )


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    context, authority = server_context(tmp_path, name="127.0.0.1")
    found: list[Platform] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found[0].asked.append(self.path)
            status, headers, body = found[0].answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.append(Platform(server.server_address[1], authority.read_text()))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found[0]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def refused(platform: Platform, **changes: Any) -> str:
    with pytest.raises(ValidationError) as error:
        platform.found(**changes)
    return str(error.value.message_dict)


def test_keys_are_found_where_the_issuers_own_document_says(platform: Platform) -> None:
    platform.publishes()
    assert [key["kid"] for key in platform.found()] == ["rsa", "ec", "ed"]
    assert platform.asked == ["/.well-known/openid-configuration", "/keys"]


def test_keys_are_found_at_an_address_without_a_document(platform: Platform) -> None:
    platform.serves("/jwks", PUBLISHED)
    found = platform.found(key_source=KeySource.JWKS_URL, jwks_url=f"{platform.url}/jwks")
    assert len(found) == 3
    assert platform.asked == ["/jwks"]


def test_pasted_keys_are_read_without_asking_anybody(platform: Platform) -> None:
    assert len(platform.found(key_source=KeySource.PASTED, pasted_keys=PUBLISHED)) == 3
    assert platform.asked == []


def test_issuer_outside_the_networks_of_the_settings_is_not_connected_to(
    platform: Platform, settings: Settings
) -> None:
    platform.publishes()
    settings.LATCHKEY_ISSUER_NETWORKS = NetworkPolicy.parse("public")
    assert "LATCHKEY_ISSUER_NETWORKS" in refused(platform)
    assert platform.asked == []
    settings.LATCHKEY_ISSUER_NETWORKS = NetworkPolicy.parse("127.0.0.0/8")
    assert platform.found()


def test_issuer_that_another_authority_speaks_for_is_not_believed(
    platform: Platform, tmp_path: Path
) -> None:
    platform.publishes()
    (tmp_path / "other").mkdir()
    _, other = server_context(tmp_path / "other", name="127.0.0.1")
    for authority in ("", other.read_text()):
        assert "could not be reached" in refused(platform, certificate_authority=authority)
    assert platform.asked == []
    assert platform.found()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/keys", "https://u:p@127.0.0.1/", "https://2130706433/", "ftp://x", ""]
)
def test_address_without_tls_or_with_more_than_one_meaning_is_refused(
    platform: Platform, url: str
) -> None:
    assert "jwks_url" in refused(platform, key_source=KeySource.JWKS_URL, jwks_url=url)
    with pytest.raises(ValidationError):
        find_keys(url, key_source=KeySource.PASTED, pasted_keys=PUBLISHED)


def test_redirect_is_not_followed(platform: Platform) -> None:
    platform.publishes()
    platform.serves("/keys", "", status=302, Location=f"{platform.url}/elsewhere")
    platform.serves("/elsewhere", PUBLISHED)
    assert "could not be reached" in refused(platform)
    assert "/elsewhere" not in platform.asked


FAULTS: dict[str, tuple[str, Any]] = {
    "another issuer": ("/.well-known/openid-configuration", {"issuer": "https://x", "jwks_uri": "https://x"}),
    "keys without TLS": ("/.well-known/openid-configuration", {"issuer": ..., "jwks_uri": "http://127.0.0.1/k"}),
    "keys in a file": ("/.well-known/openid-configuration", {"issuer": ..., "jwks_uri": "file:///etc/passwd"}),
    "no document": ("/.well-known/openid-configuration", "<html>"),
    "a document too large": ("/.well-known/openid-configuration", "[" + "0," * 40_000 + "0]"),
    "a document nested deep": ("/.well-known/openid-configuration", "[" * 9000),
    "keys too large": ("/keys", " " * (JWKS_MAX_BYTES + 1)),
    "no keys": ("/keys", {"keys": []}),
    "keys no list": ("/keys", {"keys": {"kid": "rsa"}}),
    "shared secrets": ("/keys", {"keys": [{"kty": "oct", "kid": "rsa", "k": "AAAA"}]}),
    "keys for secrecy": ("/keys", jwks(jwk_of(RSA_KEY, "rsa", use="enc"))),
    "keys for signing": ("/keys", jwks(jwk_of(RSA_KEY, "rsa", key_ops=["sign"]))),
    "an unknown algorithm": ("/keys", jwks(jwk_of(RSA_KEY, "rsa", alg="RSA1_5"))),
    "a broken key": ("/keys", {"keys": [jwk_of(EC_KEY, "ec") | {"x": "AAAA"}]}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_answer_that_is_none_is_refused(platform: Platform, fault: tuple[str, Any]) -> None:
    platform.publishes()
    assert platform.found()
    path, body = fault
    if isinstance(body, dict):
        body = {name: platform.url if value is ... else value for name, value in body.items()}
    platform.serves(path, body)
    assert "issuer" in refused(platform)


def test_private_halves_that_stand_in_a_document_are_not_kept(platform: Platform) -> None:
    private = jwk_of(RSA_KEY, "rsa") | {"d": "secret", "p": "secret"}
    assert "secret" not in str(
        platform.found(key_source=KeySource.PASTED, pasted_keys=jwks(private))
    )


def test_token_with_an_unknown_key_is_accepted_once_the_task_has_fetched_it(
    platform: Platform,
) -> None:
    platform.publishes(jwks(jwk_of(EC_KEY, "ec")))
    account = new_account()
    issuer = platform.added()
    rule = new_rule(issuer, account)
    text = Issuing(issuer, account, rule, rule.subject).token()
    platform.publishes(PUBLISHED)
    platform.asked.clear()
    now = utc_now() + datetime.timedelta(minutes=2)
    assert examine(text, now=utc_now()).wants_keys
    assert want_keys(issuer.pk, now=now)
    assert platform.asked == []
    assert due_issuers(now=now) == [issuer.pk]
    assert fetch_again(issuer.pk, now=now)
    assert examine(text, now=utc_now()).rule == rule
    entry = AuditEntry.objects.get(tag=AuditTag.ISSUER_KEYS_REPLACED, subject_id=issuer.pk)
    assert entry.facts == {"old_key_ids": ["ec"], "key_ids": ["rsa", "ec", "ed"]}
    assert due_issuers(now=now) == []


def test_strangers_tokens_ask_for_keys_once_a_minute(platform: Platform) -> None:
    platform.publishes()
    issuer, now = platform.added(), utc_now()
    minute = datetime.timedelta(minutes=1)
    assert not want_keys(issuer.pk, now=now)  # They were fetched a moment ago.
    assert want_keys(issuer.pk, now=now + minute)
    assert not any(want_keys(issuer.pk, now=now + minute * 1.5) for _ in range(20))
    assert want_keys(issuer.pk, now=now + minute * 2)


def test_silent_issuer_keeps_the_keys_that_are_known_and_says_so(platform: Platform) -> None:
    platform.publishes()
    issuer, later = platform.added(), utc_now() + datetime.timedelta(hours=2)
    assert due_issuers(now=utc_now()) == []
    assert due_issuers(now=later) == [issuer.pk]
    platform.serves("/keys", "", status=500)
    assert not fetch_again(issuer.pk, now=later)
    issuer.refresh_from_db()
    assert len(issuer.keys) == 3
    assert IssuerFetch.objects.get(issuer=issuer).fault == "It answered 500."
    assert due_issuers(now=later) == []


def test_task_asks_nobody_for_pasted_keys_nor_a_disabled_issuer(platform: Platform) -> None:
    platform.publishes()
    issuer, pasted = platform.added(), new_issuer()
    IssuerFetch.objects.update(tried_at=None)
    assert due_issuers(now=utc_now()) == [issuer.pk]
    disable_issuer(issuer, actor=COMMAND, reason=REASON)
    platform.asked.clear()
    assert fetch_issuer_keys() == 0
    assert platform.asked == []
    assert not fetch_again(pasted.pk, now=utc_now())
