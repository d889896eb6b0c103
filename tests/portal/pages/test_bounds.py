"""The page of from where and when: it proposes what was seen and was not refused, and fills the form at a click."""

import ipaddress
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import ApiKey, ServiceAccount
from accounts.models.teams import Role
from portal.lib.clock import utc_now
from proxy.usage.seen_addresses import ALONE_MAX, grouped, seen_networks
from tests.accounts.rows import new_key, new_member
from tests.models_registry.rows import new_model
from tests.portal.lib.test_hours import WORK
from tests.proxy.ledger_rows import call_with


def call_from(key: ApiKey, peer: str, **facts: Any) -> None:
    call_with(key, new_model(), peer=peer, **facts)


@pytest.mark.django_db
def test_what_was_seen_fills_the_form_at_a_click_and_holds_once_it_is_saved() -> None:
    key = new_key().key
    account = key.service_account
    assert account is not None
    call_from(key, "198.51.100.7")
    call_from(key, "203.0.113.66", status="refused")
    call_from(new_key().key, "192.0.2.9")
    client = Client()
    client.force_login(new_member(key.team, Role.MANAGER))
    pages: dict[str, ApiKey | ServiceAccount] = {
        reverse("key-bounds", args=[key.pk]): key,
        reverse("service-account-bounds", args=[key.team.slug, account.pk]): account,
    }
    for page, subject in pages.items():
        assert [one.network for one in seen_networks(subject, now=utc_now())] == ["198.51.100.7/32"]
        plain = client.get(page).content.decode()
        assert "198.51.100.7/32</textarea>" not in plain
        assert "203.0.113.66" not in plain
        filled = client.get(page, {"networks": "seen"}).content.decode()
        assert "198.51.100.7/32</textarea>" in filled
        sent = {"networks": "198.51.100.7/32\n2001:db8::/32"} | WORK
        assert client.post(page, sent).status_code == 302
        subject.refresh_from_db()
        assert subject.networks == ["198.51.100.7/32", "2001:db8::/32"]
        assert subject.hours == WORK
        wrong = client.post(page, {"networks": "10.0.0.1/8"} | WORK | {"zone": "Mars"})
        assert wrong.status_code == 200
        assert "is no network" in wrong.content.decode()
        subject.refresh_from_db()
        assert subject.hours == WORK


def test_many_addresses_of_one_network_are_proposed_as_that() -> None:
    many = [f"198.51.100.{number}" for number in range(ALONE_MAX + 1)]
    six = [f"2001:db8:0:1::{number}" for number in range(1, ALONE_MAX + 2)]
    few = ["192.0.2.1", "192.0.2.2", "::ffff:192.0.2.1", "", "unknown"]
    assert [one.network for one in grouped([*many, *six, *few])] == [
        "198.51.100.0/24",
        "2001:db8:0:1::/64",
        "192.0.2.1/32",
        "192.0.2.2/32",
    ]


@given(st.lists(st.ip_addresses().map(str), max_size=30))
def test_every_address_that_was_seen_stands_in_a_proposed_network(peers: list[str]) -> None:
    networks = [ipaddress.ip_network(one.network) for one in grouped(peers)]
    for peer in peers:
        address = ipaddress.ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert any(mapped in network for network in networks)
