"""What is valid, in another place: stale roots, replayed proofs, parts of different answers (rows C3, C4, C8)."""

from __future__ import annotations

import itertools
import random
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from trie.hexary import HexaryTrie

import dkg
from dkg.chain.anchor import check_commit, verify_slots
from dkg.chain.commit import Commit, SignedCommit
from dkg.chain.header import HeaderError, header_of_json
from dkg.chain.registry import Committed, Head, entry_slot, head_slot
from dkg.chain.rlp import encode
from dkg.chain.secp import keccak256
from dkg.client.anchored import Client, ClientHead, RollbackError, StaleError
from dkg.client.signed import SignedHead, verify_head, verify_signed
from dkg.client.trusted import TrustedHeads
from dkg.errors import InputError, ProofError
from node.devnet.chain import Options, devnet
from tests.chain.lies import as_of, edited
from tests.chain.registry import KEYS, Registry
from tests.chain.world import World, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.chain.anchor import AnchoredHead
    from dkg.chain.header import Header

# --- row C4: proofs in other places --------------------------------------------------------------------------------

QUERIES = (
    "SELECT ?o { <http://e/a> <http://e/p> ?o }",
    "SELECT ?s { ?s <http://e/q3> ?o }",
    "ASK { <http://e/100> ?p ?o }",
)


@dataclass
class Place:
    """A publisher on a registry on a chain: its dataset, the proofs of it, and what a client has of its head."""

    client: Client
    head: ClientHead
    proofs: list[bytes]
    signed: SignedCommit
    storage: dict[str, Any]

    @property
    def slots(self) -> list[bytes]:
        assert self.head.committed is not None
        return [head_slot(self.head.anchored.head.publisher), entry_slot(self.head.committed.position)]


def _places(here: World, number: int) -> Iterator[Place]:
    """Two publishers on the world's registry."""
    for which in range(2):
        publisher = here.registry.accounts[which]
        store = dkg.MemoryPageStore()
        triples = [f"<http://e/{at}> <http://e/q{at % 7}> <http://e/{which}/{at % 11}> ." for at in range(200)]
        data = "\n".join([f'<http://e/a> <http://e/p> "{number + which}" .', *triples])
        root = dkg.build(dkg.load(data.encode(), format="nt"), store)
        committed = here.registry.commit(publisher, root[4:])
        client = Client(here.reader(), here.registry.domain, publisher, clock=here.clock)
        head = client.head()
        proofs = [dkg.prove(store, root, query).car for query in QUERIES]
        signed = SignedCommit.make(here.registry.domain, committed.commit, KEYS[publisher])
        place = Place(client, head, proofs, signed, {})
        slots = ["0x" + slot.hex() for slot in place.slots]
        where = "0x" + head.anchored.block.hash.hex()
        place.storage = here.rpc("eth_getProof", "0x" + here.registry.address.hex(), slots, {"blockHash": where})
        yield place


@pytest.fixture(scope="module")
def places() -> Iterator[list[Place]]:
    """Two chains, two registries on each, two publishers on each."""
    with ExitStack() as stack:
        found: list[Place] = []
        for chain_id in (31337, 31338):
            here = stack.enter_context(world(stack.enter_context(devnet(Options(chain_id=chain_id))).url))
            for _ in range(2):
                found += _places(here, len(found))
                here.registry = Registry(here.rpc)
        yield found
        for place in found:
            place.client.close()


def test_every_proof_holds_in_its_place(places: list[Place]) -> None:
    assert len({place.head.root for place in places}) == len(places) == 8
    for place in places:
        for query, proof in zip(QUERIES, place.proofs, strict=True):
            answer = place.client.verify(proof, query, head=place.head)
            assert answer.describe()["publisher"] == place.head.describe()["publisher"]


def test_no_proof_holds_for_another_query_publisher_registry_or_chain(places: list[Place]) -> None:
    refused = 0
    proofs = [(place, query) for place in places for query in range(len(QUERIES))]
    for (of, asked), (here, query) in itertools.product(proofs, repeat=2):
        if (of, asked) != (here, query):
            with pytest.raises(ProofError):
                here.client.verify(of.proofs[asked], QUERIES[query], head=here.head)
            refused += 1
    assert refused >= 500


