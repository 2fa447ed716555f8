"""Names of peers for tests."""

from __future__ import annotations

from functools import cache

from libp2p.peer.id import ID

from node.peers.identity import key_pair


@cache
def peer_name(number: int) -> str:
    """The identifier of a peer, one for each number."""
    return str(ID.from_pubkey(key_pair(number.to_bytes(32)).public_key))
