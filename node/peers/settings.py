"""How this node takes part among peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError
from node.peers.addresses import listen_address, parse_all
from node.peers.slots import DEFAULT_LIMITS, SlotLimits

if TYPE_CHECKING:
    from pathlib import Path

    from node.peers.addresses import PeerAddress

LOOPBACK: Final = "/ip4/127.0.0.1/tcp/0"
"""Where a node listens that is not told otherwise: this machine only, any free port."""


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """All addresses are multiaddresses over TCP. Raises `InputError` for what cannot be."""

    chain_id: int
    registry: bytes
    directory: Path | None = None
    """Where the host key and the book of peers are kept; None: a new key each time, and no book."""
    listen: str = LOOPBACK
    announce: tuple[str, ...] = ()
    """Addresses that others should use, if they are not the one that is listened on."""
    bootstrap: tuple[str, ...] = ()
    """Pinned peers, with their identifiers: connected to for ever, and never shut out."""
    mdns: bool = False
    """Whether to look for peers in the local network, and to be seen there. It listens on every interface."""
    kademlia: bool = True
    gossip: bool = True
    slots: SlotLimits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        for address in (self.listen, *self.announce):
            listen_address(address)
        if len(self.pinned) != len({found.peer for found in self.pinned}):
            raise InputError("a bootstrap peer is named twice")

    @property
    def pinned(self) -> list[PeerAddress]:
        """The bootstrap peers."""
        return parse_all(self.bootstrap)

    @property
    def network(self) -> str:
        """What the names of topics and protocols of this network have in common."""
        return f"{self.chain_id}/{self.registry.hex()}"
