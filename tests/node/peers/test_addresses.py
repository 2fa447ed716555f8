"""Addresses are read strictly, and hosts are grouped by network."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import InputError
from node.peers.addresses import ADDRESS_CHARACTERS_MAX, PeerAddress, group_of, host_of, listen_address, parse_all
from node.peers.settings import PeerSettings

PEER = "12D3KooWAoJGdhP77VugzdW7NJWt3g9tTMwYEJXsdi67URy2EJ76"
REGISTRY = bytes(20)


@pytest.mark.parametrize(
    "address", ["/ip4/192.0.2.7/tcp/4001", "/ip6/2001:db8::1/tcp/1", "/dns4/example.org/tcp/65535", "/dns/a/tcp/0"]
)
def test_an_address_comes_back_as_it_was(address: str) -> None:
    found = PeerAddress.parse(f"{address}/p2p/{PEER}")
    assert str(found) == f"{address}/p2p/{PEER}"
    assert (found.peer, found.address) == (PEER, address)
    assert str(found.info().peer_id) == PEER
    assert listen_address(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        PEER,
        f"/p2p/{PEER}",
        f"/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/4001/ws/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/65536/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/-1/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}/p2p-circuit",
        f"/ip4/192.0.2.300/tcp/4001/p2p/{PEER}",
        f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER[:-1]}0",
        "/ip4/192.0.2.7/tcp/4001/p2p/",
        "/ip4/192.0.2.7/tcp/4001/p2p/not a peer",
        "/ip4/192.0.2.7/tcp/4001",
        f"/dns4/{'a' * ADDRESS_CHARACTERS_MAX}/tcp/1/p2p/{PEER}",
        f"http://192.0.2.7/p2p/{PEER}",
    ],
)
def test_what_is_no_address_of_a_peer_over_tcp_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no"):
        PeerAddress.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for shape in (text, f"/ip4/{text}/tcp/1/p2p/{PEER}", f"/ip4/192.0.2.7/tcp/1/p2p/{text}"):
        try:
            found = PeerAddress.parse(shape)
        except InputError:
            continue
        assert str(found) == shape


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("192.0.2.255", "192.0.2.0/24"),
        ("192.0.3.7", "192.0.3.0/24"),
        ("10.1.2.3", "10.1.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("127.0.0.1", ""),
        ("127.9.9.9", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
        ("example.org", "example.org"),
    ],
)
def test_hosts_are_grouped_by_network(host: str, group: str) -> None:
    assert group_of(host) == group


def test_the_host_of_an_address() -> None:
    assert host_of("/ip4/192.0.2.7/tcp/4001") == "192.0.2.7"
    assert host_of("") == ""


def test_settings_refuse_what_cannot_be() -> None:
    good = f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}"
    settings = PeerSettings(1, REGISTRY, bootstrap=(good,), announce=("/dns4/example.org/tcp/4001",))
    assert settings.pinned == parse_all([good])
    assert settings.listen.startswith("/ip4/127.0.0.1/")
    assert not settings.mdns
    with pytest.raises(InputError, match="no TCP address"):
        PeerSettings(1, REGISTRY, listen="/ip4/127.0.0.1/udp/1")
    with pytest.raises(InputError, match="no TCP address"):
        PeerSettings(1, REGISTRY, announce=("example.org",))
    with pytest.raises(InputError, match="no address of a peer"):
        PeerSettings(1, REGISTRY, bootstrap=("/ip4/192.0.2.7/tcp/4001",))
    with pytest.raises(InputError, match="twice"):
        PeerSettings(1, REGISTRY, bootstrap=(good, good.replace("4001", "4002")))
