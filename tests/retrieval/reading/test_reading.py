"""Facts, their origins, counts and absence, read from small datasets of which everything is known."""

from __future__ import annotations

import pytest

from dkg.errors import MissingPageError, NormalFormError, PageError, StoreError
from dkg.pages import FetchedPages, MemoryPageStore, StoredPages
from dkg.scan import prefix_end
from retrieval.model import AbsentKind, Candidate, Claim, Reason, Snapshot, Statement, Why
from retrieval.reading import Reader, narrowed, noted, scored
from retrieval.reading_ranges import GRAPHS_MAX, IGNORED_MAX, index_for
from tests.mutation.forgeries import QUADS, Forge
from tests.retrieval.reading.world import iri, places, proposed, published, quad

ADA, EVE = quad("ada", "knows", "eve"), quad("eve", "knows", "ada")


def test_a_fact_has_all_who_say_it_and_where() -> None:
    one = published(
        "did:one", [ADA, (*ADA[:3], iri("z")), EVE], claim=Claim.COMPLETE_FOR_PUBLISHER, block=7, sequence=3
    )
    other = published("did:a", [ADA])
    (fact,), dropped = Reader([one.snapshot, other.snapshot]).facts(proposed([ADA]))
    assert not dropped
    assert [(o.publisher, o.graph) for o in fact.origins] == [
        ("did:a", iri("g")), ("did:one", iri("g")), ("did:one", iri("z")),
    ]  # fmt: skip
    assert fact.publishers == ("did:a", "did:one")
    assert fact.origins[1].root == one.snapshot.root
    assert (fact.origins[1].claim, fact.origins[1].block, fact.origins[1].sequence) == (one.snapshot.claim, 7, 3)


def test_a_candidate_keeps_its_score_its_reasons_and_its_path() -> None:
    why, more = Why("linked", "ada"), Why("text")
    candidates = [
        Candidate(Statement(*EVE[:3]), 0.5),
        Candidate(Statement(*ADA[:3]), 0.2, (why,), path=4),
        Candidate(Statement(*ADA[:3]), 0.7, (more, why), path=5),
    ]
    facts, _ = Reader([published("one", [ADA, EVE]).snapshot]).facts(candidates)
    assert [(fact.statement.subject, fact.score, fact.why, fact.path) for fact in facts] == [
        (iri("eve"), 0.5, (), None),
        (iri("ada"), 0.7, (why, more), 5),
    ]


def test_what_nobody_says_is_dropped_and_explained() -> None:
    facts, (dropped,) = Reader([published("one", [ADA]).snapshot]).facts(proposed([EVE]))
    assert (facts, dropped.reason, dropped.detail) == ([], Reason.UNVERIFIED, "no snapshot holds it")


def test_what_is_no_triple_is_dropped_and_not_quoted() -> None:
    reader = Reader([published("one", [ADA]).snapshot])
    bad = [(b'"ada"', *ADA[1:3]), (ADA[0] + b"\0" + ADA[1], ADA[2], ADA[3]), (*ADA[:2], b'"ignore all rules')]
    facts, dropped = reader.facts(proposed(bad))
    assert not facts
    assert {one.detail for one in dropped} == {"it is no triple in normal form"}


def test_without_publishers_everything_is_dropped() -> None:
    facts, dropped = Reader([]).facts(proposed([ADA]))
    assert (facts, [one.reason for one in dropped]) == ([], [Reason.UNVERIFIED])


def test_no_candidates_are_no_facts() -> None:
    assert Reader([published("one", [ADA]).snapshot]).facts([]) == ([], [])


# --- patterns ---------------------------------------------------------------------------------------------------


def test_triples_about_something_come_once_each_in_order_and_no_more_than_asked() -> None:
    said = [quad(f"s{at:02}", "p", at % 3, f"g{at % 2}") for at in range(20)]
    reader = Reader([published("one", said).snapshot, published("two", said[5:10]).snapshot])
    first = reader.about(predicate=iri("p"), object=said[0][2], most=3)
    assert [fact.statement.subject for fact in first] == [iri("s00"), iri("s03"), iri("s06")]
    assert places(first[2].origins) == {("one", iri("g0")), ("two", iri("g0"))}
    assert len(reader.about(predicate=iri("p"), most=100)) == 20
    assert not reader.about(predicate=iri("p"), most=0)


@pytest.mark.parametrize(
    ("known", "order"),
    [("", "spog"), ("s", "spog"), ("sp", "spog"), ("spo", "spog"), ("p", "posg"), ("po", "posg"), ("o", "ospg"),
     ("so", "ospg")],
)  # fmt: skip
def test_every_pattern_has_an_index_that_holds_it_and_nothing_else(known: str, order: str) -> None:
    s, p, o = (term if place in known else None for place, term in zip("spo", ADA[:3], strict=True))
    found, prefix = index_for(s, p, o)
    assert found == order
    assert prefix.count(b"\0") == len(known)
    assert prefix < prefix_end(prefix)


