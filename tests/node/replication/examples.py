"""One message of each type, with every field used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.page import cid_of
from node.replication.messages import (
    Anchored,
    Announcement,
    Change,
    Code,
    GetChange,
    GetHeads,
    GetPages,
    GetProof,
    Heads,
    Hello,
    PageAnswer,
    ProofAnswer,
    Refusal,
)
from node.replication.squeeze import squeezed

if TYPE_CHECKING:
    from node.replication.messages import Message

REGISTRY = bytes(range(20))


def cid(number: int) -> bytes:
    return cid_of(number.to_bytes(4))


def head(number: int) -> Anchored:
    return Anchored(number.to_bytes(20), number + 1, cid(number), 10 * number, number)


EXAMPLES: list[Message] = [
    Hello(31337, REGISTRY, "dkg/0.1", ("change", "proof")),
    Announcement(31337, REGISTRY, (head(1), head(2))),
    GetHeads(REGISTRY),
    Heads((head(1), head(2)), more=True),
    GetPages((cid(1), cid(2)), 1000),
    PageAnswer((3, 0, -70_000), squeezed(b"abc")),
    GetChange(cid(1), cid(2)),
    Change(1, 2, 12, squeezed(bytes(12))),
    GetProof(cid(1), "SELECT * {}", (b"<https://example.org/a>",), (), "https://example.org/", "2026-01-01T00:00:00Z"),
    ProofAnswer(4, squeezed(b"proof"[:4])),
    Refusal(Code.BUSY, "too many requests", 1500),
]
