"""Proofs of a Merkle-Patricia trie, as eth_getProof gives them (Yellow Paper, appendix D; EIP-1186).

A proof is the nodes on the way from the root to a key, in order. `verify_proof` gives the value, or None where the
proof shows that the key is not there; for anything else it raises. Every node must be needed: none may be left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dkg.chain.rlp import Item, decode, encode, number_of
from dkg.chain.secp import keccak256
from dkg.errors import ProofError

EMPTY_ROOT: Final = keccak256(encode(b""))
"""Root of the trie without keys."""

EMPTY_CODE: Final = keccak256(b"")

_HASH: Final = 32
_BRANCH: Final = 17
_PAIR: Final = 2
_ACCOUNT_FIELDS: Final = 4


class TrieError(ProofError):
    """Nodes that do not prove what they should."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the state trie."""

    nonce: int
    balance: int
    storage_root: bytes
    code_hash: bytes


def verify_account(state_root: bytes, address: bytes, nodes: list[bytes]) -> Account | None:
    """The account at an address (20 bytes), or None if it is proved that there is none. Raises `ProofError`."""
    value = verify_proof(state_root, keccak256(address), nodes)
    if value is None:
        return None
    fields = decode(value)
    if not isinstance(fields, list) or len(fields) != _ACCOUNT_FIELDS:
        raise TrieError("an account in the state trie does not have four fields")
    nonce, balance, storage_root, code_hash = fields
    if not isinstance(storage_root, bytes) or not isinstance(code_hash, bytes):
        raise TrieError("an account in the state trie has a list where a hash belongs")
    if len(storage_root) != _HASH or len(code_hash) != _HASH:
        raise TrieError("an account in the state trie has a hash that is not 32 bytes")
    return Account(number_of(nonce, "a nonce"), number_of(balance, "a balance"), storage_root, code_hash)


def verify_storage(storage_root: bytes, slot: bytes, nodes: list[bytes]) -> int:
    """The number in a storage slot (its key: 32 bytes); 0 if it is proved to be empty. Raises `ProofError`."""
    value = verify_proof(storage_root, keccak256(slot), nodes)
    if value is None:
        return 0
    found = number_of(decode(value), "the value of a storage slot")
    if not 0 < found < 2**256:
        raise TrieError("a storage slot holds zero or more than 32 bytes: no trie has that")
    return found


def verify_proof(root: bytes, key: bytes, nodes: list[bytes]) -> bytes | None:
    """The value of a key in the trie with this root, or None if the nodes prove that it has none."""
    if root == EMPTY_ROOT:
        if nodes not in ([], [encode(b"")]):
            raise TrieError("the trie is empty, and nodes are given")
        return None
    return _Walk(nodes).run(root, _nibbles(key))


class _Walk:
    """The way from the root down to a key."""

    def __init__(self, nodes: list[bytes]) -> None:
        self._nodes = nodes
        self._used = 0

    def run(self, root: bytes, path: list[int]) -> bytes | None:
        """See `verify_proof`."""
        node: Item = root
        value: bytes | None = None
        while True:
            fields = self._open(node)
            if len(fields) == _BRANCH:
                if not path:
                    value = _value(fields[-1]) or None
                    break
                node, path = fields[path[0]], path[1:]
            else:
                prefix, is_leaf = _prefix(fields[0])
                matches = path[: len(prefix)] == prefix
                if is_leaf:
                    value = _value(fields[1]) if matches and len(path) == len(prefix) else None
                    break
                if not matches:
                    break
                if fields[1] == b"":
                    raise TrieError("an extension of the trie leads nowhere")
                node, path = fields[1], path[len(prefix) :]
            if node == b"":
                break
        if self._used != len(self._nodes):
            raise TrieError(f"{len(self._nodes) - self._used} nodes of the proof are not on the way to the key")
        return value

    def _open(self, node: Item) -> list[Item]:
        """The fields of a node: given by its hash, or embedded if its encoding is shorter than a hash."""
        if isinstance(node, list):
            if len(encode(node)) >= _HASH:
                raise TrieError("a node is embedded that should be named by its hash")
            fields: Item = node
        else:
            fields = self._next(node)
        if not isinstance(fields, list) or len(fields) not in {_PAIR, _BRANCH}:
            raise TrieError("a node of the trie has neither 2 nor 17 fields")
        return fields

    def _next(self, digest: bytes) -> Item:
        if len(digest) != _HASH:
            raise TrieError(f"a node is named by {len(digest)} bytes instead of a hash")
        if self._used == len(self._nodes):
            raise TrieError("the proof ends before the key does: a node is missing")
        data = self._nodes[self._used]
        if keccak256(data) != digest:
            raise TrieError(f"node {self._used} of the proof does not have the hash by which it is named")
        if len(data) < _HASH and self._used:
            raise TrieError("a node is named by its hash that should be embedded")
        self._used += 1
        return decode(data)


def _nibbles(data: bytes) -> list[int]:
    return [nibble for byte in data for nibble in (byte >> 4, byte & 15)]


def _prefix(field: Item) -> tuple[list[int], bool]:
    """The nibbles of a node with two fields, and whether it is a leaf (hex-prefix encoding)."""
    if not isinstance(field, bytes) or not field:
        raise TrieError("the path of a node is not bytes")
    flag, rest = field[0] >> 4, _nibbles(field)[1:]
    if flag > 3 or (not flag & 1 and rest[0] != 0):  # noqa: PLR2004 - two flags: odd length, leaf
        raise TrieError("the path of a node is not hex-prefix encoded")
    path, is_leaf = rest if flag & 1 else rest[1:], bool(flag & 2)
    if not path and not is_leaf:
        raise TrieError("an extension of the trie has no path")
    return path, is_leaf


def _value(field: Item) -> bytes:
    if not isinstance(field, bytes):
        raise TrieError("a value of the trie is a list")
    return field
