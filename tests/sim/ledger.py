"""A chain with one registry, in memory: blocks, events, storage and reorganisations, and no virtual machine.

`Ledger` does what contracts/registry.vy does, as far as readers see it; `tests/sim/test_ledger.py` compares the two on
the development chain, answer by answer. `SimReader` is a node's endpoint: a `ChainReader` that can be down, lag behind,
and lie.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from dkg.chain.commit import ZERO_HASH, Commit, Domain, SignedCommit
from dkg.chain.header import Header
from dkg.chain.registry import (
    COMMITTED,
    RETIRED,
    RETIRED_TOPIC,
    REVOKED,
    REVOKED_TOPIC,
    ROTATED,
    Committed,
    Event,
    Retired,
    Revoked,
    Rotated,
    entry_slot,
    head_slot,
    nonce_slot,
)
from dkg.client.chainread import Log
from dkg.client.rpc import ChainError, RpcAnswerError
from tests.sim.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHAIN_ID = 31337
REGISTRY = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")
DOMAIN = Domain(CHAIN_ID, REGISTRY)

_LENGTH_SLOT = bytes(32)


class RevertError(Exception):
    """The registry refuses a transaction."""


@dataclass(frozen=True)
class RotateTo:
    """A transaction of a publisher: this address signs from now on; None: nobody does, for ever if `retires`."""

    publisher: bytes
    signer: bytes | None
    retires: bool = False


Transaction = SignedCommit | RotateTo


@dataclass
class State:
    """The registry's storage, and what of the publishers hangs on it."""

    first_block: int
    length: int = 0
    latest: dict[bytes, Committed] = field(default_factory=dict)
    signers: dict[bytes, int] = field(default_factory=dict)
    """What a head has for a signer: 0, 1, 2, or an address."""
    nonces: dict[bytes, int] = field(default_factory=dict)
    slots: dict[bytes, int] = field(default_factory=dict)

    def copy(self) -> State:
        return replace(
            self,
            latest=self.latest.copy(),
            signers=self.signers.copy(),
            nonces=self.nonces.copy(),
            slots=self.slots.copy(),
        )

    def apply(self, sent: Transaction, number: int, time: int) -> Event:
        """What a transaction logs. Raises `RevertError`."""
        event = self._committed(sent, number, time) if isinstance(sent, SignedCommit) else self._rotated(sent)
        who = event.publisher
        last = self.latest.get(who)
        word = self.signers.get(who, 0) << 96
        if last is not None:
            word |= last.commit.seq << 48 | last.position
        self.slots[head_slot(who)] = word
        self.slots[nonce_slot(who)] = self.nonces.get(who, 0)
        self.slots[_LENGTH_SLOT] = self.first_block << 48 | self.length
        return event

    def signer(self, publisher: bytes) -> bytes | None:
        """Who signs for a publisher now."""
        code = self.signers.get(publisher, 0)
        return publisher if code == 0 else None if code in {REVOKED, RETIRED} else code.to_bytes(20)

    def _committed(self, sent: SignedCommit, number: int, time: int) -> Committed:
        commit, last = sent.commit, self.latest.get(sent.commit.publisher)
        follows = (last.commit.seq + 1, last.commit.root) if last else (1, ZERO_HASH)
        if (commit.seq, commit.previous) != follows:
            raise RevertError("it does not follow")
        signer = self.signer(commit.publisher)
        if signer is None or commit.signed_by(DOMAIN, sent.signature) != signer:
            raise RevertError("its signer may not sign")
        event = Committed(commit, self.length, last.position if last else 0, number, time)
        self.latest[commit.publisher] = event
        self.slots[entry_slot(event.position)] = int.from_bytes(event.entry())
        self.length += 1
        return event

    def _rotated(self, sent: RotateTo) -> Event:
        who = sent.publisher
        before, nonce = self.signer(who), self.nonces.get(who, 0)
        if self.signers.get(who) == RETIRED:
            raise RevertError("it is retired")
        if before is None and sent.signer is None and not sent.retires:
            raise RevertError("nobody signs for it")
        self.nonces[who] = nonce + 1
        if sent.signer is not None:
            self.signers[who] = int.from_bytes(sent.signer)
            return Rotated(who, sent.signer, nonce, self.length)
        self.signers[who] = RETIRED if sent.retires else REVOKED
        if sent.retires:
            return Retired(who, nonce, self.length)
        assert before is not None
        return Revoked(who, before, nonce, self.length)


