"""Where snapshots come from, on a real chain: who is revoked or retired, or shows no proof, has none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.chain.commit import Commit, SignedCommit
from dkg.chain.ual import Publisher, Ual
from dkg.client.anchored import PendingError, StaleError
from dkg.client.rpc import ChainError
from dkg.client.signed import verify_head
from dkg.dataset import build_dataset, update_dataset
from dkg.errors import InputError, ProofError, StoreError
from dkg.page import cid_text
from dkg.pages import MemoryPageStore, StoredPages
from node.devnet.chain import devnet
from retrieval.model import LOCAL, AbsentKind, Claim
from retrieval.reading import Reader
from retrieval.sources import RevokedError, Source, anchored, changes, current, local, signed
from tests.chain.lies import dead
from tests.chain.registry import KEYS
from tests.chain.world import DEPTH, World, world
from tests.retrieval.reading.world import iri, proposed, quad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.terms import Quad
    from retrieval.model import Snapshot


@pytest.fixture(scope="module")
def built() -> Iterator[World]:
    with devnet() as chain, world(chain.url) as made:
        yield made


@pytest.fixture
def here(built: World) -> Iterator[World]:
    with built.undone():
        yield built


def publisher_of(here: World) -> Publisher:
    domain = here.registry.domain
    return Publisher(domain.chain_id, domain.registry, here.publisher)


def asset(here: World, *quads: Quad, name: str = "air") -> list[Quad]:
    """Quads in the graph of one of the publisher's assets."""
    graph = Ual(publisher_of(here), name).graph
    return [(s, p, o, graph) for s, p, o, _ in quads]


def publish(here: World, store: MemoryPageStore, quads: list[Quad]) -> bytes:
    """Build a dataset and commit it."""
    root = build_dataset([quads], store)
    here.registry.commit(here.publisher, root[4:])
    return root


ADA, EVE = quad("ada", "born", 1815), quad("eve", "born", 1900)


def test_an_anchored_snapshot_says_whose_it_is_and_as_of_when(here: World) -> None:
    store = MemoryPageStore()
    root = publish(here, store, asset(here, ADA))
    client = here.client()
    snapshot = anchored(client, store)
    committed = here.registry.latest[here.publisher]
    assert (snapshot.publisher, snapshot.root, snapshot.claim) == (
        publisher_of(here).did, root, Claim.COMPLETE_FOR_PUBLISHER,
    )  # fmt: skip
    assert (snapshot.state, snapshot.sequence, snapshot.block) == ("pending", 1, here.height())
    assert snapshot.committed == committed.time
    assert snapshot.time is not None
    assert snapshot.time >= committed.time
    (fact,), _ = Reader([snapshot]).facts(proposed([ADA]))
    assert fact.origins[0].graph_iri == str(Ual(publisher_of(here), "air"))
    absent = Reader([snapshot]).absent(iri("ada"), iri("died"))
    assert absent is not None
    assert (absent.publishers, absent.block) == ((snapshot.publisher,), snapshot.block)


def test_what_was_retracted_is_gone_at_the_next_question(here: World) -> None:
    store, client = MemoryPageStore(), here.client()
    first = publish(here, store, asset(here, ADA, EVE))
    before = anchored(client, store)
    second = update_dataset(StoredPages(store), first, [], asset(here, ADA), store)
    here.registry.commit(here.publisher, second[4:])
    now = anchored(client, store)
    assert [len(Reader([one]).facts(proposed([ADA, EVE]))[0]) for one in (before, now)] == [2, 1]
    absent = Reader([now]).absent(ADA[0], ADA[1])
    assert absent is not None
    assert absent.kind is AbsentKind.EMPTY
    assert Reader([now]).select("SELECT ?s { ?s <http://e/born> ?o }").rows == ((iri("eve"),),)


@pytest.mark.parametrize(("function", "word"), [("revoke", "revoked its key"), ("retire", "has retired")])
@pytest.mark.parametrize("final", [True, False])
def test_a_publisher_without_a_key_is_not_read_from_the_next_question_on(
    here: World, function: str, word: str, *, final: bool
) -> None:
    store, client = MemoryPageStore(), here.client()
    publish(here, store, asset(here, ADA))
    here.mine(DEPTH)
    assert Reader([anchored(client, store, final=final)]).facts(proposed([ADA]))[0]
    here.registry.call(function, here.publisher, sender=here.publisher)
    with pytest.raises(RevokedError, match=word):
        anchored(client, store, final=final)
    snapshots, (excluded,) = current([Source(client, store)], final=final)
    assert (snapshots, excluded.publisher) == ([], publisher_of(here).did)
    assert word in excluded.reason
    facts, dropped = Reader(snapshots).facts(proposed([ADA]))
    assert (facts, len(dropped)) == ([], 1)


@pytest.mark.parametrize("final", [True, False])
def test_a_key_that_is_revoked_above_a_pending_commit_is_seen_when_final_ones_are_asked_for(
    here: World, *, final: bool
) -> None:
    store, client = MemoryPageStore(), here.client()
    publish(here, store, asset(here, ADA))
    here.mine(DEPTH)
    publish(here, store, asset(here, EVE))
    assert len(Reader([anchored(client, store, final=True)]).facts(proposed([ADA]))[0]) == 1
    here.registry.call("revoke", here.publisher, sender=here.publisher)
    with pytest.raises(RevokedError):
        anchored(client, store, final=final)


