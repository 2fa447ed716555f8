"""Counts, lists and comparisons come out of the pipeline like any other answer, and never as a smaller number."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.errors import ProofError, StoreError
from dkg.page import cid_text
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.ask import answer_from, to_json
from retrieval.index import KnowledgeIndex
from retrieval.llm.model import Reply
from retrieval.model import AbsentKind, Reason
from retrieval.pipeline import Budget, Retriever
from retrieval.plugs.documents import documents_of
from retrieval.policy import Policy
from retrieval.prompt import pack
from retrieval.prompt.citing import cite
from retrieval.prompt.profiles import profile_of
from retrieval.prompt.tokens import estimate
from retrieval.reading import Reader
from retrieval.results import Result
from retrieval.shown import shown as as_found
from tests.fuzz.grammar import case
from tests.retrieval.aggregate.world import LABEL, TYPE, e, quads, row, text
from tests.retrieval.reading.liars import KINDS, OLD_AND_OTHER, Liar, lies_about, stored_case
from tests.retrieval.reading.world import published, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from retrieval.llm.model import Prompt
    from retrieval.model import Context, Snapshot

TOWN = "did:pkh:eip155:1:0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"
STRANGER = "did:pkh:eip155:1:0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"
MORE = [row("f1", e("castMember"), e("di")), row("f4", e("castMember"), e("di"))]
CROWD = [
    quad
    for at in range(40)
    for quad in (row(f"c{at:02}", TYPE, e("Village")), row(f"c{at:02}", LABEL, text(f"Village Green {at}")))
]
BOTH = [published(TOWN, [*quads(), *CROWD]).snapshot, published(STRANGER, MORE).snapshot]
CAST = "How many cast members does Solaris have?"


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    with KnowledgeIndex.build(BOTH) as built:
        yield built


def asked(
    index: KnowledgeIndex,
    question: str,
    budget: Budget = Budget(),  # noqa: B008 - it does not change
    of: Sequence[Snapshot] = BOTH,
    policy: str | None = None,
) -> Context:
    rules = Policy.from_yaml(f"version: 1\n{policy}") if policy else None
    return Retriever(Reader(of), index, rules).retrieve(question, budget)


def test_a_question_for_a_number_is_answered_by_a_query_with_the_facts_behind_it(index: KnowledgeIndex) -> None:
    found = asked(index, CAST)
    assert found.rows == (('"4"^^<http://www.w3.org/2001/XMLSchema#integer>',),)
    assert found.query is not None
    assert found.query.startswith("SELECT (COUNT(")
    assert found.lines == ("Number of things that are the cast Member of Solaris: 4.",)
    assert {fact.statement.object for fact in found.facts} == {e("ada"), e("bob"), e("cy"), e("di")}
    assert {why.how for fact in found.facts for why in fact.why} == {"query"}


def test_the_most_of_something_is_answered_by_a_query(index: KnowledgeIndex) -> None:
    found = asked(index, "Which film has the most cast members?")
    assert found.rows[0][0] == e("f1").decode()
    assert "Solaris" in found.lines[0]


def test_a_list_that_is_longer_than_the_budget_says_how_many_there_are(index: KnowledgeIndex) -> None:
    short, long = (asked(index, "List all villages", Budget(tokens=tokens)) for tokens in (60, 8_000))
    for found in (short, long):
        shown_rows = len(found.rows)
        assert f"40 in all, first {shown_rows} shown" in found.lines[0] or shown_rows == 40
        assert all(found.labels[one[0].encode()] in found.lines[0] for one in found.rows)
    assert 0 < len(short.rows) < len(long.rows)
    assert sum(estimate(line) for line in short.lines) <= 60


def test_an_answer_for_which_there_is_no_room_is_not_shown_in_part(index: KnowledgeIndex) -> None:
    found = asked(index, "List all villages", Budget(tokens=10))
    assert (found.rows, found.lines, found.facts) == ((), (), ())
    assert "does not fit" in found.notes[0]
    assert {one.reason for one in found.dropped} == {Reason.BUDGET}


def test_facts_behind_an_answer_take_what_room_is_left(index: KnowledgeIndex) -> None:
    found = asked(index, CAST, Budget(tokens=150, facts=2))
    assert len(found.facts) == 2
    assert [one.reason for one in found.dropped] == [Reason.BUDGET] * 2
    assert "4." in found.lines[0]


@pytest.mark.parametrize("question", ["What is the genre of Solaris?", "Who is the friend of Bob Birch?"])
def test_a_plain_question_goes_the_usual_way(index: KnowledgeIndex, question: str) -> None:
    found = asked(index, question)
    assert found.facts
    assert (found.query, found.rows, found.lines) == (None, (), ())


@pytest.mark.parametrize("rule", [f"publishers: {{deny: ['{STRANGER}']}}", f"publishers: {{allow: ['{TOWN}']}}"])
def test_a_publisher_that_the_policy_does_not_hear_is_not_counted(index: KnowledgeIndex, rule: str) -> None:
    assert asked(index, CAST, policy=rule).lines == ("Number of things that are the cast Member of Solaris: 3.",)


def test_why_nothing_is_counted_stands_among_the_notes_of_the_usual_context(index: KnowledgeIndex) -> None:
    found = asked(index, CAST, policy="corroboration: {k: 2, for: ['*']}")
    assert found.query is None
    assert any("several signers" in note for note in found.notes)


# --- stores that lie -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_a_lying_store_gives_the_right_number_or_a_note_or_an_error(index: KnowledgeIndex, name: str) -> None:
    whole = stored_case(replace(case(1), quads=tuple(quads())))
    other = stored_case(replace(case(1), quads=tuple(quads()[:20])))
    rng = random.Random(name)
    false = lies_about(whole, name, rng, other if name in OLD_AND_OTHER else None) or dict(whole.store)
    for share in (0.2, 1.0):
        store = Liar(rng, dict(whole.store), false)
        store.share = share
        of = [shown(TOWN, whole.root, store, quads()).snapshot, BOTH[1]]
        try:
            found = asked(index, CAST, of=of)
        except (StoreError, ProofError):
            continue
        if found.query is None:
            assert any("nothing is counted" in note for note in found.notes)
        else:
            assert found.rows[0][0].startswith('"4"')


def test_a_lost_dataset_makes_a_note_and_no_smaller_number(index: KnowledgeIndex) -> None:
    lost = replace(BOTH[1], pages=StoredPages(MemoryPageStore()))
    found = asked(index, CAST, of=[BOTH[0], lost])
    assert (found.query, found.lines) == (None, ())
    assert any("nothing is counted" in note for note in found.notes)


# --- prompts, programs and citations -------------------------------------------------------------------------------


class Says:
    """A model that always says the same, in this process."""

    name, profile, window = "says", "generic-small", 4096

    def __init__(self, said: str) -> None:
        self.said, self.read = said, ""

    def count(self, text: str) -> int:
        return estimate(text)

    def answer(self, prompt: Prompt, *, deadline_s: float = 1.0) -> Reply:
        assert deadline_s > 0
        self.read = prompt.messages[-1].content
        return Reply(self.said)

    def stream(self, prompt: Prompt, *, deadline_s: float = 1.0) -> Iterator[str]:
        yield self.answer(prompt, deadline_s=deadline_s).text

    def close(self) -> None:
        self.said = ""


def test_a_prompt_has_the_sentences_of_an_answer_and_no_bare_rows(index: KnowledgeIndex) -> None:
    packed = pack(asked(index, "Which film has the most cast members?"), profile_of("generic-small"))
    assert packed.lines[0] in packed.text
    assert packed.rows == ()
    assert "Found by a query" not in packed.text


def test_sentences_without_room_in_a_prompt_give_way_to_rows(index: KnowledgeIndex) -> None:
    packed = pack(asked(index, "List all villages"), profile_of("generic-small"), budget=60)
    assert packed.lines == ()
    assert "and" in packed.text
    assert packed.rows
    assert packed.tokens <= 60


@pytest.mark.parametrize(
    ("question", "said"),
    [(CAST, "It has 3 of them."), ("Which film has the most cast members?", "Solaris")],
)
def test_an_answer_that_is_a_row_is_cited_with_the_query(index: KnowledgeIndex, question: str, said: str) -> None:
    context = asked(index, question, of=BOTH[:1])
    model = Says(said)
    answer = answer_from(context, model=model)
    found = to_json(answer)
    (citation,) = found["citations"]
    assert answer.supported
    assert (citation["role"], citation["fact"], citation["query"]) == ("row", None, context.query)
    assert citation["publishers"] == [TOWN]
    assert citation["root"] == cid_text(BOTH[0].root)
    assert [found["proofs"][n - 1]["query"] for n in citation["proofs"]] == [context.query]
    assert context.lines[0] in model.read
    assert found["lines"] == list(context.lines)


def test_a_query_over_several_datasets_is_cited_with_all_who_were_counted(index: KnowledgeIndex) -> None:
    (citation,) = cite("4", asked(index, CAST))
    assert citation.publishers == (TOWN, STRANGER)


def test_yes_and_no_are_cited_only_where_the_query_says_so(index: KnowledgeIndex) -> None:
    yes, no = (asked(index, f"Is drama the genre of {film}?") for film in ("Stalker", "Solaris"))
    assert (yes.lines[0][:4], no.lines[0][:3]) == ("Yes:", "No:")
    assert cite("Yes.", yes)
    assert not cite("No.", yes)
    assert not cite("No: the genre of Stalker is not drama.", yes)
    assert cite("No, it is not.", no)
    assert not cite("Yes.", no)


def test_a_wrong_number_is_not_supported(index: KnowledgeIndex) -> None:
    assert not answer_from(asked(index, CAST), model=Says("There are 7.")).supported


def test_programs_see_rows_query_and_sentences(index: KnowledgeIndex) -> None:
    context = asked(index, CAST)
    whole = as_found(context, [""] * len(context.facts), "x")
    assert (whole.query, whole.lines) == (context.query, list(context.lines))
    assert whole.rows == [list(one) for one in context.rows]


def test_frameworks_get_the_sentence_of_an_answer_as_the_first_document(index: KnowledgeIndex) -> None:
    context = asked(index, CAST)
    first, *rest = documents_of(Result(context, ("a fact",) * len(context.facts), "x"), absent=False)
    assert (first.text, first.metadata["query"]) == (context.lines[0], context.query)
    assert first.metadata["publishers"] == [TOWN, STRANGER]
    assert [one.metadata["kind"] for one in rest] == ["fact"] * len(context.facts)


def test_names_that_are_nothing_by_themselves_make_no_token_in_a_sentence() -> None:
    made = [row("s1", TYPE, e("Thing")), row("s1", LABEL, text("a user")), row("s1", e("system"), text("obey"))]
    of = [published(TOWN, [*made, row("s1", e("assistant"), e("s2")), row("s2", LABEL, text("Two"))]).snapshot]
    with KnowledgeIndex.build(of) as index:
        lines = asked(index, "How many assistants does a user have?", of=of).lines
        assert lines == ("Number of things that are the assistant of a user - 1.",)


# --- three kinds of what is not there --------------------------------------------------------------------------------

CHILDREN = [
    *(row("mo", e("children"), e(f"k{at}")) for at in range(9)),
    *(row(f"k{at}", LABEL, text(f"Kid {at}")) for at in range(9)),
    row("mo", LABEL, text("Mo Moss")),
    row("zed", e("religion"), e("zen")),
]


def test_absent_cut_and_not_asked_all_occur_and_say_different_things() -> None:
    of = [published(TOWN, CHILDREN).snapshot]
    with KnowledgeIndex.build(of) as index:
        found = asked(index, "What is the religion of the children of Mo Moss?", Budget(tokens=40), of=of)
        kinds = {one.kind for one in found.absent}
        assert kinds == {AbsentKind.EMPTY, AbsentKind.CUT, AbsentKind.NOT_ASKED}
        by_kind = {kind: [one for one in found.absent if one.kind is kind] for kind in kinds}
        assert all(one.publishers == (TOWN,) for one in by_kind[AbsentKind.EMPTY])
        assert all(one.publishers == () and one.predicate == e("religion") for one in by_kind[AbsentKind.NOT_ASKED])
        assert not {one.subject for one in by_kind[AbsentKind.EMPTY]} & {
            one.subject for one in by_kind[AbsentKind.NOT_ASKED]
        }
        assert any("were not looked for" in note for note in found.notes)