@dataclass(frozen=True)
class SimBlock:
    """A block. `events`: (what sent it, what it logged)."""

    header: Header
    events: tuple[tuple[Transaction, Event], ...]
    state: State


class Ledger:
    """The chain."""

    def __init__(self, time: int = 1_800_000_000, depth: int = 4) -> None:
        self.depth = depth
        """How deep reorganisations may be, in blocks, so that nobody's final block goes."""
        self._salt = 0
        self.blocks: list[SimBlock] = []
        self.ever: dict[bytes, SimBlock] = {}
        """Every block that there ever was, by its hash."""
        self._by_hash: dict[bytes, SimBlock] = {}
        state = State(first_block=0)
        state.slots[_LENGTH_SLOT] = 0
        self._append((), state, time)
        self.pool: list[Transaction] = []

    @property
    def head(self) -> SimBlock:
        return self.blocks[-1]

    def block(self, which: str | int | bytes) -> SimBlock | None:
        if isinstance(which, bytes):
            return self._by_hash.get(which)
        number = {"latest": len(self.blocks) - 1, "earliest": 0}.get(which, -1) if isinstance(which, str) else which
        return self.blocks[number] if 0 <= number < len(self.blocks) else None

    def commits(self) -> list[Committed]:
        """The log, as of the newest block."""
        return [event for block in self.blocks for _, event in block.events if isinstance(event, Committed)]

    def send(self, sent: Transaction) -> None:
        """Put a transaction into the pool. Raises `RevertError` if it would be refused now."""
        if sent in self.pool:
            return
        state = self.head.state.copy()
        for one in [*self.pool, sent]:
            try:
                state.apply(one, self.head.header.number + 1, self.head.header.timestamp)
            except RevertError:
                if one is sent:
                    raise
        self.pool.append(sent)

    def mine(self, time: int, most: int | None = None) -> SimBlock:
        """A block of what waits, `most` transactions at most; what reverts is gone."""
        taken = self.pool[:most]
        self.pool = self.pool[len(taken) :]
        return self._mine(taken, time)

    def _mine(self, sent: Sequence[Transaction], time: int) -> SimBlock:
        state, number, events = self.head.state.copy(), self.head.header.number + 1, []
        time = max(time, self.head.header.timestamp)
        for one in sent:
            try:
                events.append((one, state.apply(one, number, time)))
            except RevertError:
                continue
        return self._append(tuple(events), state, time)

    def _append(self, events: tuple[tuple[Transaction, Event], ...], state: State, time: int) -> SimBlock:
        self._salt += 1
        number = len(self.blocks)
        parent = self.blocks[-1].header.hash if self.blocks else bytes(32)
        root = sha256(repr(sorted(state.slots.items())).encode()).digest()
        digest = sha256(parent + root + b"%d %d %d" % (number, time, self._salt)).digest()
        block = SimBlock(Header(number, digest, parent, root, time), events, state)
        self.blocks.append(block)
        self._by_hash[digest] = self.ever[digest] = block
        return block

    def reorganise(self, depth: int, times: Sequence[int], keep: Callable[[Transaction], bool]) -> list[Transaction]:
        """Replace the newest `depth` blocks by `len(times)` others; gives the transactions that are gone.

        Those that `keep` names are mined again, in the first of the new blocks.
        """
        old = [sent for block in self.blocks[-depth:] for sent, _ in block.events]
        for block in self.blocks[-depth:]:
            del self._by_hash[block.header.hash]
        del self.blocks[-depth:]
        kept = [sent for sent in old if keep(sent)]
        for at, time in enumerate(times):
            self._mine([] if at else kept, time)
        there = {id(sent) for block in self.blocks for sent, _ in block.events}
        return [sent for sent in old if id(sent) not in there]


