"""Vectors of names, statements and the registry's storage (docs/formats.md, sections 7 to 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dkg.chain.commit import Commit, Domain, Retire, Revoke, Rotate, SignedCommit
from dkg.chain.evidence import encode_evidence
from dkg.chain.registry import Committed, entry_slot, head_slot
from dkg.chain.secp import ORDER, address_of, checksum, keccak256
from dkg.chain.ual import Publisher, Ual

KEYS = [keccak256(b"dkg test key %d" % number) for number in range(2)]
DOMAIN = Domain(31337, keccak256(b"registry")[:20])
PUBLISHER = address_of(KEYS[0])
COMMIT = Commit(PUBLISHER, 2, keccak256(b"root 2"), 1_000_000, keccak256(b"root 1"), 1_800_000_000)


def names() -> dict[str, Any]:
    """UALs, their graphs and the publisher's DID."""
    publisher = Publisher(DOMAIN.chain_id, DOMAIN.registry, PUBLISHER)
    uals = [Ual(publisher, name) for name in ("people", "a", "v1.2_final-3")]
    return {
        "chain_id": DOMAIN.chain_id,
        "registry": checksum(DOMAIN.registry),
        "publisher": checksum(PUBLISHER),
        "did": publisher.did,
        "uals": {u.name: [str(u), u.graph.decode(), u.provenance_graph.decode()] for u in uals},
    }


def statements() -> dict[str, Any]:
    """Digests and signatures of each kind of statement, a signed commit, evidence, and a malleated signature."""
    made = [COMMIT, Rotate(PUBLISHER, address_of(KEYS[1]), 7), Revoke(PUBLISHER, 8), Retire(PUBLISHER, 9)]
    signed = SignedCommit.make(DOMAIN, COMMIT, KEYS[0])
    other = SignedCommit.make(DOMAIN, replace(COMMIT, root=keccak256(b"another")), KEYS[0])
    s = int.from_bytes(signed.signature[32:64])
    high = signed.signature[:32] + (ORDER - s).to_bytes(32) + bytes([55 - signed.signature[64]])
    return {
        "key": KEYS[0].hex(),
        "chain_id": DOMAIN.chain_id,
        "registry": DOMAIN.registry.hex(),
        "domain_separator": DOMAIN.separator().hex(),
        "statements": [
            {
                "type": statement.TYPE,
                "struct_hash": statement.struct_hash().hex(),
                "digest": statement.digest(DOMAIN).hex(),
                "signature": statement.sign(DOMAIN, KEYS[0]).hex(),
            }
            for statement in made
        ],
        "signed_commit": signed.encode().hex(),
        "evidence": encode_evidence(signed, other).hex(),
        "refused_signatures": {
            "high s": high.hex(),
            "v of 0": (signed.signature[:64] + b"\0").hex(),
            "r of 0": (bytes(32) + signed.signature[32:]).hex(),
            "s of 0": (signed.signature[:32] + bytes(32) + signed.signature[64:]).hex(),
            "64 bytes": signed.signature[:64].hex(),
        },
    }


def storage() -> dict[str, Any]:
    """Slots, and the entry of a commit."""
    committed = Committed(COMMIT, position=9, prior_position=4, block=12, time=1_800_000_012)
    return {
        "publisher": PUBLISHER.hex(),
        "head_slot": head_slot(PUBLISHER).hex(),
        "entry_slot_9": entry_slot(9).hex(),
        "meta": committed.meta().hex(),
        "entry": committed.entry().hex(),
    }


FILES = {"chain/names.json": names, "chain/statements.json": statements, "chain/registry.json": storage}
