"""What `dkg.chain` reads, hashes and signs is what the contract writes and takes."""

from __future__ import annotations

from typing import Any

from dkg.chain.commit import Commit, Domain, Retire, Revoke, Rotate
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed, Event, Head, decode_event, entry_slot, head_slot
from tests.contracts.onchain import CHAIN_ID, KEYS, NOBODY, OnChain, Sequence, Step

OWNER, HOT = KEYS[:2]
PUBLISHER, SIGNER = (bytes.fromhex(key.address[2:]) for key in (OWNER, HOT))
RELAYER = KEYS[6].address


def read(chain: OnChain, name: str, *values: Any) -> Event:  # noqa: ANN401 - values of an ABI
    """Call a function, and read its event as a client does. The last value is a signature of 65 bytes."""
    chain.call(RELAYER, name, *values)
    ((topics, data),) = chain.logs
    return decode_event(topics, data, *chain.block)


def test_signatures_made_by_the_library_are_taken_and_its_log_follows(chain: OnChain) -> None:
    domain = Domain(CHAIN_ID, bytes.fromhex(chain.address[2:]))
    assert domain.separator() == chain.view("domain_separator")
    owner, hot = bytes(OWNER.key), bytes(HOT.key)
    root = b"\x05" * 32
    first = Commit(PUBLISHER, 1, root, 8, bytes(32), 77)
    second = Commit(PUBLISHER, 2, b"\x06" * 32, 9, root, 78)
    publisher = OWNER.address
    events = [read(chain, "commit_signed", *step(first, bytes(32)).relayed, first.sign(domain, owner))]
    assert isinstance(events[0], Committed)
    rotate = Rotate(PUBLISHER, SIGNER, 0).sign(domain, owner)
    events.append(read(chain, "rotate_signed", publisher, HOT.address, 0, rotate))
    later = step(second, events[0].meta()).relayed
    events.append(read(chain, "commit_signed", *later, second.sign(domain, hot)))
    events.append(read(chain, "revoke_signed", publisher, 1, Revoke(PUBLISHER, 1).sign(domain, hot)))
    events.append(read(chain, "retire_signed", publisher, 2, Retire(PUBLISHER, 2).sign(domain, owner)))
    number, time = chain.block
    log = RegistryLog()
    log.apply(Block(number, b"\x01" * 32, b"\x02" * 32, time), events)
    assert [entry.commit for entry in log.entries] == [first, second]
    stored = chain.storage(int.from_bytes(head_slot(PUBLISHER)))
    assert log.publishers[PUBLISHER].head == Head.unpack(PUBLISHER, stored)
    for entry in log.entries:
        assert chain.storage(int.from_bytes(entry_slot(entry.position))).to_bytes(32) == entry.entry()


def step(commit: Commit, prior: bytes) -> Step:
    """The library's commit as the contract takes it."""
    values = (commit.seq, commit.root, commit.count, commit.previous, commit.created)
    return Step(OWNER.address, *values, prior=prior)


def test_heads_are_read_as_the_contract_packs_them(chain: OnChain) -> None:
    def head() -> Head:
        return Head.unpack(PUBLISHER, chain.view("heads", OWNER.address))

    assert head() == Head(PUBLISHER, PUBLISHER, retired=False, seq=0, position=0)
    Sequence(chain, KEYS[2].address).send()
    Sequence(chain, OWNER.address).send()
    chain.call(OWNER.address, "rotate", OWNER.address, HOT.address)
    assert head() == Head(PUBLISHER, SIGNER, retired=False, seq=1, position=1)
    chain.call(HOT.address, "revoke", OWNER.address)
    assert head() == Head(PUBLISHER, None, retired=False, seq=1, position=1)
    chain.call(OWNER.address, "retire", OWNER.address)
    assert head() == Head(PUBLISHER, None, retired=True, seq=1, position=1)
    assert chain.view("signer_of", OWNER.address) == NOBODY
