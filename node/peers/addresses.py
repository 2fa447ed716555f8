"""Addresses of peers: `/ip4/192.0.2.7/tcp/4001/p2p/12D3Koo...`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from dkg.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

ADDRESS_CHARACTERS_MAX: Final = 256
"""Longest address, in characters."""

_V4: Final = 4
_GROUP_BITS: Final = {_V4: 24, 6: 48}
_MULTIHASHES: Final = (b"\x00", b"\x12")  # the key itself, SHA-256
_NAMES: Final = ("ip4", "ip6", "dns", "dns4", "dns6")


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where a peer listens. `peer`: its identifier as text; `address`: without it."""

    peer: str
    address: str

    @classmethod
    def parse(cls, text: str) -> PeerAddress:
        """Read an address with a peer's identifier at its end; raises `InputError`."""
        shape = f"{text[:ADDRESS_CHARACTERS_MAX]!r} is no address of a peer: they look like /ip4/192.0.2.7/tcp/1/p2p/ID"
        if len(text) > ADDRESS_CHARACTERS_MAX:
            raise InputError(shape)
        address, _, peer = text.rpartition("/p2p/")
        try:
            if not _is_peer(peer):
                raise InputError(shape)
            return cls(peer, listen_address(address))
        except ValueError as error:  # of the identifier's base58
            raise InputError(shape) from error

    def info(self) -> PeerInfo:
        """The same for libp2p."""
        return PeerInfo(ID.from_string(self.peer), [Multiaddr(self.address)])

    def __str__(self) -> str:
        return f"{self.address}/p2p/{self.peer}"


def _is_peer(text: str) -> bool:
    """Whether this is a peer's identifier: a key, or the SHA-256 of one, as a multihash in base58."""
    raw = ID.from_string(text).to_bytes()
    return str(ID(raw)) == text and raw[:1] in _MULTIHASHES and len(raw) == 2 + int.from_bytes(raw[1:2])


def listen_address(text: str) -> str:
    """A TCP address, checked; raises `InputError`."""
    parts = text.split("/")
    try:
        empty, kind, _host, protocol, port = parts
        good = not empty and kind in _NAMES and protocol == "tcp" and 0 <= int(port) <= 0xFFFF  # noqa: PLR2004 - ports
        address = str(Multiaddr(text)) if good else ""
    except (ValueError, KeyError) as error:  # multiaddr's own errors are of these
        raise InputError(f"{text!r} is no TCP address: it looks like /ip4/127.0.0.1/tcp/4001") from error
    if address != text:
        raise InputError(f"{text!r} is no TCP address: it looks like /ip4/127.0.0.1/tcp/4001")
    return text


def host_of(address: str) -> str:
    """The host of an address: what stands in its second part."""
    parts = address.split("/")
    return parts[2] if len(parts) > 2 else ""  # noqa: PLR2004 - empty, kind, host


def group_of(host: str) -> str:
    """The network that a host is in, for limits: its /24, or its /48 in IPv6. Empty for this machine itself."""
    try:
        found = ip_address(host)
    except ValueError:
        return host  # a name: a group of its own
    if found.version != _V4 and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return ""
    return str(ip_network((found, _GROUP_BITS[found.version]), strict=False))


def parse_all(texts: Iterable[str]) -> list[PeerAddress]:
    """All of some addresses; raises `InputError` for the first that is none."""
    return [PeerAddress.parse(text) for text in texts]


def usable(info: PeerInfo) -> list[PeerAddress]:
    """Those of a peer's addresses that this node can connect to, of whatever libp2p heard."""
    found: list[PeerAddress] = []
    for address in info.addrs:
        try:
            found.append(PeerAddress.parse(f"{str(address).partition('/p2p/')[0]}/p2p/{info.peer_id}"))
        except InputError:
            continue  # not TCP, or nonsense
    return found
