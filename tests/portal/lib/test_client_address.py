"""R10: no header that a caller writes changes who the caller is."""

import ipaddress
from io import BytesIO

import pytest
from django.core.handlers.asgi import ASGIRequest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from portal.lib.client_address import parse_address, true_peer, within
from portal.lib.page_peer import page_peer

ALLOWED = "10.1.2.3"  # an address that a key's list names
CALLER = "203.0.113.9"  # where the caller really is
PROXY = "172.16.0.1"  # our proxy, which appends the peer it sees

Header = tuple[str, str]
FOR = "X-Forwarded-For"

# (hops, connection, headers as they arrive, the peer)
CASES: dict[str, tuple[int, str, list[Header], str]] = {
    "no proxy, no header": (0, CALLER, [], CALLER),
    "no proxy, forged": (0, CALLER, [(FOR, ALLOWED)], CALLER),
    "no proxy, forged twice": (0, CALLER, [(FOR, ALLOWED), (FOR, ALLOWED)], CALLER),
    "no proxy, forged list": (0, CALLER, [(FOR, f"{ALLOWED}, {ALLOWED}")], CALLER),
    "no proxy, Forwarded": (0, CALLER, [("Forwarded", f"for={ALLOWED}")], CALLER),
    "no proxy, X-Real-IP": (0, CALLER, [("X-Real-IP", ALLOWED)], CALLER),
    "no proxy, True-Client-IP": (0, CALLER, [("True-Client-IP", ALLOWED)], CALLER),
    "no proxy, CF-Connecting-IP": (0, CALLER, [("CF-Connecting-IP", ALLOWED)], CALLER),
    "no proxy, X-Client-IP": (0, CALLER, [("X-Client-IP", ALLOWED)], CALLER),
    "no proxy, X-Cluster-Client-IP": (0, CALLER, [("X-Cluster-Client-IP", ALLOWED)], CALLER),
    "no proxy, underscores": (0, CALLER, [("X_Forwarded_For", ALLOWED)], CALLER),
    "no proxy, Remote-Addr": (0, CALLER, [("Remote-Addr", ALLOWED)], CALLER),
    "no proxy, mapped connection": (0, f"::ffff:{CALLER}", [], CALLER),
    "no proxy, mapped in hexadecimal": (0, "::ffff:cb00:7109", [], CALLER),
    "no proxy, IPv6": (0, "2001:db8::9", [(FOR, ALLOWED)], "2001:db8::9"),
    "no proxy, IPv6 of one link": (0, "fe80::1%eth0", [], "fe80::1"),
    "no proxy, a socket file": (0, "", [(FOR, ALLOWED)], ""),
    "one proxy": (1, PROXY, [(FOR, CALLER)], CALLER),
    "one proxy, forged left": (1, PROXY, [(FOR, f"{ALLOWED}, {CALLER}")], CALLER),
    "one proxy, forged often": (1, PROXY, [(FOR, f"{ALLOWED}," * 50 + CALLER)], CALLER),
    "one proxy, forged header first": (1, PROXY, [(FOR, ALLOWED), (FOR, CALLER)], CALLER),
    "one proxy, no spaces": (1, PROXY, [(FOR, f"{ALLOWED},{CALLER}")], CALLER),
    "one proxy, tabs": (1, PROXY, [(FOR, f"{ALLOWED}\t,\t{CALLER}\t")], CALLER),
    "one proxy, Forwarded": (1, PROXY, [("Forwarded", f"for={ALLOWED}"), (FOR, CALLER)], CALLER),
    "one proxy, X-Real-IP": (1, PROXY, [("X-Real-IP", ALLOWED), (FOR, CALLER)], CALLER),
    "one proxy, underscores": (1, PROXY, [(FOR, CALLER), ("X_Forwarded_For", ALLOWED)], CALLER),
    "one proxy, other case": (1, PROXY, [("x-FORWARDED-for", f"{ALLOWED},{CALLER}")], CALLER),
    "one proxy, passed by": (1, CALLER, [], ""),
    "one proxy, only X-Real-IP": (1, CALLER, [("X-Real-IP", ALLOWED)], ""),
    "one proxy, only Forwarded": (1, CALLER, [("Forwarded", f"for={ALLOWED}")], ""),
    "one proxy, empty": (1, PROXY, [(FOR, "")], ""),
    "one proxy, empty last entry": (1, PROXY, [(FOR, f"{ALLOWED},")], ""),
    "one proxy, name": (1, PROXY, [(FOR, f"{ALLOWED}, unknown")], ""),
    "one proxy, with a port": (1, PROXY, [(FOR, f"{ALLOWED}, {CALLER}:443")], ""),
    "one proxy, mapped": (1, PROXY, [(FOR, f"{ALLOWED}, ::ffff:{CALLER}")], CALLER),
    "one proxy, bracketed": (1, PROXY, [(FOR, "[2001:db8::9]")], "2001:db8::9"),
    "one proxy, octal": (1, PROXY, [(FOR, "012.1.2.3")], ""),
    "one proxy, decimal": (1, PROXY, [(FOR, "167838211")], ""),
    "one proxy, short": (1, PROXY, [(FOR, "10.515")], ""),
    "two proxies": (2, PROXY, [(FOR, f"{ALLOWED}, {CALLER}, 172.16.0.2")], CALLER),
    "two proxies, two headers": (2, PROXY, [(FOR, f"{ALLOWED}, {CALLER}"), (FOR, PROXY)], CALLER),
    "two proxies, one passed by": (2, PROXY, [(FOR, CALLER)], ""),
    "three proxies, forged short": (3, PROXY, [(FOR, f"{CALLER}, 172.16.0.2")], ""),
}
LIST = [ipaddress.ip_network(f"{ALLOWED}/32")]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_peer_is_the_one_that_trusted_proxies_saw(
    case: tuple[int, str, list[Header], str], settings: Settings
) -> None:
    hops, connection, headers, peer = case
    values = [value for name, value in headers if name.lower() == FOR.lower()]
    seen = true_peer(connection, values, trusted_hops=hops)
    assert seen == peer
    assert not within(seen, LIST)

    settings.LATCHKEY_TRUSTED_HOPS = hops
    assert page_peer(_request(connection, headers)) == peer