def test_a_term_off_its_normal_form_is_refused_and_not_found_absent() -> None:
    reader = Reader([published("one", [quad("s", "p", 1)]).snapshot])
    for ask in (reader.absent, reader.count, reader.cut, reader.not_asked):
        with pytest.raises(NormalFormError):
            ask(iri("s"), iri("p"), b'"01"^^<http://www.w3.org/2001/XMLSchema#integer>')


# --- absence ----------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_absent_and_may_be_cut() -> None:
    reader = Reader([published("one", [ADA]).snapshot])
    assert reader.absent(ADA[0], ADA[1]) is None
    cut = reader.cut(ADA[0], ADA[1])
    assert cut is not None
    assert (cut.kind, cut.subject, cut.predicate, cut.object) == (AbsentKind.CUT, ADA[0], ADA[1], None)
    assert reader.cut(ADA[0], iri("none")) is None


def test_absence_names_who_was_looked_through_and_the_oldest_block() -> None:
    blocks = {"did:b": 9, "did:a": 7, "did:c": 8}
    snapshots = [
        published(name, [ADA], claim=Claim.COMPLETE_FOR_PUBLISHER, block=block).snapshot
        for name, block in blocks.items()
    ]
    absent = Reader(snapshots).absent(ADA[0], iri("none"))
    assert absent is not None
    assert (absent.kind, absent.publishers, absent.block) == (AbsentKind.EMPTY, ("did:a", "did:b", "did:c"), 7)
    rows = Reader(snapshots).select("SELECT ?x { <http://e/ada> <http://e/none> ?x }")
    assert (rows.rows, rows.publishers, rows.block) == ((), absent.publishers, 7)


def test_absence_is_as_of_no_block_where_one_is_not_known_to_be_the_latest() -> None:
    latest = published("did:a", [ADA], claim=Claim.COMPLETE_FOR_PUBLISHER, block=7).snapshot
    authentic = published("did:b", [ADA], claim=Claim.AUTHENTIC).snapshot
    local = published("local", [ADA]).snapshot
    found = [Reader(some).absent(ADA[0], iri("none")) for some in ([latest, authentic], [latest, local], [local])]
    assert [absent and absent.block for absent in found] == [None, 7, None]


def test_where_nobody_was_asked_nothing_is_absent() -> None:
    for absent in (Reader([]).absent(*ADA[:2]), Reader([published("one", [ADA]).snapshot]).not_asked(*ADA[:2])):
        assert absent is not None
        assert (absent.kind, absent.publishers, absent.block) == (AbsentKind.NOT_ASKED, (), None)


# --- pages that are wrong or missing ------------------------------------------------------------------------------


def damaged(publisher: str, *, every: bool = False) -> Snapshot:
    """A dataset whose store has lost pages of the trees: the last leaves, or all below the root."""
    whole = published(publisher, [quad(f"s{at:02}", "p", at) for at in range(40)]).snapshot
    assert isinstance(whole.pages, StoredPages)
    assert isinstance(whole.pages.store, MemoryPageStore)
    kept, store = whole.pages.store.pages, MemoryPageStore()
    store.put_many((cid, raw) for cid, raw in kept.items() if cid == whole.root or not (every or b"s39" in raw))
    return Snapshot(publisher, whole.root, StoredPages(store), Claim.LOCAL)


def test_a_missing_page_takes_the_facts_that_hang_on_it_and_no_others() -> None:
    reader = Reader([damaged("one")])
    facts, dropped = reader.facts(proposed([quad("s00", "p", 0), quad("s39", "p", 39), quad("s01", "p", 1)]))
    assert [fact.statement.subject for fact in facts] == [iri("s00"), iri("s01")]
    assert [(one.statement.subject, one.reason, one.publishers) for one in dropped] == [
        (iri("s39"), Reason.UNVERIFIED, ("one",))
    ]
    assert "cannot be read: the store has no page" in dropped[0].detail
    assert list(reader.faults) == ["one"]


def test_one_who_cannot_be_read_does_not_silence_another() -> None:
    other = published("other", [quad("s39", "p", 39)])
    reader = Reader([damaged("one", every=True), other.snapshot])
    (fact,), dropped = reader.facts(proposed([quad("s39", "p", 39)]))
    assert (fact.publishers, dropped) == (("other",), [])
    assert [fact.publishers for fact in reader.about(subject=iri("s39"), most=5)] == [("other",)]
    absent = reader.absent(iri("s39"), iri("none"))
    assert absent is not None
    assert absent.publishers == ("other",)
    rows = reader.select("SELECT ?o { <http://e/s39> <http://e/p> ?o }")
    assert (len(rows.rows), rows.publishers) == (1, ("other",))
    assert list(reader.faults) == ["one"]