def test_no_head_is_taken_for_that_of_another_publisher_registry_or_chain(places: list[Place]) -> None:
    for one, other in itertools.permutations(places, 2):
        with pytest.raises(InputError, match="of another publisher, registry or chain"):
            one.client.verify(other.proofs[0], QUERIES[0], head=other.head)


def test_no_proof_of_storage_holds_in_another_place(places: list[Place]) -> None:
    for one, other in itertools.product(places, repeat=2):
        block, registry = one.head.anchored.block, one.head.anchored.domain.registry
        if one is other:
            assert verify_slots(block, registry, one.slots, one.storage)[0]
            continue
        with pytest.raises(ProofError):
            verify_slots(block, registry, one.slots, other.storage)


def test_no_signed_commit_is_one_in_another_place(places: list[Place]) -> None:
    for one, other in itertools.product(places, repeat=2):
        domain, publisher = one.head.anchored.domain, one.head.anchored.head.publisher
        if one is other:
            assert verify_head(one.signed, domain, publisher).root == one.head.root
            continue
        for signed in (other.signed, replace(other.signed, domain=domain)):
            with pytest.raises(ProofError):
                verify_head(signed, domain, publisher)
        relabelled = replace(other.signed.commit, publisher=publisher)
        with pytest.raises(ProofError):
            verify_head(replace(other.signed, domain=domain, commit=relabelled), domain, publisher)


# --- claim L0: a signed commit alone -------------------------------------------------------------------------------


def test_an_answer_is_verified_against_a_signed_commit_alone(places: list[Place]) -> None:
    place = places[0]
    domain, publisher = place.head.anchored.domain, place.head.anchored.head.publisher
    head = verify_head(place.signed, domain, publisher)
    answer = verify_signed(place.proofs[0], QUERIES[0], head)
    assert [str(row[0]) for row in answer.answer.rows] == ['"0"']
    assert {
        "claim": "L0",
        "state": None,
        "block": None,
        "age_seconds": None,
        "seq": 1,
    }.items() <= answer.describe().items()
    assert "not checked against a chain: there may be newer commits" in answer.sentence()


def test_a_signed_commit_of_another_root_does_not_do(places: list[Place]) -> None:
    domain, publisher = places[0].head.anchored.domain, places[0].head.anchored.head.publisher
    other = SignedCommit.make(domain, replace(places[0].signed.commit, root=places[1].head.root[4:]), KEYS[publisher])
    with pytest.raises(ProofError):
        verify_signed(places[0].proofs[0], QUERIES[0], verify_head(other, domain, publisher))
    with pytest.raises(ProofError):
        verify_signed(places[0].proofs[0], QUERIES[1], verify_head(places[0].signed, domain, publisher))


def test_a_signer_other_than_the_publisher_must_be_named(places: list[Place]) -> None:
    domain, publisher = places[0].head.anchored.domain, places[0].head.anchored.head.publisher
    hot = places[1].head.anchored.head.publisher
    signed = SignedCommit.make(domain, places[0].signed.commit, KEYS[hot])
    with pytest.raises(ProofError, match="is signed by"):
        verify_head(signed, domain, publisher)
    head = verify_head(signed, domain, publisher, signer=hot)
    assert isinstance(head, SignedHead)
    assert head.describe()["signer"] != head.describe()["publisher"]
    assert " by 0x" in head.sentence()
    with pytest.raises(ProofError, match="is signed by"):
        verify_head(places[0].signed, domain, publisher, signer=hot)


# --- row C3: stale roots -------------------------------------------------------------------------------------------

COMMITS, APART_S = 15, 100


@dataclass
class Past:
    """A chain of commits, a hundred seconds apart, as it was at each of them."""

    here: World
    commits: list[Committed]
    shown: list[Any]


@pytest.fixture(scope="module")
def past() -> Iterator[Past]:
    with devnet() as chain, world(chain.url) as here:
        start = int(here.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)  # noqa: FBT003 - JSON-RPC
        commits: list[Committed] = []
        for number in range(COMMITS):
            here.rpc("evm_setNextBlockTimestamp", start + APART_S * (number + 1))
            commits.append(here.registry.commit(here.publisher))
        yield Past(here, commits, [as_of(chain.url, committed.block) for committed in commits])
        for reader in here.opened:
            reader.close()


