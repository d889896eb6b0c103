from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django_ratelimit import core
from pytest_django.fixtures import Settings

from accounts.models import AuditEntry
from accounts.models.audit import AuditTag
from portal.lib.client_address import parse_address
from tests.accounts.rows import PASSWORD, new_name, new_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_earlier_tries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts begin anew, and no minute ends in the middle of a test."""
    monkeypatch.setattr(core, "time", SimpleNamespace(time=lambda: 1_800_000_000))
    cache.clear()
    yield
    cache.clear()


def sign_in(client: Client, email: str, password: str = PASSWORD, **extra: str) -> HttpResponse:
    reply = client.post("/sign-in/", {"username": email, "password": password}, **extra)  # type: ignore[arg-type]
    assert isinstance(reply, HttpResponse)
    return reply


def is_signed_in(client: Client) -> bool:
    return "Sign out" in client.get("/").content.decode()


def test_person_signs_in_with_an_entry_and_out_again(client: Client) -> None:
    person = new_person()
    assert sign_in(client, person.email)["Location"] == "/"
    assert is_signed_in(client)
    entry = AuditEntry.objects.get(tag=AuditTag.SIGNED_IN, subject_id=person.pk)
    assert entry.actor_id == person.pk
    assert client.get("/sign-out/").status_code == 405
    client.post("/sign-out/")
    assert not is_signed_in(client)


def test_address_signs_in_in_any_case(client: Client) -> None:
    assert sign_in(client, new_person().email.upper()).status_code == 302


@pytest.mark.parametrize("spoil", ["wrong password", "unknown", "inactive", "empty"])
def test_whoever_may_not_sign_in_reads_the_same_words(client: Client, spoil: str) -> None:
    person = new_person()
    if spoil == "inactive":
        person.is_active = False
        person.save()
    email = f"{new_name('nobody')}@latchkey.test" if spoil == "unknown" else person.email
    password = {"wrong password": "another passphrase", "empty": ""}.get(spoil, PASSWORD)
    reply = sign_in(client, email, password)
    assert reply.status_code == 200
    assert "do not match an account that may sign in" in reply.content.decode()
    assert PASSWORD not in reply.content.decode()
    assert not is_signed_in(client)
    assert not AuditEntry.objects.filter(tag=AuditTag.SIGNED_IN, subject_id=person.pk).exists()


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "javascript:alert(1)"])
def test_sign_in_leads_nowhere_else(client: Client, target: str) -> None:
    person = new_person()
    reply = client.post(
        "/sign-in/", {"username": person.email, "password": PASSWORD, "next": target}
    )
    assert reply["Location"] == "/"


def test_tries_at_one_address_are_throttled_whoever_asks(client: Client) -> None:
    person = new_person()
    for number in range(10):
        reply = sign_in(client, person.email, "wrong", REMOTE_ADDR=f"10.0.0.{number}")
        assert reply.status_code == 200
    wide = person.email.replace("p", "\uff50")
    for email in (person.email, f" {person.email.upper()} ", wide):
        reply = sign_in(client, email, REMOTE_ADDR="10.0.1.1")
        assert reply.status_code == 429
        assert reply["Retry-After"] == "60"
    assert not is_signed_in(client)
    assert sign_in(client, new_person().email, REMOTE_ADDR="10.0.1.1").status_code == 302


def test_tries_of_one_peer_are_throttled_at_any_address_and_with_any_header(client: Client) -> None:
    for number in range(30):
        reply = sign_in(
            client,
            f"{new_name('x')}@latchkey.test",
            "wrong",
            REMOTE_ADDR="10.0.0.1",
            HTTP_X_FORWARDED_FOR=f"192.0.2.{number}",
            HTTP_X_REAL_IP=f"192.0.2.{number}",
        )
        assert reply.status_code == 200
    person = new_person()
    mapped = str(parse_address("::ffff:10.0.0.1"))
    assert sign_in(client, person.email, REMOTE_ADDR=mapped).status_code == 429
    assert sign_in(client, person.email, REMOTE_ADDR="::ffff:10.0.0.1").status_code == 429
    assert sign_in(client, person.email, REMOTE_ADDR="10.0.0.2").status_code == 302


def test_nobody_signs_in_uncounted_while_the_store_is_away(
    client: Client, settings: Settings
) -> None:
    person = new_person()
    there = settings.CACHES
    backend = {"BACKEND": there["default"]["BACKEND"], "LOCATION": "redis://127.0.0.1:9/0"}
    settings.CACHES = {"default": backend}
    reply = sign_in(client, person.email)
    assert reply.status_code == 503
    assert "nothing is wrong with your password" in reply.content.decode()
    assert not is_signed_in(client)
    settings.CACHES = there
    assert sign_in(client, person.email).status_code == 302


def test_sign_in_without_a_token_against_forgery_is_refused() -> None:
    strict, person = Client(enforce_csrf_checks=True), new_person()
    assert sign_in(strict, person.email).status_code == 403
    token = strict.get("/sign-in/").cookies["csrftoken"].value
    assert sign_in(strict, person.email, HTTP_X_CSRFTOKEN=token).status_code == 302


def test_cookies_are_closed_to_scripts(client: Client) -> None:
    reply = sign_in(client, new_person().email)
    session = reply.cookies["sessionid"]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
