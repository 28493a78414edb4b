"""Which reverse zones there are, and what an address is called in its own."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configs.zone_reverse import Homes, nibbles, reverses

ARPA4, ARPA6 = ".in-addr.arpa", ".ip6.arpa"


def names(*subnets: str, delegation: bool = False) -> list[str]:
    """Return the names of the reverse zones of subnets, without what all end in."""
    found = reverses((ip_network(subnet), delegation) for subnet in subnets)
    return [zone.name.removesuffix(ARPA4).removesuffix(ARPA6) for zone in found]


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [
        ("10.1.0.0/24", ["0.1.10"]),
        ("10.1.0.128/25", ["0.1.10"]),
        ("10.1.2.3/32", ["2.1.10"]),
        ("10.1.0.0/23", ["0.1.10", "1.1.10"]),
        ("10.1.4.0/22", ["4.1.10", "5.1.10", "6.1.10", "7.1.10"]),
        ("10.1.0.0/16", ["1.10"]),
        ("172.16.0.0/15", ["16.172", "17.172"]),
        ("10.0.0.0/8", ["10"]),
        ("8.0.0.0/6", ["8", "9", "10", "11"]),
        ("fd00:1::/64", ["0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f"]),
        ("fd00:1::/48", ["0.0.0.0.1.0.0.0.0.0.d.f"]),
        ("fd00:1::/47", ["0.0.0.0.1.0.0.0.0.0.d.f", "1.0.0.0.1.0.0.0.0.0.d.f"]),
        ("fd00::/8", ["d.f"]),
        ("2001:db8::20/126", ["2" + ".0" * 22 + ".8.b.d.0.1.0.0.2"]),
        ("2001:db8::20/124", ["2" + ".0" * 22 + ".8.b.d.0.1.0.0.2"]),
    ],
)
def test_reverse_zones_end_at_octets_and_nibbles(subnet: str, expected: list[str]) -> None:
    """A subnet is covered by zones that claim no more than the /24, or the last nibble, around it."""
    network = ip_network(subnet, strict=False)
    assert names(str(network)) == expected


@pytest.mark.parametrize(
    ("subnet", "expected"),
    [
        ("192.0.2.0/25", "0-25.2.0.192"),  # the networks of RFC 2317, section 4
        ("192.0.2.128/26", "128-26.2.0.192"),
        ("192.0.2.192/26", "192-26.2.0.192"),
        ("192.0.2.4/30", "4-30.2.0.192"),
        ("192.0.2.7/32", "7-32.2.0.192"),
        ("192.0.2.0/24", "2.0.192"),  # nothing to delegate
        ("10.0.0.0/8", "10"),
        ("fd00:1::/64", "0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f"),
    ],
)
def test_a_delegated_network_has_its_own_zone(subnet: str, expected: str) -> None:
    """Below /24 only; no name has a slash, for every zone's file is called like it."""
    assert names(subnet, delegation=True) == [expected]


def test_two_subnets_of_one_24_share_its_zone() -> None:
    """A zone is declared once."""
    assert names("10.1.0.0/25", "10.1.0.128/25", "10.1.1.0/26") == ["0.1.10", "1.1.10"]


def test_no_subnet_makes_more_zones_than_a_server_likes() -> None:
    """The worst cut, one bit behind an octet, makes 128 zones; for IPv6 it makes 8."""
    assert max(len(names(f"10.0.0.0/{length}")) for length in range(8, 33)) == 128
    assert max(len(names(f"fd00::/{length}")) for length in range(8, 129)) == 8


def pointer(address: IPv4Address | IPv6Address, zone_name: str, label: str) -> bool:
    """Whether a label in a zone is what resolvers ask for."""
    return f"{label}.{zone_name}" == address.reverse_pointer


@given(st.data())
def test_every_address_has_one_name(data: st.DataObject) -> None:
    """In whatever zone an address lies, label and zone together are the name that resolvers ask for."""
    if data.draw(st.booleans()):
        bits, version = 32, 4
        number = data.draw(st.integers(0, (1 << 32) - 1))
        length = data.draw(st.integers(8, 32))
        subnet: IPv4Network | IPv6Network = IPv4Network((number, length), strict=False)
    else:
        bits, version = 128, 6
        number = data.draw(st.integers(0, (1 << 128) - 1))
        length = data.draw(st.integers(8, 128))
        subnet = IPv6Network((number, length), strict=False)
    zones = reverses([(subnet, False)])
    homes = Homes(zones)
    home = homes.of(version, number)
    assert home is not None
    address = ip_address(number) if version == 4 else IPv6Address(number)
    label = f"{number & 255}{home.rest(number)}" if version == 4 else nibbles(number, home)
    assert pointer(address, home.name, label)
    shift = homes.finest(version, bits)
    assert homes.of(version, number >> shift << shift) == home
    assert all(zone.part.subnet_of(subnet) or zone.part.prefixlen in {24, 124} for zone in zones)  # type: ignore[arg-type]


def test_the_smallest_zone_counts() -> None:
    """A zone inside another takes its own addresses; what lies in none has none."""
    homes = Homes(reverses([(IPv4Network("10.0.0.0/8"), False), (IPv4Network("10.1.2.0/26"), True)]))
    found = [homes.of(4, int(IPv4Address(address))) for address in ("10.1.2.63", "10.1.2.64", "11.0.0.1")]
    assert [zone and zone.name for zone in found] == ["0-26.2.1.10.in-addr.arpa", "10.in-addr.arpa", None]
    assert homes.of(6, 1) is None
    assert homes.finest(4, 8) == 6