@pytest.mark.parametrize("known", range(COMMITS - 1))
def test_a_stale_head_is_taken_only_within_the_bound_and_never_behind_what_was_final(past: Past, known: int) -> None:
    here = past.here
    now = here.now = past.commits[-1].time + 7
    for at, committed in enumerate(past.commits):
        here.proxy.rule = past.shown[at]
        trusted = TrustedHeads(None)
        trusted.put(here.registry.domain, past.commits[known], final=True)
        client = here.client(trusted)
        if at < known:
            with pytest.raises(RollbackError, match=f"commit {known + 1} was final before"):
                client.head()
            continue
        age = now - committed.time
        assert age == APART_S * (COMMITS - 1 - at) + 7
        head = client.head(max_age=age)
        assert (head.committed, head.age) == (committed, age)
        with pytest.raises(StaleError, match=f"is {age} s old; {age - 1} s is accepted"):
            client.head(max_age=age - 1)


def test_a_proof_of_an_older_root_is_refused_by_every_later_head() -> None:
    stores = [dkg.MemoryPageStore() for _ in range(COMMITS)]
    data = [f'<http://e/a> <http://e/p> "{number}" .'.encode() for number in range(COMMITS)]
    roots = [dkg.build(dkg.load(text, format="nt"), store) for text, store in zip(data, stores, strict=True)]
    proofs = [dkg.prove(store, root, QUERIES[0]).car for root, store in zip(roots, stores, strict=True)]
    for older, newer in itertools.combinations(range(COMMITS), 2):
        with pytest.raises(ProofError):
            dkg.verify(proofs[older], QUERIES[0], roots[newer])
        with pytest.raises(ProofError):
            dkg.verify(proofs[newer], QUERIES[0], roots[older])


# --- row C8: parts of different answers ----------------------------------------------------------------------------


@dataclass
class Answers:
    """For each commit of `Past`: what an endpoint says of the block it is in."""

    past: Past
    blocks: list[dict[str, Any]]
    headers: list[Header]
    proofs: list[dict[str, Any]]
    """Of the publisher's head, and of the first commit's entry and this one's."""


@pytest.fixture(scope="module")
def answers(past: Past) -> Answers:
    rpc, registry = past.here.rpc, past.here.registry
    blocks = [rpc("eth_getBlockByNumber", hex(committed.block), False) for committed in past.commits]  # noqa: FBT003
    proofs = [
        rpc(
            "eth_getProof",
            "0x" + registry.address.hex(),
            ["0x" + slot.hex() for slot in _slots(past, at)],
            block["number"],
        )
        for at, block in enumerate(blocks)
    ]
    return Answers(past, blocks, [header_of_json(block) for block in blocks], proofs)


def _slots(past: Past, at: int) -> list[bytes]:
    return [head_slot(past.here.publisher), entry_slot(past.commits[at].position)]


def test_parts_of_different_answers_do_not_make_one(answers: Answers) -> None:
    past = answers.past
    rng = random.Random(8)
    cases = {tuple(rng.randrange(COMMITS) for _ in range(4)) for _ in range(400)}
    cases = {case for case in cases if len(set(case)) > 1}
    assert len(cases) >= 300
    for header, account, storage, committed in cases:
        proof = {
            "accountProof": answers.proofs[account]["accountProof"],
            "storageProof": answers.proofs[storage]["storageProof"],
        }
        with pytest.raises(ProofError):
            _checked(answers, answers.headers[header], _slots(past, storage), proof, past.commits[committed])


def _checked(
    answers: Answers, header: Header, slots: list[bytes], proof: dict[str, Any], committed: Committed
) -> AnchoredHead:
    """What a client checks of an answer."""
    registry = answers.past.here.registry
    head, entry = verify_slots(header, registry.address, slots, proof)
    return check_commit(registry.domain, header, Head.unpack(committed.publisher, head), entry, committed)


def test_the_parts_of_one_answer_make_one(answers: Answers) -> None:
    for at, committed in enumerate(answers.past.commits):
        slots = _slots(answers.past, at)
        assert _checked(answers, answers.headers[at], slots, answers.proofs[at], committed).committed == committed


