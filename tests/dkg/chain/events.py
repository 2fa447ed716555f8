"""Events of the registry for tests: a small model of the contract that writes what it would emit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dkg.chain.commit import ZERO_HASH, Commit
from dkg.chain.log import Block
from dkg.chain.registry import Committed, Event, Head, Retired, Revoked, Rotated
from dkg.chain.secp import keccak256


def address(number: int) -> bytes:
    """An address that differs from others and from the contract's codes."""
    return keccak256(number.to_bytes(4))[:20]


def root(number: int) -> bytes:
    """A root of 32 bytes."""
    return keccak256(b"root" + number.to_bytes(4))


def block(number: int, fork: int = 0, parent_fork: int | None = None) -> Block:
    """A block of a chain; `fork` tells chains apart."""
    parent = fork if parent_fork is None else parent_fork
    return Block(number, _hash(number, fork), _hash(number - 1, parent), 1_700_000_000 + 12 * number)


def _hash(number: int, fork: int) -> bytes:
    return keccak256(b"block" + number.to_bytes(4) + fork.to_bytes(4))


@dataclass
class Model:
    """What the contract keeps."""

    log: list[Committed] = field(default_factory=list)
    heads: dict[bytes, Head] = field(default_factory=dict)
    nonces: dict[bytes, int] = field(default_factory=dict)

    def copy(self) -> Model:
        """A model that can go another way."""
        return Model(self.log.copy(), self.heads.copy(), self.nonces.copy())

    def head(self, publisher: bytes) -> Head:
        """A publisher's head."""
        return self.heads.get(publisher) or Head.unpack(publisher, 0)

    def commit(self, publisher: bytes, made: bytes, at: Block) -> Committed:
        """The event of a commit."""
        head = self.head(publisher)
        prior = self.log[head.position] if head.seq else None
        previous = prior.commit.root if prior else ZERO_HASH
        commit = Commit(publisher, head.seq + 1, made, 7, previous, at.time)
        event = Committed(commit, len(self.log), prior.position if prior else 0, at.number, at.time)
        self.heads[publisher] = replace(head, seq=commit.seq, position=event.position)
        self.log.append(event)
        return event

    def _nonce(self, publisher: bytes) -> int:
        nonce = self.nonces.get(publisher, 0)
        self.nonces[publisher] = nonce + 1
        return nonce

    def rotate(self, publisher: bytes, signer: bytes) -> Rotated:
        """The event of a rotation."""
        self.heads[publisher] = replace(self.head(publisher), signer=signer)
        return Rotated(publisher, signer, self._nonce(publisher), len(self.log))

    def revoke(self, publisher: bytes) -> Revoked:
        """The event of a revocation."""
        was = self.head(publisher).signer
        assert was is not None
        self.heads[publisher] = replace(self.head(publisher), signer=None)
        return Revoked(publisher, was, self._nonce(publisher), len(self.log))

    def retire(self, publisher: bytes) -> Retired:
        """The event of a retirement."""
        self.heads[publisher] = replace(self.head(publisher), signer=None, retired=True)
        return Retired(publisher, self._nonce(publisher), len(self.log))


def events_of(model: Model, choices: list[tuple[int, int]], at: Block) -> list[Event]:
    """Events that choices of (what, which publisher) lead to; what the contract would refuse is left out."""
    made: list[Event] = []
    for what, who in choices:
        publisher = address(who % 3)
        head = model.head(publisher)
        if head.retired:
            continue
        if what == 0:
            made.append(model.rotate(publisher, address(100 + len(made) + at.number)))
        elif what == 1 and head.signer is not None:
            made.append(model.revoke(publisher))
        elif what == 2 and who > 90:
            made.append(model.retire(publisher))
        elif head.signer is not None:
            made.append(model.commit(publisher, root(1000 * at.number + len(made)), at))
    return made
