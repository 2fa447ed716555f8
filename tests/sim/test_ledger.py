"""The simulated chain says what the real registry says on the development chain, for the same transactions."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.registry import decode_event, entry_slot, head_slot, nonce_slot
from dkg.chain.secp import address_of
from dkg.client.chainread import RpcReader
from dkg.client.follower import Follower
from dkg.client.rpc import HttpRpc
from node.devnet.accounts import dev_accounts
from node.devnet.chain import devnet
from tests.chain.registry import Registry, calldata
from tests.chain.rpc import Rpc
from tests.sim.ledger import DOMAIN, Ledger, RevertError, RotateTo, SimReader, State, Transaction, encoded, signed

KEYS = [account.key for account in dev_accounts(4)]
WHO = [address_of(key) for key in KEYS]


def script(rng: random.Random, length: int = 30) -> list[Transaction]:
    """Transactions of four publishers, some of which the registry refuses."""
    made: list[Transaction] = []
    heads: dict[bytes, tuple[int, bytes]] = {}
    signers = dict(zip(WHO, KEYS, strict=True))
    for _ in range(length):
        who, kind = rng.choice(WHO), rng.randrange(12)
        if kind == 0:
            signers[who] = rng.choice(KEYS)
            made.append(RotateTo(who, address_of(signers[who])))
        elif kind == 1 and who == WHO[2]:
            made.append(RotateTo(who, None))
        elif kind == 2 and who == WHO[3]:
            made.append(RotateTo(who, None, retires=True))
        else:
            seq, previous = heads.get(who, (0, ZERO_HASH))
            seq += 1 if not seq or rng.random() < 0.9 else 2  # a number that is left out is refused
            commit = Commit(who, seq, rng.randbytes(32), rng.randrange(1000), previous, 7)
            made.append(signed(signers[who], commit))
            heads[who] = seq, commit.root
    return made


def send(registry: Registry, sent: Transaction) -> bool:
    """Send it to the real registry; whether it takes it."""
    sender = WHO[0] if isinstance(sent, SignedCommit) else sent.publisher
    data = _data(registry, sent)
    call = {"from": "0x" + sender.hex(), "to": "0x" + registry.address.hex(), "data": data, "gas": hex(1_000_000)}
    receipt = registry.rpc("eth_getTransactionReceipt", registry.rpc("eth_sendTransaction", call))
    if receipt["status"] != "0x1":
        return False
    if isinstance(sent, SignedCommit):
        registry.logged(receipt, sent.commit)
    return True


def _data(registry: Registry, sent: Transaction) -> str:
    if isinstance(sent, RotateTo):
        if sent.signer is not None:
            return calldata("rotate", sent.publisher, sent.signer)
        return calldata("retire" if sent.retires else "revoke", sent.publisher)
    commit = sent.commit
    prior = registry.latest.get(commit.publisher)
    there = SignedCommit.make(registry.domain, commit, KEYS[WHO.index(_signer_of(sent))])
    own = (commit.publisher, commit.seq, commit.root, commit.count, commit.previous, commit.created)
    parts = (there.signature[:32], there.signature[32:64], there.signature[64])
    return calldata("commit_signed", *own, prior.meta() if prior else ZERO_HASH, *parts)


def _signer_of(sent: SignedCommit) -> bytes:
    return sent.commit.signed_by(DOMAIN, sent.signature)


@pytest.mark.parametrize("seed", range(4))
def test_the_ledger_takes_and_logs_and_stores_what_the_registry_does(seed: int) -> None:
    rng = random.Random(seed)
    state = State(first_block=0)
    with devnet() as chain, closing(RpcReader(HttpRpc(chain.url))) as reader:
        registry = Registry(Rpc(chain.url))
        state.first_block = registry.first_block
        accepted = 0
        for sent in script(rng):
            taken = send(registry, sent)
            block = reader.header("latest")
            try:
                event = state.apply(sent, block.number, block.timestamp)
            except RevertError:
                assert not taken, sent
                continue
            assert taken, sent
            (log,) = reader.logs(registry.address, block.number, block.number)
            assert (log.topics, log.data) == encoded(event)
            assert decode_event(list(log.topics), log.data, block.number, block.timestamp) == event
            accepted += 1
        block = reader.header("latest")
        slots = [bytes(32), *map(head_slot, WHO), *map(nonce_slot, WHO), *map(entry_slot, range(state.length))]
        assert reader.slots(registry.address, slots, block) == [state.slots.get(slot, 0) for slot in slots]
    assert accepted > 5
    assert state.length > 2


def test_a_follower_reads_the_simulated_chain_through_reorganisations() -> None:
    rng = random.Random(1)
    ledger = Ledger(depth=4)
    follower = Follower(SimReader(ledger), DOMAIN, finality_depth=4)
    time = 1_800_000_000
    for sent in script(rng, 200):
        try:
            ledger.send(sent)
        except RevertError:
            continue
        time += 12
        ledger.mine(time)
        if rng.random() < 0.4 and len(ledger.blocks) > 5:
            ledger.reorganise(rng.randrange(1, 4), [time] * 4, lambda _sent: rng.random() < 0.7)
        assert follower.step().proved
        assert follower.log.entries == ledger.commits()
    assert len(follower.log.entries) > 5
    assert follower.log.publishers.keys() == {event.publisher for block in ledger.blocks for _, event in block.events}
