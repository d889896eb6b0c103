import json
from collections.abc import Iterator

import pytest

from models_registry.discovery import ProviderSilent, list_upstream_models
from portal.lib.networks import NetworkPolicy
from tests.demo.conftest import KEY, Upstream, run_upstream
from tests.portal.lib.test_checked_http import serve

HERE = NetworkPolicy.parse("127.0.0.0/8")


@pytest.fixture(scope="module")
def demonstration() -> Iterator[Upstream]:
    with run_upstream() as running:
        yield running


def test_demonstration_upstream_lists_its_models(demonstration: Upstream) -> None:
    for url in (demonstration.base_url, f"{demonstration.base_url}/"):
        found = list_upstream_models(url, credential=KEY, networks=HERE)
        assert found == ["demo-chat", "demo-embed"]


def test_wrong_credential_is_told_by_its_status_alone(demonstration: Upstream) -> None:
    with pytest.raises(ProviderSilent, match="answered 401") as silent:
        list_upstream_models(
            demonstration.base_url, credential="sk-wrong-0123456789", networks=HERE
        )
    assert "sk-wrong" not in str(silent.value)


def test_address_outside_the_networks_is_told_by_the_setting(demonstration: Upstream) -> None:
    with pytest.raises(ProviderSilent, match="LATCHKEY_PROVIDER_NETWORKS"):
        list_upstream_models(
            demonstration.base_url, credential=KEY, networks=NetworkPolicy.parse("public")
        )


def test_server_that_is_not_there_is_told() -> None:
    with pytest.raises(ProviderSilent, match="could not be reached"):
        list_upstream_models("http://127.0.0.1:9/v1", credential="", networks=HERE)


NONSENSE = {
    "a page": b"<html></html>",
    "another object": b"{}",
    "a list": b"[]",
    "data is a text": b'{"data":"abc"}',
    "data is nothing": b'{"data":null}',
    "no id": b'{"data":[{"name":"x"}]}',
    "nested": b'{"data":' + b"[" * 200_000,
    "bytes": b"\xff\xfe\x00",
    "empty": b"",
}


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_told_as_no_list_of_models(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    with serve(head + body) as server, pytest.raises(ProviderSilent, match="not a list of models"):
        list_upstream_models(f"http://127.0.0.1:{server.port}", credential="", networks=HERE)


def test_names_that_a_terminal_would_obey_are_left_out() -> None:
    names = ["good", "\x1b[2Jbad", "bad\nline", "x" * 300, "\u202ebad"]
    body = json.dumps({"data": [{"id": name} for name in names]}).encode()
    with serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as server:
        found = list_upstream_models(
            f"http://127.0.0.1:{server.port}", credential="", networks=HERE
        )
    assert found == ["good", "x" * 200]
