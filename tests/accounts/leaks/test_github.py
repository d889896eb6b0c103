"""GitHub's partner protocol: what is signed by its keys is believed, and nothing else is read."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.credential import make_credential
from accounts.leaks.endpoint import BODY_MAX_BYTES
from accounts.leaks.github import fetch_keys, is_signed, read_keys
from accounts.models import ApiKey, AuditEntry, Leak, ReporterKey
from accounts.models.audit import AuditTag
from accounts.tasks import fetch_github_keys
from accounts.writes.leaks import replace_reporter_keys
from portal.lib.networks import NetworkPolicy
from portal.lib.origin import https_url
from tests.accounts.leaks.github import ADDRESS, PLACE, TYPE, GitHub, labels, match
from tests.accounts.rows import new_key

pytestmark = pytest.mark.django_db
KEYS_URL = "https://api.github.test/meta/public_keys/secret_scanning"
# As GitHub publishes them for whoever writes a partner's service, made by their own implementation.
PUBLISHED_PEM = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP
HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==
-----END PUBLIC KEY-----
"""
PUBLISHED_IDENTIFIER = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d"
PUBLISHED_SIGNATURE = "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY="
PUBLISHED_BODY = (
    b'[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]'
)


@pytest.fixture(autouse=True)
def is_on(settings: Settings) -> None:
    settings.LATCHKEY_GITHUB_KEYS_URL = KEYS_URL


@pytest.fixture
def github() -> GitHub:
    return GitHub().make_known()


def test_report_that_github_published_is_believed_and_no_other_body_under_its_signature() -> None:
    replace_reporter_keys({PUBLISHED_IDENTIFIER: PUBLISHED_PEM}, actor=COMMAND)
    reply = GitHub().send(
        PUBLISHED_BODY,
        Github_Public_Key_Identifier=PUBLISHED_IDENTIFIER,
        Github_Public_Key_Signature=PUBLISHED_SIGNATURE,
    )
    assert json.loads(reply.content) == [
        {
            "token_hash": hashlib.sha256(b"some_token").hexdigest(),
            "token_type": "some_type",
            "label": "false_positive",
        }
    ]
    for other in (PUBLISHED_BODY + b" ", PUBLISHED_BODY[:-1], b""):
        assert not is_signed(other, identifier=PUBLISHED_IDENTIFIER, signature=PUBLISHED_SIGNATURE)


def test_each_token_is_answered_and_none_is_repeated(github: GitHub) -> None:
    issued, unknown = new_key(), make_credential().text
    wrong = issued.text[:-6] + "000000"
    reply = github.report(*map(match, (issued.text, unknown, wrong, "junk")))
    assert labels(reply) == ["true_positive", *["false_positive"] * 3]
    told = json.loads(reply.content)
    assert [one["token_hash"] for one in told] == [
        hashlib.sha256(one.encode()).hexdigest() for one in (issued.text, unknown, wrong, "junk")
    ]
    assert {one["token_type"] for one in told} == {TYPE}
    assert issued.text not in reply.content.decode()
    assert reply["Cache-Control"] == "no-store"
    assert Leak.objects.filter(key=issued.key).count() == 1
    key = ApiKey.objects.get(pk=issued.key.pk)
    assert key.revoked_at is not None


def test_text_that_is_none_costs_the_other_matches_nothing(github: GitHub) -> None:
    issued = new_key()
    reply = github.report(match("lk_\ud800"), match(issued.text))
    assert labels(reply) == ["false_positive", "true_positive"]
    assert ApiKey.objects.get(pk=issued.key.pk).revoked_at is not None


def refusals(github: GitHub, body: bytes) -> dict[str, dict[str, str]]:
    right = github.signature(body)
    other = GitHub()
    return {
        "no signature": {"Github_Public_Key_Signature": ""},
        "no identifier": {"Github_Public_Key_Identifier": ""},
        "an unknown key": {"Github_Public_Key_Identifier": other.identifier},
        "another's signature": {"Github_Public_Key_Signature": other.signature(body)},
        "a signature of something else": {"Github_Public_Key_Signature": github.signature(b"[]")},
        "no base64": {"Github_Public_Key_Signature": "%%%"},
        "no DER": {"Github_Public_Key_Signature": base64.b64encode(b"junk").decode()},
        "base64 with junk": {"Github_Public_Key_Signature": f"{right[:8]} {right[8:]}"},
        "a long signature": {"Github_Public_Key_Signature": "A" * 401},
        "a long identifier": {"Github_Public_Key_Identifier": "a" * 201},
    }


def test_what_is_not_signed_is_refused_in_the_same_words_and_does_nothing(github: GitHub) -> None:
    issued = new_key()
    body = json.dumps([match(issued.text)]).encode()
    said = set()
    for name, headers in refusals(github, body).items():
        reply = github.send(body, **headers)
        assert reply.status_code == 401, name
        said.add(reply.content)
    assert len(said) == 1
    assert not Leak.objects.filter(key=issued.key).exists()
    assert ApiKey.objects.get(pk=issued.key.pk).revoked_at is None
    assert labels(github.send(body)) == ["true_positive"]


