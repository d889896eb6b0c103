import secrets

import pytest
from django.conf import settings as django_settings
from django.core import serializers
from django.core.exceptions import ValidationError
from pytest_django.fixtures import Settings

from accounts.audit import COMMAND
from accounts.models import AuditEntry
from accounts.models.audit import AuditTag
from models_registry.models import Provider
from models_registry.writes.providers import add_provider, change_provider, open_credential
from portal.lib.crypto import SealBroken
from tests.accounts.rows import new_name
from tests.models_registry.rows import CREDENTIAL, new_provider

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:9/v1"


def test_credential_is_sealed_and_opens_again() -> None:
    provider = Provider.objects.get(pk=new_provider().pk)
    assert open_credential(provider) == CREDENTIAL
    assert provider.sealed_credential is not None
    assert CREDENTIAL.encode() not in bytes(provider.sealed_credential)
    assert CREDENTIAL not in serializers.serialize("json", [provider])


def test_provider_without_a_credential_opens_to_nothing() -> None:
    provider = new_provider(credential="")
    assert provider.sealed_credential is None
    assert open_credential(provider) == ""


def test_swapped_credentials_are_refused() -> None:
    one, other = new_provider(), new_provider("sk-another-0123456789")
    one.sealed_credential, other.sealed_credential = other.sealed_credential, one.sealed_credential
    for provider in (one, other):
        provider.save()
        with pytest.raises(SealBroken):
            open_credential(Provider.objects.get(pk=provider.pk))


def test_credential_survives_a_rotation_and_not_a_lost_key(settings: Settings) -> None:
    provider = new_provider()
    old = dict(django_settings.LATCHKEY_SEALING_KEYS)
    settings.LATCHKEY_SEALING_KEYS = {"s9": secrets.token_bytes(32)} | old
    assert open_credential(provider) == CREDENTIAL
    settings.LATCHKEY_SEALING_KEYS = {"s9": secrets.token_bytes(32)}
    with pytest.raises(SealBroken):
        open_credential(provider)


def test_changing_one_side_keeps_the_other() -> None:
    provider = new_provider()
    change_provider(provider, actor=COMMAND, base_url="http://127.0.0.1:9/v2/")
    provider.refresh_from_db()
    assert (provider.base_url, open_credential(provider)) == ("http://127.0.0.1:9/v2", CREDENTIAL)
    change_provider(provider, actor=COMMAND, credential="another")
    provider.refresh_from_db()
    assert (provider.base_url, open_credential(provider)) == ("http://127.0.0.1:9/v2", "another")
    change_provider(provider, actor=COMMAND, credential="")
    provider.refresh_from_db()
    assert open_credential(provider) == ""


@pytest.mark.parametrize(
    "elsewhere",
    ["http://127.0.0.1:10/v1", "https://127.0.0.1:9/v1", "http://127.0.0.2:9/v1", "http://x:9/v1"],
)
def test_kept_credential_never_moves_to_another_server(elsewhere: str) -> None:
    provider, bare = new_provider(), new_provider(credential="")
    with pytest.raises(ValidationError) as refused:
        change_provider(provider, actor=COMMAND, base_url=elsewhere)
    assert set(refused.value.message_dict) == {"credential"}
    provider.refresh_from_db()
    assert (provider.base_url, open_credential(provider)) == (URL, CREDENTIAL)
    change_provider(bare, actor=COMMAND, base_url=elsewhere)
    for credential in ("", "sk-of-the-new-server"):
        moved = new_provider()
        change_provider(moved, actor=COMMAND, base_url=elsewhere, credential=credential)
        moved.refresh_from_db()
        assert (moved.base_url, open_credential(moved)) == (elsewhere, credential)


def test_entries_say_what_changed_and_never_the_credential() -> None:
    provider = new_provider()
    change_provider(provider, actor=COMMAND, credential="another-secret")
    facts = dict(AuditEntry.objects.filter(subject_id=provider.pk).values_list("tag", "facts"))
    assert facts == {
        AuditTag.PROVIDER_ADDED: {"has_credential": True},
        AuditTag.PROVIDER_CHANGED: {"new_base_url": False, "new_credential": True},
    }


@pytest.mark.parametrize("credential", ["two words", "line\nbreak", "nul\x00", "ключ", " "])
def test_credential_that_no_header_can_carry_is_refused(credential: str) -> None:
    with pytest.raises(ValidationError, match="printable ASCII") as refused:
        add_provider(new_name("p"), base_url=URL, credential=credential, actor=COMMAND)
    assert credential.strip() == "" or credential not in str(refused.value)


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 61])
def test_name_that_is_no_slug_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        add_provider(name, base_url=URL, actor=COMMAND)


def test_name_is_taken_once() -> None:
    with pytest.raises(ValidationError):
        add_provider(new_provider().name, base_url=URL, actor=COMMAND)


@pytest.mark.parametrize("url", ["https://user:hunter2@host/v1", "http://127.1/v1?x=hunter2", ""])
def test_address_that_the_gateway_could_not_read_is_refused_without_being_repeated(
    url: str,
) -> None:
    for write in (
        lambda: add_provider(new_name("p"), base_url=url, actor=COMMAND),
        lambda: change_provider(new_provider(), base_url=url, actor=COMMAND),
    ):
        with pytest.raises(ValidationError) as refused:
            write()
        assert "base_url" in refused.value.message_dict
        assert "hunter2" not in str(refused.value)