@dataclass
class SimReader:
    """See `ChainReader`: one node's endpoint."""

    ledger: Ledger
    down: bool = False
    lag: int = 0
    """Blocks that it does not show yet."""
    lie: Callable[[str, object], object] | None = None
    """Bends an answer: the method, and the answer."""
    faults: Faults = field(default_factory=Faults)
    newest_shown: int = 0
    """The highest block that it ever showed as the latest."""
    asked: int = 0
    need: int = 1

    def _answer(self, method: str, answer: object) -> object:
        self.asked += 1
        if self.down:
            self.faults.add("B4 endpoint down")
            raise ChainError("the endpoint is down")
        if self.lag:
            self.faults.add("B4 endpoint lags")
        told = answer if self.lie is None else self.lie(method, answer)
        if told is not answer:
            self.faults.add("B5 endpoint lies")
        return told

    def _newest(self) -> int:
        return max(0, len(self.ledger.blocks) - 1 - self.lag)

    def chain_id(self) -> int:
        return int(str(self._answer("chain_id", CHAIN_ID)))

    def header(self, which: str | int | bytes) -> Header:
        wanted = self._newest() if which == "latest" else which
        block = self.ledger.block(wanted)
        if block is None or block.header.number > self._newest():
            raise RpcAnswerError("the endpoint has no such block")
        answer = self._answer("header", block.header)
        assert isinstance(answer, Header)
        if which == "latest":
            self.newest_shown = max(self.newest_shown, answer.number)
        return answer

    def logs(self, address: bytes, start: int, end: int, topics: Sequence[bytes] = ()) -> list[Log]:
        assert address == REGISTRY
        found = [
            log
            for block in self.ledger.blocks[start : min(end, self._newest()) + 1]
            for log in logs_of(block)
            if log.topics[: len(topics)] == tuple(topics)
        ]
        answer = self._answer("logs", found)
        assert isinstance(answer, list)
        return list(answer)

    def slots(self, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
        assert address == REGISTRY
        block = self.ledger.block(header.hash)
        if block is None or block.header != header:
            raise RpcAnswerError("header not found")
        answer = self._answer("slots", [block.state.slots.get(slot, 0) for slot in slots])
        assert isinstance(answer, list)
        return list(answer)

    def storage(self, address: bytes, slot: bytes, header: Header) -> int:
        return self.slots(address, [slot], header)[0]

    def close(self) -> None:
        self.down = True


def logs_of(block: SimBlock) -> list[Log]:
    """The events of a block as endpoints tell them."""
    made = []
    for at, (sent, event) in enumerate(block.events):
        topics, data = encoded(event)
        digest = sha256(repr(sent).encode() + block.header.hash).digest()
        made.append(Log(block.header.number, block.header.hash, digest, at, REGISTRY, topics, data))
    return made


def encoded(event: Event) -> tuple[tuple[bytes, ...], bytes]:
    """Topics and data of an event: what `dkg.chain.registry.decode_event` reads."""
    who = event.publisher.rjust(32, b"\0")
    match event:
        case Committed():
            data = event.commit.root + event.commit.previous + event.numbers().to_bytes(32)
            return (COMMITTED, who), data
        case Rotated():
            return (ROTATED, who), _words(event.signer, event.nonce, event.position)
        case Revoked():
            return (REVOKED_TOPIC, who), _words(event.signer, event.nonce, event.position)
        case Retired():
            return (RETIRED_TOPIC, who), _words(event.nonce, event.position)


def _words(*values: bytes | int) -> bytes:
    return b"".join(value.rjust(32, b"\0") if isinstance(value, bytes) else value.to_bytes(32) for value in values)


def signed(key: bytes, commit: Commit) -> SignedCommit:
    return SignedCommit.make(DOMAIN, commit, key)
