"""A publisher's head, checked against a block (claims L0 and L1 of DESIGN, section 5).

What the answer of an endpoint is checked with, in order; the first that fails ends it with a `ProofError`:

1. The header hashes to the block hash asked for (`header.header_of_json`): it fixes number, time and state root.
2. The registry's account is in that state root, and has code (`trie.verify_account`).
3. The publisher's head word is in the account's storage: who signs, the latest seq, its position in the log.
4. The log's entry at that position is in the same storage.
5. The fields of the commit, which may come from anyone, hash to that entry.
6. They are of this publisher, and have that seq and position.

A head with seq 0 proves that the publisher has no commit at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dkg.chain.secp import checksum
from dkg.chain.trie import EMPTY_CODE, verify_account, verify_storage
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.chain.registry import Committed, Head

PROOF_NODES_MAX: Final = 64
"""Most nodes of one Merkle-Patricia proof: the path of a key has 64 nibbles."""

PROOF_NODE_BYTES_MAX: Final = 1024
"""Longest node, in bytes: a branch has 17 items of 33 bytes at most, or a value; ours are shorter."""


class NoContractError(ProofError):
    """It is proved that there is no contract at the registry's address in a block."""


@dataclass(frozen=True, slots=True)
class AnchoredHead:
    """A publisher's head as of a block. `committed` is None if the publisher has no commit.

    `proved`: whether it was checked as above, from the block hash alone; otherwise an endpoint's word was taken. Of a
    proved commit only `previous` is not: the entry has `prior_position` in its place (see `dkg.chain.log`, which
    compares it with the root there).
    """

    domain: Domain
    head: Head
    committed: Committed | None
    block: Header
    proved: bool


def check_commit(domain: Domain, header: Header, head: Head, entry: int, committed: Committed) -> AnchoredHead:
    """Check that a commit, from anyone, is the one of a head (steps 5 and 6).

    `head`, `entry`: as read from the registry's storage with `verify_slots`. Raises `ProofError`.
    """
    who = checksum(head.publisher)
    if committed.entry() != entry.to_bytes(32):
        raise ProofError(f"commit {committed.commit.seq} of {who} is not what the registry logged")
    if (committed.publisher, committed.commit.seq, committed.position) != (head.publisher, head.seq, head.position):
        raise ProofError(f"the commit shown for {who} is not its latest, number {head.seq}")
    return AnchoredHead(domain, head, committed, header, proved=True)


def verify_slots(header: Header, registry: bytes, slots: Sequence[bytes], proof: object) -> list[int]:
    """The values of slots of the registry's storage, from one answer of eth_getProof.

    Raises `ProofError`; `NoContractError` if the address has no code.
    """
    found = _object(proof, "the answer of eth_getProof")
    account = verify_account(header.state_root, registry, _nodes(found, "accountProof"))
    if account is None or account.code_hash == EMPTY_CODE:
        raise NoContractError(
            f"there is no contract at {checksum(registry)} in block {header.number}: a wrong address?"
        )
    storage = found.get("storageProof")
    if not isinstance(storage, list) or len(storage) != len(slots):
        raise ProofError("the answer of eth_getProof does not have the slots that were asked for")
    proofs = [_nodes(_object(one, "storageProof"), "proof") for one in storage]
    return [verify_storage(account.storage_root, slot, nodes) for slot, nodes in zip(slots, proofs, strict=True)]


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProofError(f"{what} is no JSON object")
    return value


def _nodes(found: dict[str, Any], name: str) -> list[bytes]:
    nodes = found.get(name)
    if not isinstance(nodes, list) or len(nodes) > PROOF_NODES_MAX:
        raise ProofError(f"{name} of eth_getProof is no list of at most {PROOF_NODES_MAX} nodes")
    return [_node(node, name) for node in nodes]


def _node(node: object, name: str) -> bytes:
    if not isinstance(node, str) or not node.startswith("0x") or len(node) > 2 + 2 * PROOF_NODE_BYTES_MAX:
        raise ProofError(f"a node of {name} is no hexadecimal text of at most {PROOF_NODE_BYTES_MAX} bytes")
    try:
        return bytes.fromhex(node[2:])
    except ValueError as error:
        raise ProofError(f"a node of {name} is not hexadecimal") from error