def test_a_valid_entry_of_another_publisher_is_refused_cve_2022_36056(answers: Answers) -> None:
    # There a valid entry of the log was taken that was about something else.
    past, mine = answers.past, answers.past.commits[0]
    other = replace(mine, commit=replace(mine.commit, publisher=past.here.registry.accounts[1]))
    head = Head(past.here.publisher, past.here.publisher, retired=False, seq=1, position=0)
    domain, block = past.here.registry.domain, answers.headers[0]
    assert check_commit(domain, block, head, int.from_bytes(mine.entry()), mine).committed == mine
    with pytest.raises(ProofError, match="is not its latest"):
        check_commit(domain, block, head, int.from_bytes(other.entry()), other)


def test_a_valid_entry_that_is_not_that_of_the_head_is_refused_cve_2024_53267(answers: Answers) -> None:
    # There an entry was taken that belonged to another signature than the one in the bundle.
    past, domain = answers.past, answers.past.here.registry.domain
    newest, older = past.commits[-1], past.commits[-2]
    head = Head(past.here.publisher, past.here.publisher, retired=False, seq=COMMITS, position=newest.position)
    entry = int.from_bytes(newest.entry())
    assert check_commit(domain, answers.headers[-1], head, entry, newest).committed == newest
    with pytest.raises(ProofError, match="not what the registry logged"):
        check_commit(domain, answers.headers[-1], head, entry, older)
    with pytest.raises(ProofError, match="is not its latest"):
        check_commit(domain, answers.headers[-1], head, int.from_bytes(older.entry()), older)


def test_a_block_is_taken_only_with_the_hash_of_its_contents_cve_2024_54140(answers: Answers) -> None:
    # There the signature over the checkpoint, from which all else follows, was not checked. Ours is the block's hash.
    past, registry = answers.past, answers.past.here.registry
    commit = Commit(past.here.publisher, 1, b"\x66" * 32, 1, bytes(32), 1)
    forged = Committed(commit, 0, 0, past.commits[-1].block, past.commits[-1].time)
    storage = HexaryTrie({})
    for slot, value in ((head_slot(past.here.publisher), 1 << 48), (entry_slot(0), int.from_bytes(forged.entry()))):
        storage[keccak256(slot)] = encode(value.to_bytes(32).lstrip(b"\0"))
    state = HexaryTrie({})
    state[keccak256(registry.address)] = encode([b"\1", b"", storage.root_hash, keccak256(b"code")])
    proof = {
        "accountProof": _nodes(state, registry.address),
        "storageProof": [{"proof": _nodes(storage, slot)} for slot in (head_slot(past.here.publisher), entry_slot(0))],
    }
    header = replace(answers.headers[-1], state_root=state.root_hash)
    words = verify_slots(header, registry.address, [head_slot(past.here.publisher), entry_slot(0)], proof)
    head = Head.unpack(past.here.publisher, words[0])
    assert check_commit(registry.domain, header, head, words[1], forged).committed == forged  # all of it fits
    with pytest.raises(HeaderError, match="is not the hash"):
        header_of_json(answers.blocks[-1] | {"stateRoot": "0x" + state.root_hash.hex()})


def _nodes(trie: HexaryTrie, key: bytes) -> list[str]:
    return ["0x" + encode(_item(node)).hex() for node in trie.get_proof(keccak256(key))]  # type: ignore[no-untyped-call]


def _item(node: Any) -> Any:  # noqa: ANN401 - a node of another implementation
    return bytes(node) if isinstance(node, bytes) else [_item(part) for part in node]


def test_time_is_that_of_the_block_and_of_nothing_unsigned_cve_2026_48816(past: Past) -> None:
    # There a time was believed that nobody had signed. Events name one, and the publisher another.
    here = past.here
    here.proxy.rule = edited(
        ("eth_getLogs",), lambda logs: [log | {"blockTimestamp": "0x1", "timeStamp": "0x1"} for log in logs]
    )
    here.now = past.commits[-1].time + 5
    head = here.client().head(max_age=5)
    assert head.committed == past.commits[-1]
    assert (head.age, head.describe()["anchored_time"]) == (5, past.commits[-1].time)
    assert past.commits[-1].commit.created != past.commits[-1].time
