"""A provider is tested before it is saved, by the networks that the settings allow; its credential never comes back."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.models import AuditEntry
from models_registry.models import Provider
from models_registry.writes.providers import open_credential
from portal.lib.networks import NetworkPolicy
from tests.accounts.rows import new_name
from tests.models_registry.rows import CREDENTIAL, new_provider
from tests.portal.lib.test_checked_http import serve

pytestmark = pytest.mark.django_db
ADD = "/admin/models_registry/provider/add/"
BODY = json.dumps({"data": [{"id": "m"}]}).encode()
MODELS = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(BODY) + BODY


def act(provider: Provider, name: str) -> str:
    return reverse("admin:models_registry_provider_act", args=[provider.pk, name])


def values(base_url: str, **changes: Any) -> dict[str, Any]:
    return {"name": new_name("p"), "base_url": base_url, "credential": CREDENTIAL} | changes


def test_provider_that_answers_is_saved(administrator: Client) -> None:
    with serve(MODELS) as server:
        sent = values(f"http://127.0.0.1:{server.port}/v1")
        assert administrator.post(ADD, sent).status_code == 302
    assert len(server.heads) == 1
    assert f"Bearer {CREDENTIAL}".encode() in server.heads[0]
    provider = Provider.objects.get(name=sent["name"])
    assert open_credential(provider) == CREDENTIAL
    assert AuditEntry.objects.filter(subject_id=provider.pk, tag="provider.added").count() == 1


def test_provider_that_fails_is_not_saved_until_somebody_insists(administrator: Client) -> None:
    sent = values("http://127.0.0.1:9/v1")
    reply = administrator.post(ADD, sent)
    assert reply.status_code == 200
    text = reply.content.decode()
    assert "The test failed: it could not be reached" in text
    assert CREDENTIAL not in text
    assert not Provider.objects.filter(name=sent["name"]).exists()
    assert administrator.post(ADD, sent | {"save_anyway": "on"}).status_code == 302
    assert Provider.objects.filter(name=sent["name"]).exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://10.1.2.3/v1",
        "http://[fd00:ec2::254]/v1",
        "http://[::ffff:10.1.2.3]/v1",
        "http://100.100.100.200/",
        "http://192.168.0.1/v1",
    ],
)
def test_address_outside_the_networks_is_not_asked(administrator: Client, url: str) -> None:
    reply = administrator.post(ADD, values(url))
    assert reply.status_code == 200
    assert "LATCHKEY_PROVIDER_NETWORKS" in reply.content.decode()


def test_address_here_is_asked_only_where_the_networks_say_so(
    administrator: Client, settings: Settings
) -> None:
    settings.LATCHKEY_PROVIDER_NETWORKS = NetworkPolicy.parse("public")
    with serve(MODELS) as server:
        sent = values(f"http://127.0.0.1:{server.port}/v1")
        assert administrator.post(ADD, sent).status_code == 200
    assert not server.heads


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://user:hunter2@host/v1", "gopher://x", "http://127.1/", ""]
)
def test_address_that_is_none_is_refused_without_being_asked(
    administrator: Client, url: str
) -> None:
    reply = administrator.post(ADD, values(url, save_anyway="on"))
    assert reply.status_code == 200


def test_credential_stands_on_no_page_of_its_provider(administrator: Client) -> None:
    provider = new_provider()
    pages = [
        reverse("admin:models_registry_provider_change", args=[provider.pk]),
        reverse("admin:models_registry_provider_changelist"),
        act(provider, "change"),
        act(provider, "test"),
    ]
    sealed = bytes(provider.sealed_credential or b"")
    for page in pages:
        content = administrator.get(page).content
        assert CREDENTIAL.encode() not in content
        assert sealed.hex().encode() not in content
    refused = administrator.post(act(provider, "test"))
    assert refused.status_code == 200
    assert CREDENTIAL.encode() not in refused.content


def test_kept_credential_goes_to_its_own_server_alone(administrator: Client) -> None:
    provider = new_provider()
    with serve(MODELS) as server:
        elsewhere = {"base_url": f"http://127.0.0.1:{server.port}/v1"}
        for insists in ({}, {"save_anyway": "on"}):
            reply = administrator.post(act(provider, "change"), elsewhere | insists)
            assert reply.status_code == 200
            assert "another server" in reply.content.decode()
        assert not server.heads
        new = elsewhere | {"credential": "sk-another-0123456789"}
        assert administrator.post(act(provider, "change"), new).status_code == 302
        assert administrator.post(act(provider, "change"), elsewhere).status_code == 302
        assert administrator.post(act(provider, "test")).status_code == 302
    assert [b"sk-another-0123456789" in head for head in server.heads] == [True, True, True]
    provider.refresh_from_db()
    assert open_credential(provider) == "sk-another-0123456789"


def test_provider_goes_without_a_credential_when_that_is_said(administrator: Client) -> None:
    provider = new_provider()
    both = {"base_url": provider.base_url, "credential": "sk-x", "without_credential": "on"}
    assert administrator.post(act(provider, "change"), both).status_code == 200
    bare = {"base_url": provider.base_url, "without_credential": "on", "save_anyway": "on"}
    assert administrator.post(act(provider, "change"), bare).status_code == 302
    provider.refresh_from_db()
    assert provider.sealed_credential is None