UNREADABLE: dict[str, bytes] = {
    "no JSON": b"[",
    "an object": json.dumps(match("x")).encode(),
    "not UTF-8": b'[{"token": "\xff"}]',
    "a member twice": b'[{"token": "a", "token": "b", "type": "t"}]',
    "a text": b'["a"]',
    "no token": b'[{"type": "t"}]',
    "an empty token": b'[{"token": "", "type": "t"}]',
    "a token that is no text": b'[{"token": 1, "type": "t"}]',
    "a long token": json.dumps([match("x" * 4_001)]).encode(),
    "no type": b'[{"token": "t"}]',
    "a place that is no text": json.dumps([match("x", url=[])]).encode(),
    "too deep": b"[" * 100_000,
    "too many": json.dumps([match("x")] * 1_001).encode(),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_signed_body_that_is_no_report_is_refused(github: GitHub, name: str) -> None:
    assert github.send(UNREADABLE[name]).status_code == 400
    assert labels(github.send(b"[]")) == []
    assert labels(github.send(json.dumps([{"token": "t", "type": "x"}]).encode())) == [
        "false_positive"
    ]


def test_body_is_bounded_and_plain_before_it_is_read(github: GitHub) -> None:
    assert github.send(b"[]" + b" " * BODY_MAX_BYTES).status_code == 413
    assert github.send(b"[]", content_type="text/plain").status_code == 415
    assert github.send(b"[]", Content_Encoding="gzip").status_code == 415
    assert Client().get(ADDRESS).status_code == 405


def test_it_is_not_there_until_a_setting_says_whose_signatures(
    github: GitHub, settings: Settings
) -> None:
    issued = new_key()
    settings.LATCHKEY_GITHUB_KEYS_URL = ""
    assert github.report(match(issued.text)).status_code == 404
    assert Client().get(ADDRESS).status_code == 404
    assert not fetch_keys()
    settings.LATCHKEY_GITHUB_KEYS_URL = KEYS_URL
    assert github.report(match(issued.text)).status_code == 200


def test_unsigned_reports_of_one_address_are_bounded(github: GitHub) -> None:
    cache.clear()
    said = [
        Client().post(ADDRESS, b"[]", "application/json", REMOTE_ADDR="198.51.100.77").status_code
        for _ in range(32)
    ]
    assert said[:30] == [401] * 30
    assert said[31] == 429
    assert labels(github.send(b"[]")) == []


class Keys(BaseHTTPRequestHandler):
    """Answers whatever the test put there."""

    answer: bytes = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(type(self).answer)

    def log_message(self, *_: object) -> None:
        """Nothing of it is wanted in the tests' output."""


@pytest.fixture
def keys_url(settings: Settings) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.LATCHKEY_GITHUB_KEYS_URL = f"http://127.0.0.1:{server.server_port}/keys"
    yield settings.LATCHKEY_GITHUB_KEYS_URL
    server.shutdown()
    server.server_close()


def test_task_fetches_the_keys_and_keeps_those_it_knows_where_the_answer_is_none(
    keys_url: str,
) -> None:
    old, new = GitHub(), GitHub()
    Keys.answer = json.dumps(old.document).encode()
    fetch_github_keys()
    assert labels(old.report(match("x"))) == ["false_positive"]
    [entry] = AuditEntry.objects.filter(tag=AuditTag.LEAK_REPORTER_KEYS_REPLACED)
    assert entry.facts == {"old_key_ids": [], "key_ids": [old.identifier]}
    assert not fetch_keys()

    for useless in (b"", b"{}", b'{"public_keys": []}', b"x" * 70_000, b'{"public_keys": [1]}'):
        Keys.answer = useless
        assert not fetch_keys()
    assert labels(old.report(match("x"))) == ["false_positive"]

    Keys.answer = json.dumps(new.document).encode()
    assert fetch_keys()
    assert old.report(match("x")).status_code == 401
    assert labels(new.report(match("x"))) == ["false_positive"]


def test_keys_are_fetched_within_the_networks_of_the_setting_alone(
    keys_url: str, settings: Settings
) -> None:
    Keys.answer = json.dumps(GitHub().document).encode()
    settings.LATCHKEY_ISSUER_NETWORKS = NetworkPolicy.parse("public")
    assert not fetch_keys()
    assert not ReporterKey.objects.exists()
    settings.LATCHKEY_ISSUER_NETWORKS = NetworkPolicy.parse("127.0.0.0/8")
    assert fetch_keys()


def pem_on(curve: ec.EllipticCurve) -> str:
    public = ec.generate_private_key(curve).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def listed(**changed: Any) -> dict[str, Any]:
    return {"public_keys": [GitHub().document["public_keys"][0] | changed]}


def test_key_that_is_none_on_p256_is_refused() -> None:
    assert len(read_keys(json.dumps(listed()).encode())) == 1
    for unfit in (
        listed(key=pem_on(ec.SECP384R1())),
        listed(key="-----BEGIN PUBLIC KEY-----"),
        listed(key=1),
        listed(key_identifier=""),
        listed(key_identifier="x" * 201),
        {"public_keys": [GitHub().document["public_keys"][0]] * 51},
    ):
        with pytest.raises(ValueError, match=r"."):
            read_keys(json.dumps(unfit).encode())


def test_address_of_the_keys_is_one_over_tls() -> None:
    assert https_url("") == ""
    assert https_url(KEYS_URL) == KEYS_URL
    for unfit in ("http://api.github.test/keys", "api.github.test", "https://", "https://a b/"):
        with pytest.raises(ValueError, match=r"."):
            https_url(unfit)


def test_place_is_named_as_it_was_reported(github: GitHub) -> None:
    issued = new_key()
    github.report(match(issued.text))
    leak = Leak.objects.get(key=issued.key)
    assert (leak.place, leak.found_in, leak.reporter) == (PLACE, "content", "github")
