"""The client against a chain: what it tells, and every lie of an endpoint (rows B1, B3, B5, C3, C4)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import dkg
from dkg.chain.commit import Domain
from dkg.client.anchored import Anchor, ClientHead, RollbackError, StaleError, State
from dkg.client.chainread import FinalityError, UnprovableError
from dkg.client.rpc import ChainError
from dkg.client.trusted import TrustedHeads
from dkg.errors import ProofError
from node.devnet.chain import devnet
from tests.chain.lies import LIES, old_head, only, refused
from tests.chain.world import DEPTH, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chain.proxy import Request, Response, Rule


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        yield made


@pytest.fixture
def here(built: World) -> Iterator[World]:
    with built.undone():
        yield built


def test_a_publisher_without_commits_is_proved_to_have_none(here: World) -> None:
    head = here.client().head()
    assert (head.committed, head.anchor) == (None, Anchor.PROVED)
    with pytest.raises(ProofError, match="committed nothing"):
        head.root  # noqa: B018


def test_a_commit_is_pending_until_it_is_buried(here: World) -> None:
    client = here.client()
    first = here.registry.commit(here.publisher)
    head = client.head()
    assert (head.committed, head.state) == (first, State.PENDING)
    here.rpc("anvil_mine", hex(DEPTH - 1))
    assert client.head().state is State.PENDING
    here.rpc("anvil_mine", "0x1")
    assert client.head().state is State.FINAL
    second = here.registry.commit(here.publisher)
    assert client.head().committed == second
    final = client.head(final=True)
    assert (final.committed, final.state) == (first, State.FINAL)
    assert {"claim": "L1", "state": "final", "seq": 1, "finality_depth": DEPTH}.items() <= final.describe().items()
    assert "complete as of commit 1, final" in final.sentence()


def test_an_answer_is_verified_against_the_chain_alone(here: World) -> None:
    store = dkg.MemoryPageStore()
    data = b'<http://e/a> <http://e/p> "x" .'
    query = "SELECT ?o { <http://e/a> <http://e/p> ?o }"
    root = dkg.build(dkg.load(data, format="nt"), store)
    old = dkg.build(dkg.load(b"<http://e/a> <http://e/p> 1 .", format="ttl"), store)
    here.registry.commit(here.publisher, old[4:])
    here.registry.commit(here.publisher, root[4:])
    answer = here.client().verify(dkg.prove(store, root, query).car, query)
    assert [str(row[0]) for row in answer.answer.rows] == ['"x"']
    assert answer.head.root == root
    with pytest.raises(ProofError):  # C3: a valid proof of an older root
        here.client().verify(dkg.prove(store, old, query).car, query)


def test_a_warm_client_asks_three_times_and_reads_little(here: World) -> None:
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(DEPTH))
    client = here.client()
    client.head()
    here.proxy.calls.clear()
    client.head()
    assert here.proxy.calls == ["eth_chainId", "eth_getBlockByNumber", "eth_getProof"]


# --- lies -------------------------------------------------------------------------------------------------------

HARMLESS = {
    "old head": "an older state, which a client that has seen nothing cannot tell",
    "missing log": "events are only hints",
    "log twice": "events are only hints",
    "logs in another order": "events are only hints",
    "invented log": "events are only hints",
    "forged storage value": "only the proof is read",
    "forged storage root": "only the proof is read",
    "forged receipt": "not asked for",
    "receipt of another block": "not asked for",
    "receipt of another transaction": "not asked for",
    "null receipt": "not asked for",
    "forged call": "not asked for",
    "forged nonce": "not asked for",
    "swallowed transaction": "not asked for",
    "log of another block": "events are only hints: what counts hashes to the entry",
}


@pytest.mark.parametrize("name", LIES)
def test_no_lie_changes_what_a_client_believes(here: World, name: str) -> None:
    known = [here.registry.commit(here.publisher) for _ in range(3)]
    here.registry.commit(here.registry.accounts[1])
    here.proxy.rule = LIES[name]()
    try:
        head = here.client().head()
    except (ProofError, ChainError):
        assert name not in HARMLESS or name in {"missing log", "old head"}
        return
    assert name in HARMLESS, f"{name} was believed"
    assert head.committed in known


@pytest.mark.parametrize("name", LIES)
def test_no_lie_takes_a_client_back_behind_what_was_final(here: World, name: str) -> None:
    for _ in range(2):
        here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(DEPTH))
    trusted = TrustedHeads(None)
    before = here.client(trusted).head()
    latest = here.registry.commit(here.publisher)
    here.proxy.rule = LIES[name]()
    try:
        head = here.client(trusted).head()
    except (ProofError, ChainError):
        return
    assert head.committed in {before.committed, latest}


def test_a_head_of_before_is_refused_once_a_later_one_was_final(here: World) -> None:
    here.registry.commit(here.publisher)
    trusted = TrustedHeads(None)
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(DEPTH))
    assert here.client(trusted).head().state is State.FINAL
    here.proxy.rule = _replayed(here)
    with pytest.raises(RollbackError, match="commit 2 was final before"):
        here.client(trusted).head()


def _replayed(here: World) -> Rule:
    """Replay the chain as it was just after the first commit: true headers and proofs, only old."""
    number = here.registry.first_block + 1

    def rule(request: Request, response: Response) -> Response:
        if request.method == "eth_getBlockByNumber":
            return response.with_result(request, here.rpc("eth_getBlockByNumber", hex(number), False))  # noqa: FBT003 - JSON-RPC
        return response

    return rule


def test_a_chain_that_dropped_a_final_commit_is_refused(here: World) -> None:
    snapshot = here.rpc("evm_snapshot")
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(DEPTH))
    trusted = TrustedHeads(None)
    here.client(trusted).head()
    here.rpc("evm_revert", snapshot)
    here.registry.latest.clear()
    here.registry.commit(here.publisher, b"\7" * 32)
    with pytest.raises(FinalityError, match="was final and is not in the log"):
        here.client(trusted).head()


@pytest.mark.parametrize("depth", range(1, 9))
def test_a_reorganisation_takes_a_pending_commit_back_and_says_so(here: World, depth: int) -> None:
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(depth))
    snapshot, before = here.rpc("evm_snapshot"), here.registry.latest.copy()
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(depth - 1))
    trusted = TrustedHeads(None)
    client = here.client(trusted)
    client._depth = depth  # so that the second commit is still pending
    assert client.head().committed == here.registry.latest[here.publisher]
    here.rpc("evm_revert", snapshot)
    here.registry.latest = before
    here.rpc("anvil_mine", hex(depth + 1))
    head = client.head()
    assert (head.committed, head.went_back) == (before[here.publisher], True)
    assert "reorganised" in head.sentence()
    assert not client.head().went_back


def test_a_registry_of_another_chain_is_refused(here: World) -> None:
    client = here.client()
    client._domain = Domain(1, here.registry.address)
    with pytest.raises(ProofError, match="of chain 31337, not 1"):
        client.head()


def test_an_address_without_a_contract_is_refused(here: World) -> None:
    client = here.client()
    client._domain = replace(here.registry.domain, registry=b"\1" * 20)
    with pytest.raises(ProofError, match="no contract"):
        client.head()


def test_an_old_block_is_refused_when_a_young_one_is_asked_for(here: World) -> None:
    here.registry.commit(here.publisher)
    client = here.client()
    client._clock = lambda: time.time() + 1000
    with pytest.raises(StaleError, match="is accepted"):
        client.head(max_age=900)
    assert client.head(max_age=2000).age >= 990


def test_an_endpoint_without_proofs_is_believed_only_if_the_caller_says_so(here: World) -> None:
    first = here.registry.commit(here.publisher)
    here.proxy.rule = only(("eth_getProof",), refused())
    with pytest.raises(UnprovableError):
        here.client().head()
    head = here.client(allow_unproved=True).head()
    assert (head.committed, head.anchor, head.anchored.proved) == (first, Anchor.RPC, False)
    assert "on the endpoint's word" in head.sentence()


def test_a_refusal_of_another_kind_is_no_licence_to_believe(here: World) -> None:
    here.registry.commit(here.publisher)
    here.proxy.rule = only(("eth_getProof",), refused(-32000, "missing trie node"))
    with pytest.raises(ChainError, match="missing trie node"):
        here.client(allow_unproved=True).head()


def test_what_was_seen_survives_the_process(here: World, tmp_path: Path) -> None:
    file = tmp_path / "heads.json"
    here.registry.commit(here.publisher)
    here.rpc("anvil_mine", hex(DEPTH))
    head = here.client(TrustedHeads(file)).head()
    assert isinstance(head, ClientHead)
    known = TrustedHeads(file).get(here.registry.domain, here.publisher, final=True)
    assert known == head.committed
    here.proxy.rule = old_head(DEPTH + 1)
    with pytest.raises((ProofError, ChainError)):
        here.client(TrustedHeads(file)).head()