def test_a_publisher_that_names_a_new_key_is_read_again(here: World) -> None:
    store, client = MemoryPageStore(), here.client()
    root = publish(here, store, asset(here, ADA))
    here.registry.call("revoke", here.publisher, sender=here.publisher)
    with pytest.raises(RevokedError):
        anchored(client, store)
    here.registry.call("rotate", here.publisher, here.registry.accounts[3], sender=here.publisher)
    assert anchored(client, store).root == root


def test_what_is_not_final_is_not_read_where_only_that_is_wanted(here: World) -> None:
    store, client = MemoryPageStore(), here.client()
    first = publish(here, store, asset(here, ADA))
    with pytest.raises(PendingError):
        anchored(client, store, final=True)
    here.mine(DEPTH)
    publish(here, store, asset(here, EVE))
    snapshot = anchored(client, store, final=True)
    assert (snapshot.root, snapshot.state, snapshot.sequence) == (first, "final", 1)


def test_who_has_committed_nothing_or_is_stale_or_cannot_be_reached_is_left_out_and_said_so(here: World) -> None:
    store, client = MemoryPageStore(), here.client()
    with pytest.raises(ProofError, match="committed nothing"):
        anchored(client, store)
    publish(here, store, asset(here, ADA))
    here.now = here.clock() + 10_000
    with pytest.raises(StaleError):
        anchored(client, store, max_age=60)
    (excluded,) = current([Source(client, store)], max_age=60)[1]
    assert "old" in excluded.reason
    here.now = None
    here.proxy.rule = dead()
    with pytest.raises(ChainError):
        anchored(client, store)
    assert not current([Source(client, store)])[0]


def test_nobody_is_read_in_a_graph_of_another(here: World) -> None:
    other = Publisher(publisher_of(here).chain_id, publisher_of(here).registry, here.registry.accounts[1])
    foreign = (*EVE[:3], Ual(other, "air").graph)
    store = MemoryPageStore()
    publish(here, store, [*asset(here, ADA), foreign])
    reader = Reader([anchored(here.client(), store)])
    facts, dropped = reader.facts(proposed([ADA, EVE]))
    assert ([fact.statement.subject for fact in facts], len(dropped)) == ([iri("ada")], 1)
    assert reader.absent(EVE[0], EVE[1]) is not None


# --- without a chain ---------------------------------------------------------------------------------------------


def test_a_signed_head_is_authentic_and_no_more(here: World) -> None:
    store = MemoryPageStore()
    quads = asset(here, ADA)
    root = build_dataset([quads], store)
    commit = Commit(here.publisher, 1, root[4:], 1, bytes(32), 1_800_000_000)
    domain = here.registry.domain
    given = SignedCommit(domain, commit, commit.sign(domain, KEYS[here.publisher]))
    head = verify_head(given, domain, here.publisher)
    snapshot = signed(head, store)
    assert (snapshot.publisher, snapshot.claim, snapshot.block) == (publisher_of(here).did, Claim.AUTHENTIC, None)
    absent = Reader([snapshot]).absent(iri("ada"), iri("died"))
    assert absent is not None
    assert absent.block is None


def test_a_store_of_ones_own_is_read_by_its_root() -> None:
    store = MemoryPageStore()
    root = build_dataset([[ADA]], store)
    for name in (root, cid_text(root)):
        snapshot = local(store, name)
        assert (snapshot.publisher, snapshot.root, snapshot.claim) == (LOCAL, root, Claim.LOCAL)
    shared = StoredPages(store)
    assert local(shared, root).pages is shared
    with pytest.raises(InputError, match="not a CID"):
        local(store, "bafy")
    with pytest.raises(StoreError):
        local(store, root[:-1] + b"\0")


# --- what changed ------------------------------------------------------------------------------------------------


def changed(old: Snapshot | None, new: Snapshot | None) -> tuple[set[Quad], set[Quad]]:
    """All that went and all that came."""
    batches = list(changes(old, new))
    return {quad for went, _ in batches for quad in went}, {quad for _, came in batches for quad in came}


@pytest.mark.parametrize("shared", [True, False])
def test_what_changed_between_two_snapshots_is_told_and_nothing_else(*, shared: bool) -> None:
    quads = [quad(f"s{at:03}", "p", at) for at in range(300)]
    store, other = MemoryPageStore(), MemoryPageStore()
    old = local(store, build_dataset([quads], store))
    new_store = store if shared else other
    new = local(old.pages if shared else other, build_dataset([[*quads[5:], ADA]], new_store))
    assert changed(old, new) == (set(quads[:5]), {ADA})
    assert changed(None, new) == (set(), {*quads[5:], ADA})
    assert changed(old, None) == (set(quads), set())
    assert changed(new, new) == changed(None, None) == (set(), set())


def test_changes_in_graphs_that_do_not_count_are_none(here: World) -> None:
    store, client = MemoryPageStore(), here.client()
    publish(here, store, asset(here, ADA))
    old = anchored(client, store)
    publish(here, store, [*asset(here, ADA, EVE), EVE])
    assert changed(old, anchored(client, store)) == (set(), set(asset(here, EVE)))


def test_changes_between_two_publishers_are_refused() -> None:
    store = MemoryPageStore()
    root = build_dataset([[ADA]], store)
    with pytest.raises(InputError, match="two publishers"):
        changed(local(store, root), local(store, root, publisher="other"))
