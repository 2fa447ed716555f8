"""Equivocation: two signed commits with one number and other contents prove that their signer lied (invariant I10).

Evidence needs nothing but itself: anyone checks it, for ever, without a chain. Which address may sign for the
publisher is not part of it: evidence names the address that signed both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import libipld

from dkg.chain.commit import SIGNED_COMMIT_BYTES_MAX, Commit, Domain, SignedCommit
from dkg.chain.secp import checksum
from dkg.errors import ProofError

EVIDENCE_BYTES_MAX: Final = 2 * SIGNED_COMMIT_BYTES_MAX + 64
"""Longest encoded evidence that is read, in bytes."""


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Checked evidence: `signer` signed two commits of `publisher` with one seq. Made by `check_evidence` alone."""

    domain: Domain
    signer: bytes
    first: Commit
    second: Commit

    def __str__(self) -> str:
        return (
            f"{checksum(self.signer)} signed two commits number {self.first.seq} of the publisher "
            f"{checksum(self.first.publisher)}: roots {self.first.root.hex()} and {self.second.root.hex()}"
        )


def encode_evidence(first: SignedCommit, second: SignedCommit) -> bytes:
    """Two signed commits as one file: canonical DAG-CBOR, the same whichever comes first.

    Raises `ProofError` if they are no evidence.
    """
    data: bytes = libipld.encode_dag_cbor({"evidence": sorted((first.encode(), second.encode())), "v": 1})
    check_evidence(data)
    return data


def check_evidence(data: bytes) -> Equivocation:
    """Check evidence of equivocation; raises `ProofError` if it is none.

    1. The bytes are the one encoding of two signed commits, in ascending order.
    2. Both are for one chain, one registry, one publisher and one seq.
    3. They say different things (two signatures over the same statement are no lie).
    4. Both signatures are canonical, and by one address.
    """
    if len(data) > EVIDENCE_BYTES_MAX:
        raise ProofError(f"evidence has {EVIDENCE_BYTES_MAX} bytes at most; this has {len(data)}")
    first, second = (SignedCommit.decode(part) for part in _parts(data))
    a, b = first.commit, second.commit
    if first.domain != second.domain:
        raise ProofError("the two commits are for different chains or registries: no equivocation")
    if (a.publisher, a.seq) != (b.publisher, b.seq):
        raise ProofError("the two commits are of different publishers or have different numbers: no equivocation")
    if a == b:
        raise ProofError("the two commits say the same: no equivocation")
    signers = [signed.commit.signed_by(first.domain, signed.signature) for signed in (first, second)]
    if signers[0] != signers[1]:
        raise ProofError(f"different keys signed the two commits: {' and '.join(map(checksum, signers))}")
    return Equivocation(first.domain, signers[0], a, b)


def _parts(data: bytes) -> list[bytes]:
    try:
        found = libipld.decode_dag_cbor(data)
    except ValueError as error:
        raise ProofError(f"not evidence: {error}") from error
    if not isinstance(found, dict) or found.keys() != {"evidence", "v"} or found["v"] != 1:
        raise ProofError("not evidence, version 1")
    parts = found["evidence"]
    if not isinstance(parts, list) or len(parts) != 2 or not all(type(part) is bytes for part in parts):  # noqa: PLR2004
        raise ProofError("evidence holds two signed commits")
    if parts != sorted(parts) or libipld.encode_dag_cbor(found) != data:
        raise ProofError("not evidence in its canonical form")
    return parts