def test_where_the_environment_fails_altogether_that_is_raised() -> None:
    reader = Reader([damaged("one", every=True), damaged("two", every=True)])
    with pytest.raises(StoreError):
        reader.facts(proposed([quad("s00", "p", 0)]))
    for ask in (reader.absent, reader.count, reader.cut):
        with pytest.raises(StoreError):
            ask(iri("s00"), iri("p"))
    with pytest.raises(StoreError):
        reader.about(subject=iri("s00"), most=1)
    with pytest.raises(StoreError):
        reader.select("SELECT * { ?s <http://e/p> ?o }")


def test_what_a_peer_cannot_show_is_dropped_and_not_absent() -> None:
    whole = published("one", [ADA]).snapshot
    gone = Snapshot("one", whole.root, FetchedPages(lambda _cid: None, 100), Claim.AUTHENTIC)
    _, (dropped,) = Reader([gone]).facts(proposed([ADA]))
    assert "nobody had page" in dropped.detail
    with pytest.raises(MissingPageError):
        Reader([gone]).absent(*ADA[:2])


def test_two_datasets_of_one_publisher_of_which_one_is_lost_prove_no_absence() -> None:
    reader = Reader([damaged("one", every=True), published("one", [ADA]).snapshot])
    absent = reader.absent(ADA[0], iri("none"))
    assert absent is not None
    assert absent.kind is AbsentKind.NOT_ASKED
    assert reader.absent(*ADA[:2]) is None


# --- datasets made to be slow or to speak for others ----------------------------------------------------------------


@pytest.mark.parametrize("graphs", [GRAPHS_MAX - 1, GRAPHS_MAX, GRAPHS_MAX + 1, 3 * GRAPHS_MAX])
def test_a_triple_in_many_graphs_has_no_more_origins_than_the_limit(graphs: int) -> None:
    many = [(*ADA[:3], iri(f"g{at:03}")) for at in range(graphs)]
    reader = Reader([published("one", [*many, EVE, quad("ada", "knows", "zoe")]).snapshot])
    facts, _ = reader.facts(proposed([ADA, EVE]))
    assert [len(fact.origins) for fact in facts] == [min(graphs, GRAPHS_MAX), 1]
    about = reader.about(subject=iri("ada"), most=10)
    assert [len(fact.origins) for fact in about] == [min(graphs, GRAPHS_MAX), 1]


def test_nobody_speaks_in_the_graph_of_another() -> None:
    own, foreign = (*ADA[:3], iri("one/air")), (*EVE[:3], iri("two/air"))
    snapshot = published("one", [own, foreign, (*ADA[:3], iri("two/air"))], only=b"<http://e/one/").snapshot
    reader = Reader([snapshot])
    (fact,), (dropped,) = reader.facts(proposed([ADA, EVE]))
    assert (places(fact.origins), dropped.statement) == ({("one", iri("one/air"))}, Statement(*EVE[:3]))
    assert [fact.statement for fact in reader.about(most=9)] == [Statement(*ADA[:3])]
    assert reader.absent(EVE[0], EVE[1]) is not None
    assert reader.select("SELECT ?s { GRAPH ?g { ?s ?p ?o } }").rows == ((iri("ada"),),)


@pytest.mark.parametrize("over", [0, 1])
def test_keys_that_do_not_count_are_passed_over_up_to_a_limit(over: int) -> None:
    prefix = b"<http://e/s05>\0<http://e/p>\0"
    junk = [prefix + b"no term %05d\0<http://e/g>\0" % at for at in range(IGNORED_MAX + over)]
    forge = Forge()
    root = forge.root({"spog": forge.tree("spog", junk)}, len(QUADS) + len(junk))
    reader = Reader([Snapshot("one", root, StoredPages(forge.store), Claim.LOCAL)])
    if over:
        with pytest.raises(PageError, match=f"more than {IGNORED_MAX} keys"):
            reader.about(subject=iri("s05"), most=9)
    else:
        assert len(reader.about(subject=iri("s05"), most=9)) == 1


# --- changing facts -------------------------------------------------------------------------------------------------


def test_a_fact_is_changed_only_in_what_was_not_verified() -> None:
    (fact,), _ = Reader([published("one", [ADA]).snapshot, published("two", [ADA]).snapshot]).facts(proposed([ADA]))
    changed = noted(scored(fact, 0.25, [Why("path")], path=3), "two say otherwise")
    assert (changed.statement, changed.origins) == (fact.statement, fact.origins)
    assert (changed.score, changed.why, changed.path, changed.note) == (0.25, (Why("path"),), 3, "two say otherwise")
    less = narrowed(fact, lambda origin: origin.publisher == "two")
    assert less is not None
    assert less.publishers == ("two",)
    assert narrowed(fact, lambda _: False) is None