def test_table_has_the_forty_cases() -> None:
    assert len(CASES) >= 40


def test_caller_at_a_listed_address_is_let_in() -> None:
    assert within(true_peer(ALLOWED, [], trusted_hops=0), LIST)
    assert within(true_peer(PROXY, [ALLOWED], trusted_hops=1), LIST)
    assert within(true_peer(f"::ffff:{ALLOWED}", [], trusted_hops=0), LIST)


@pytest.mark.parametrize(
    "peer", ["", "unknown", "10.1.2.4", "::a01:203", "2002:a01:203::", "64:ff9b::a01:203"]
)
def test_peer_that_only_resembles_a_listed_one_is_not_let_in(peer: str) -> None:
    assert not within(peer, LIST)
    assert not within(peer, [ipaddress.ip_network("0.0.0.0/0")]) or "." in peer


@given(st.text())
def test_any_text_is_an_address_or_none(text: str) -> None:
    address = parse_address(text)
    assert address is None or len(str(address)) <= 39


@given(
    forged=st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), max_size=5),
    hops=st.integers(1, 3),
)
def test_nothing_left_of_the_trusted_entries_matters(forged: list[str], hops: int) -> None:
    trusted = ", ".join([CALLER] + [PROXY] * (hops - 1))
    assert true_peer(PROXY, [*forged, trusted], trusted_hops=hops) == CALLER
    assert true_peer(PROXY, [",".join([*forged, trusted])], trusted_hops=hops) == CALLER


def _request(connection: str, headers: list[Header]) -> ASGIRequest:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": (connection, 50000),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    return ASGIRequest(scope, BytesIO())
