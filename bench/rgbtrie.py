"""A model of the proofs of VeriDKG's public RGB-Trie (VLDB 2024), for their size.

What is public is a Merkle prefix tree over the terms of all subgraphs, in the style of go-ethereum's trie: nibbles,
branch nodes of 16 children and a value, extension and leaf nodes, node = RLP, link = Keccak-256 (32 bytes). The value of a
term is its posting list: for each triple with that term, subject, predicate and object and the subgraph that holds it.
A proof of a term is every node on its path, the leaf with the whole posting list (../shared/PEERS.md). The hash function
does not change sizes; SHA3-256 stands in for Keccak-256.

This models sizes only. It favours the peer: accumulators and join proofs of the paper are not in the public code and cost
more; and a star or join is charged one proof for each distinct term that must be looked up, each trie node once.
"""

from __future__ import annotations

from hashlib import sha3_256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASH = 32
_INLINE = 32  # a node shorter than a hash is embedded in its parent


def _rlp_size(length: int) -> int:
    """Bytes of an RLP string or list with a payload of that length."""
    if length <= 55:  # noqa: PLR2004 - the RLP definition
        return 1 + length
    return 1 + (length.bit_length() + 7) // 8 + length


class RgbTrie:
    """The trie over the (hashed) terms of a graph, kept as sizes."""

    def __init__(self, postings: dict[bytes, int]) -> None:
        """`postings`: for each term the bytes of its posting list."""
        self._keys = sorted((sha3_256(term).hexdigest(), size) for term, size in postings.items())

    def nodes_of(self, term: bytes) -> dict[str, int]:
        """The nodes on the path to a term: prefix -> bytes."""
        path = sha3_256(term).hexdigest()
        low, high, depth = 0, len(self._keys), 0
        found: dict[str, int] = {}
        while high - low > 1:
            children = 0
            at = low
            mine = (low, low)
            while at < high:
                nibble = self._keys[at][0][depth]
                end = self._end(at, high, depth, nibble)
                children += 1
                if nibble == path[depth]:
                    mine = (at, end)
                at = end
            payload = children * (1 + _HASH) + (16 - children) + 1
            found[path[:depth]] = _rlp_size(payload)
            low, high = mine
            depth += 1
        if low < high:
            left = (64 - depth) // 2 + 1
            found[path[:depth] + "$"] = _rlp_size(_rlp_size(left) + _rlp_size(self._keys[low][1]))
        return found

    def _end(self, low: int, high: int, depth: int, nibble: str) -> int:
        """The first key from `low` on with another nibble at `depth`."""
        while low < high:
            middle = (low + high) // 2
            if self._keys[middle][0][depth] == nibble:
                low = middle + 1
            else:
                high = middle
        return low

    def proof_bytes(self, terms: Iterable[bytes]) -> int:
        """The bytes of a proof of all these terms, each node counted once."""
        nodes: dict[str, int] = {}
        for term in terms:
            nodes.update(self.nodes_of(term))
        return sum(nodes.values())
