import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.lib.networks import AddressNotAllowed, NetworkPolicy

EVERYTHING = "0.0.0.0/0,::/0,public"


def allows(policy: str, address: str) -> bool:
    try:
        NetworkPolicy.parse(policy).check(ipaddress.ip_address(address))
    except AddressNotAllowed:
        return False
    return True


@pytest.mark.parametrize(
    ("policy", "address", "allowed"),
    [
        ("public", "93.184.216.34", True),
        ("public", "2606:4700::1111", True),
        ("public", "64:ff9b::5db8:d822", True),
        ("public", "10.0.0.1", False),
        ("public", "172.16.0.1", False),
        ("public", "192.168.1.1", False),
        ("public", "100.64.0.1", False),
        ("public", "127.0.0.1", False),
        ("public", "::1", False),
        ("public", "fd12::1", False),
        ("public", "192.0.2.1", False),
        ("public", "198.18.0.1", False),
        ("public", "2001:db8::1", False),
        ("public", "4000::1", False),
        ("public", "64:ff9b::a00:1", False),
        ("public", "64:ff9b:1::1", False),
        ("10.0.0.0/8", "10.0.0.1", True),
        ("10.0.0.0/8", "64:ff9b::a00:1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "93.184.216.34", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", False),
        ("10.0.0.0/8", "::a00:1", False),
        ("127.0.0.0/8,::1/128", "127.0.0.1", True),
        ("127.0.0.0/8,::1/128", "::1", True),
        ("fd12::/16", "fd12::1", True),
        (" public , 10.0.0.0/8 ,", "10.0.0.1", True),
        (" public , 10.0.0.0/8 ,", "93.184.216.34", True),
        ("", "93.184.216.34", False),
        ("", "10.0.0.1", False),
    ],
)
def test_the_policy_says(policy: str, address: str, *, allowed: bool) -> None:
    assert allows(policy, address) is allowed


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - an address to refuse.
        "0.1.2.3",
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:8.8.8.8",
        "::ffff:0:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::",
        "fe80::1",
        "fe80::1%eth0",
        "fd12::1%eth0",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "2001::1",
        "2002:7f00:1::",
    ],
)
def test_no_setting_opens(address: str) -> None:
    assert not allows(EVERYTHING, address)


@given(st.ip_addresses(v=4))
def test_ipv4_inside_ipv6_is_never_allowed_where_the_ipv4_is_not(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    for prefix in ("::", "::ffff:0:0", "::ffff:0:0:0"):
        inside = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number)
        if inside != ipaddress.IPv6Address("::1"):
            assert not allows(EVERYTHING, str(inside))
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + number)
    for policy in ("public", "10.0.0.0/8", EVERYTHING):
        assert allows(policy, str(translated)) is allows(policy, str(address))


@pytest.mark.parametrize(
    "text",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "private",
        "Public",
        "example.com",
        "10.0.0.0/8 public",
        "169.254.0.0/16",
        "169.254.169.254",
        "fe80::/10",
        "::ffff:10.0.0.0/104",
        "224.0.0.0/8",
    ],
)
def test_a_setting_that_could_not_work_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 - the text is the assertion.
        NetworkPolicy.parse(f"public,{text}")
    assert text in str(refusal.value)
