"""`Following`, and what an index is of: who counts, whose pages can be read, and which graphs."""

from __future__ import annotations

from dataclasses import replace

import pytest

import dkg
from dkg.errors import MissingPageError, ProofError, StoreError
from dkg.pages import MemoryPageStore, Pages, StoredPages
from retrieval import reading_ranges, unheard
from retrieval.following import REST, Following, roots_of
from retrieval.index import KnowledgeIndex
from retrieval.model import ASIDE, LOCAL, AbsentKind, Context, Reason, Snapshot
from retrieval.policy import Policy
from retrieval.proofs import claims, prove_claim
from retrieval.reading import Reader
from retrieval.service import Knowledge
from retrieval.sources import changes
from tests.retrieval.policy.world import ANN, BOB, EVE, NOW, iri, says

LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"


class Losing(Pages):
    """Pages that are lost while `lost` is set."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self.lost = False

    def page(self, cid: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as in `Pages`
        if self.lost:
            raise MissingPageError("the page is lost")
        return self._pages.page(cid)


def losing(snapshot: Snapshot) -> tuple[Snapshot, Losing]:
    pages = Losing(snapshot.pages)
    return replace(snapshot, pages=pages), pages


def has(following: Following, *names: str) -> list[bool]:
    assert following.index is not None
    return [following.index.node(iri(name)) is not None for name in names]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


# --- whose pages cannot be read ------------------------------------------------------------------------------------


def test_whoever_cannot_be_read_is_left_out_and_tried_again() -> None:
    good, (bad, pages) = says(ANN, ":a :p :b"), losing(says(EVE, ":e :p :f"))
    pages.lost = True
    following = Following(None, None, clock=Clock())
    assert following.follow([good, bad])
    assert has(following, "a", "e") == [True, False]
    assert list(following.left_out) == [EVE]
    assert following.roots == roots_of([good, bad])
    assert not following.follow([good, bad])
    pages.lost = False
    assert following.follow([good, bad])
    assert has(following, "a", "e") == [True, True]
    assert not following.left_out
    following.close()


def test_whoever_can_be_read_no_more_leaves_the_index_and_others_move_on() -> None:
    old, (new, pages) = says(EVE, ":e :p :f"), losing(says(EVE, ":e :p :g"))
    pages.lost = True
    following = Following(None, None, clock=Clock())
    following.follow([says(ANN, ":a :p :b"), old, says(BOB, ":b :p :c")])
    following.follow([says(ANN, ":a :p :z"), new])
    assert has(following, "a", "z", "e", "f", "c") == [True, True, False, False, False]
    following.close()


def test_an_index_whose_old_pages_are_gone_is_built_anew() -> None:
    (old, pages), new = losing(says(EVE, ":e :p :f")), says(EVE, ":e :p :g")
    following = Following(None, None, clock=Clock())
    following.follow([says(ANN, ":a :p :b"), old])
    pages.lost = True
    following.follow([says(ANN, ":a :p :b"), new])
    assert has(following, "a", "f", "g") == [True, False, True]
    assert not following.left_out
    following.close()


def test_where_nobody_can_be_read_it_says_so_and_tries_again() -> None:
    (one, pages), (other, more) = losing(says(ANN, ":a :p :b")), losing(says(EVE, ":e :p :f"))
    pages.lost = more.lost = True
    following = Following(None, None)
    for _ in range(2):
        with pytest.raises((StoreError, ProofError), match="lost"):
            following.follow([one, other])
        assert following.index is None
    pages.lost = False
    assert following.follow([one, other])
    following.close()


def test_a_try_that_takes_long_is_not_made_at_each_question() -> None:
    clock = Clock()
    bad, pages = losing(says(EVE, ":e :p :f"))

    class Slow(Losing):
        def page(self, cid: bytes):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as in `Pages`
            clock.now += 5.0
            return super().page(cid)

    slow = Slow(pages)
    slow.lost = True
    snapshots = [says(ANN, ":a :p :b"), replace(bad, pages=slow)]
    following = Following(None, None, clock=clock)
    following.follow(snapshots)
    took, slow.lost = clock.now, False
    clock.now += REST * took - 1.0
    assert not following.follow(snapshots)
    clock.now += 1.0
    assert following.follow(snapshots)
    following.close()


def test_a_lost_publisher_stops_no_question_and_is_named() -> None:
    good = says(ANN, f':ada {LABEL} "Ada" ; :born :rome . :born {LABEL} "born" .')
    bad = replace(says(EVE, ":e :p :f"), pages=StoredPages(MemoryPageStore()))
    with Knowledge(lambda: ([good, bad], []), now=lambda: float(NOW)) as knowledge:
        context = knowledge.retrieve("Where was Ada born?").context
    assert [fact.statement.object for fact in context.facts] == [iri("rome")]
    assert any(EVE in note for note in context.notes)


# --- who counts ----------------------------------------------------------------------------------------------------


def test_an_index_moves_when_other_graphs_count() -> None:
    one = says(ANN, "<urn:mine> { :a :p :b } <urn:other> { :c :p :d }")
    following = Following(None, None)
    assert following.follow([one])
    assert following.follow([replace(one, only=b"<urn:mine")])
    assert has(following, "a", "c") == [True, False]
    following.close()


@pytest.mark.parametrize("follows", [False, True])
def test_a_change_of_policy_moves_the_index_with_the_next_question(*, follows: bool) -> None:
    denied = Policy.from_yaml(f"publishers: {{deny: ['{EVE}']}}")
    policy = Policy()
    snapshots = [says(ANN, ":a :p :b"), says(EVE, ":e :p :f")]
    with Knowledge(lambda: (snapshots, []), policy=lambda: policy, follows=follows, now=lambda: float(NOW)) as asked:
        for policy, heard in ((Policy(), True), (denied, False), (Policy(), True)):  # noqa: B007 - the lambda sees it
            if follows:
                asked.follow()
            asked.about("http://e/a")
            assert has(asked._following, "a", "e") == [True, heard]
            assert bool(asked.about("http://e/e").facts) == heard


def test_what_they_say_who_do_not_count_is_told_beside_the_answer_and_changes_nothing_in_it() -> None:
    policy = Policy.from_yaml(f"publishers: {{deny: ['{EVE}', '{BOB}']}}")
    names = f':a {LABEL} "Ada" . :b {LABEL} "Byron" . :child {LABEL} "child" .'
    honest, false = says(ANN, f"{names} :a :child :b"), says(EVE, f"{names} :a :child :e . :x :child :y")
    lost, pages = losing(says(BOB, ":a :child :f"))  # who does not count may be unreadable too
    pages.lost = True
    with Knowledge(lambda: ([honest], []), policy=lambda: policy, now=lambda: float(NOW)) as alone:
        before = alone.retrieve("Who is the child of Ada?")
    with Knowledge(lambda: ([false, honest, lost], []), policy=lambda: policy, now=lambda: float(NOW)) as asked:
        found = asked.retrieve("Who is the child of Ada?")
    assert found.context.facts == before.context.facts
    assert found.texts == before.texts
    told = [(one.statement.object, one.reason, one.publishers) for one in found.context.dropped]
    assert told == [(iri("e"), Reason.PUBLISHER, (EVE,))]


def test_so_many_of_those_who_do_not_count_are_looked_through_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unheard, "DATASETS_MAX", 2)
    policy = Policy.from_yaml(f"publishers: {{allow: ['{ANN}']}}")
    names = f':a {LABEL} "Ada" . :child {LABEL} "child" .'
    strangers = [says(f"did:pkh:eip155:1:{n}", f":a :child :e{n}") for n in range(3)]
    for many in (2, 3):
        heads = [*strangers[:many], says(ANN, f"{names} :a :child :b")]
        with Knowledge(lambda: (heads, []), policy=lambda: policy, now=lambda: float(NOW)) as asked:  # noqa: B023
            found = asked.retrieve("Who is the child of Ada?")
        assert {one.statement.object for one in found.context.dropped} == {iri("e0"), iri("e1")}


# --- graphs about assets -------------------------------------------------------------------------------------------

DATA = (
    "<urn:x> {{ :a :p :b . :c :q :both }} <urn:x#provenance> {{ :x :license :free . :c :q :both }} "
    "<urn:x#items> {{ :a :from {} }}"
)


def test_what_is_said_of_assets_is_neither_indexed_nor_read() -> None:
    one = says(LOCAL, DATA.format(":page"))
    index = KnowledgeIndex.build([one])
    reader = Reader([one])
    assert [index.node(iri(name)) is not None for name in ("a", "b", "x", "page")] == [True, True, False, False]
    assert reader.about(iri("x"), most=9) == reader.about(iri("a"), iri("from"), most=9) == []
    (both,) = reader.about(iri("c"), most=9)
    assert [origin.graph for origin in both.origins] == [b"<urn:x>"]
    (row,) = reader.select("SELECT (COUNT(*) AS ?n) { GRAPH ?g { ?s ?p ?o } }").rows
    assert row[0] is not None
    assert row[0].startswith(b'"2"')
    absent = reader.absent(iri("x"), iri("license"))
    assert absent is not None
    assert absent.kind is AbsentKind.EMPTY


def test_it_is_still_asked_for_and_proved_by_sparql() -> None:
    one = says(LOCAL, DATA.format(":page"))
    query = "ASK { GRAPH <urn:x#provenance> { <http://e/x> <http://e/license> <http://e/free> } }"
    made = dkg.prove(one.pages, one.root, query)
    assert dkg.verify(made.car, query, dkg.root_text(one.root)).boolean


def test_the_proof_of_an_absence_does_not_look_there_either() -> None:
    one = says(LOCAL, DATA.format(":page"))
    absent = Reader([one]).absent(iri("x"), iri("license"))
    assert absent is not None
    (claimed,) = claims(Context("", (), (absent,), snapshots=(one,)))
    assert not dkg.verify(prove_claim(claimed).car, claimed.query, dkg.root_text(one.root)).boolean


def test_a_change_of_them_changes_no_index_and_none_of_what_is_told() -> None:
    old, new = says(ANN, DATA.format(":page")), says(ANN, DATA.format(":another"))
    assert all(not went and not came for went, came in changes(old, new))
    index = KnowledgeIndex.build([old])
    index.move([old], [new])
    assert index.node(iri("another")) is None
    index.close()


def test_many_of_them_in_one_range_are_passed_over_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(f"<urn:x{n}{end[:-1].decode()}> {{ :a :p :b{n} }}" for n in range(6) for end in ASIDE)
    one = says(ANN, text + " <urn:x> { :a :p :z }")
    monkeypatch.setattr(reading_ranges, "ASIDE_MAX", 12)
    monkeypatch.setattr(reading_ranges, "IGNORED_MAX", 0)
    (fact,) = Reader([one]).about(iri("a"), most=9)
    assert fact.statement.object == iri("z")
    monkeypatch.setattr(reading_ranges, "ASIDE_MAX", 11)
    with pytest.raises(ProofError, match="about assets"):
        Reader([one]).about(iri("a"), most=9)
