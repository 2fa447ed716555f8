"""A long history is rebuilt from events alone: commits, rotations and revocations of several publishers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import ZERO_HASH
from dkg.chain.log import Block
from dkg.chain.secp import keccak256
from dkg.client.chainread import RpcReader
from dkg.client.follower import Follower
from dkg.client.rpc import HttpRpc
from node.devnet.chain import Options, Running
from node.devnet.machine import GAS_LIMIT
from node.devnet.transactions import decode
from tests.chain.registry import KEYS, Registry, calldata, signed_transaction
from tests.chain.rpc import Rpc
from tests.dkg.chain.events import Model, block

if TYPE_CHECKING:
    from dkg.chain.registry import Committed
    from node.devnet.ledger import Ledger
    from node.devnet.transactions import Sent

COMMITS = 1_000
COMMITS_IN_A_BLOCK = 8


class History:
    """Writes a history into a chain, past its JSON-RPC, and into the model of the contract."""

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.model = Model()
        self._ledger = ledger
        self._registry = registry
        self._nonces: dict[bytes, int] = {}
        self._sent: list[Sent] = []
        self._rng = random.Random(1000)
        self.publishers, self._hot = registry.accounts[:5], registry.accounts[5:9]

    def write(self, commits: int) -> None:
        """So many commits, and what comes in between."""
        while len(self.model.log) < commits:
            self._write_block(min(COMMITS_IN_A_BLOCK, commits - len(self.model.log)))

    def _write_block(self, commits: int) -> None:
        number = self._ledger.head.number + 1
        at = Block(number, b"", b"", block(number).time)
        self._ledger.next_timestamp = at.time
        for _ in range(commits):
            publisher = self._rng.choice(self.publishers)
            if self._rng.random() < 0.1:
                self._change_keys(publisher)
            if self.model.head(publisher).signer is None:
                self._rotate(publisher)
            self._commit(publisher, at)
        mined = self._ledger.mine_block(self._sent)
        assert [len(receipt.logs) for receipt in mined.receipts] == [1] * len(self._sent)  # each did what it should
        self._sent.clear()

    def _commit(self, publisher: bytes, at: Block) -> None:
        head = self.model.head(publisher)
        assert head.signer is not None
        prior = self.model.log[head.position].meta() if head.seq else ZERO_HASH
        event: Committed = self.model.commit(publisher, keccak256(b"%d" % len(self.model.log)), at)
        commit = event.commit
        arguments = (publisher, commit.root, commit.count, commit.previous, commit.created, prior)
        self._send(head.signer, "commit", *arguments)

    def _change_keys(self, publisher: bytes) -> None:
        if self._rng.random() < 0.3:
            signer = self.model.head(publisher).signer
            self.model.revoke(publisher)
            self._send(self._rng.choice([publisher, signer or publisher]), "revoke", publisher)
        else:
            self._rotate(publisher)

    def _rotate(self, publisher: bytes) -> None:
        signer = self._rng.choice([publisher, *self._hot])
        self.model.rotate(publisher, signer)
        self._send(publisher, "rotate", publisher, signer)

    def _send(self, sender: bytes, function: str, *arguments: object) -> None:
        nonce = self._nonces.get(sender, self._ledger.nonce(sender))
        self._nonces[sender] = nonce + 1
        raw = signed_transaction(self._registry.domain, nonce, calldata(function, *arguments), KEYS[sender])
        self._sent.append(decode(self._ledger.machine, bytes.fromhex(raw[2:]), GAS_LIMIT))


@pytest.mark.slow
def test_a_history_of_a_thousand_commits_is_rebuilt_from_events() -> None:
    running = Running(Options())
    try:
        registry = Registry(Rpc(running.devnet.url))
        history = History(running._ledger, registry)
        history.write(COMMITS)
        with RpcReader(HttpRpc(running.devnet.url)) as reader:
            follower = Follower(reader, registry.domain, first_block=registry.first_block)
            assert follower.step().proved
    finally:
        running.stop()
    model = history.model
    assert follower.log.entries == model.log
    assert len(model.log) == COMMITS
    states = follower.log.publishers
    assert {publisher: state.head for publisher, state in states.items()} == model.heads
    assert {publisher: state.nonce for publisher, state in states.items() if state.nonce} == model.nonces
    assert sum(model.nonces.values()) > 50
    assert 0 < follower.final_position < COMMITS
