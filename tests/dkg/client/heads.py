"""Heads to keep, for tests and for the processes that they start."""

from __future__ import annotations

from dkg.chain.commit import ZERO_HASH, Commit, Domain
from dkg.chain.registry import Committed

DOMAIN = Domain(31337, b"\xaa" * 20)
P, Q = b"\x01" * 20, b"\x02" * 20


def committed(seq: int, publisher: bytes = P, fork: int = 0) -> Committed:
    """A commit in a log."""
    previous = bytes([fork, seq]) * 16 if seq > 1 else ZERO_HASH
    commit = Commit(publisher, seq, bytes([fork, seq + 1]) * 16, 7, previous, 1_800_000_000)
    return Committed(commit, 10 + seq, 9 + seq, 100 + seq, 1_800_000_000 + seq)
