"""Nothing unverified reaches a prompt, whatever the store of pages says and whatever the index was built from.

The index here is itself a lie: it was built from a dataset that has false triples and old ones beside true ones. The
pages of one publisher come from a store that lies in one of the ways of the mutation catalogue.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg import pages
from dkg.page import cid_of, decode
from retrieval.index import KnowledgeIndex
from retrieval.model import AbsentKind
from retrieval.pipeline import Budget, Retriever
from retrieval.prompt import pack
from retrieval.prompt.profiles import profile_of
from retrieval.reading import Reader
from tests.fuzz.grammar import case
from tests.retrieval.reading.liars import KINDS, OLD_AND_OTHER, Liar, lies_about, stored_case
from tests.retrieval.reading.world import published, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.model import Context
    from tests.oracle import Quad
    from tests.retrieval.reading.world import Published

PEOPLE = ("Ada Lovelace", "Eve Curie", "Max Planck", "Rosa Parks", "Alan Turing", "Grace Hopper")
LABEL = b"<http://www.w3.org/2000/01/rdf-schema#label>"
BORN = b"<http://e/birthPlace>"
LIAR, HONEST = "liar", "honest"


def about(people: tuple[str, ...], town: str, graph: bytes) -> list[Quad]:
    """Where people were born, and what all of it is called. A town's name is that of its kind, with a number."""
    said = [(BORN, LABEL, b'"born in"')]
    for number, person in enumerate(people):
        name, place = f"{town} {number}", f"<http://e/{town}_{number}>".encode()
        iri = f"<http://e/{person.replace(' ', '_')}>".encode()
        said += [(iri, LABEL, f'"{person}"'.encode()), (iri, BORN, place), (place, LABEL, f'"{name}"'.encode())]
    return [(*triple, graph) for triple in said]


TRUE = about(PEOPLE[:5], "Trueham", b"<http://e/g>")
FALSE = about(PEOPLE, "Falseville", b"<http://e/g>")
ALSO_TRUE = about(PEOPLE[3:5], "Trueham", b"<http://e/h>")
WHOLE = stored_case(replace(case(1), quads=tuple(TRUE)))
OTHER = stored_case(replace(case(1), quads=tuple(FALSE)))
QUESTIONS = [f"Where was {person} born?" for person in PEOPLE] + ["Who was born in Falseville 2?"]


@pytest.fixture(scope="module")
def index() -> Iterator[KnowledgeIndex]:
    """An index of the truth and of lies, of which it does not know which is which."""
    both = published(LIAR, [*TRUE, *FALSE]), published(HONEST, ALSO_TRUE)
    with KnowledgeIndex.build([one.snapshot for one in both]) as built:
        yield built


def check(context: Context, truth: list[Published]) -> int:
    """Nothing in a context is false, or in what a model gets to read of it; gives how many facts there are."""
    said = {one.publisher: {quad[:3] for quad in one.quads} for one in truth}
    for fact in context.facts:
        assert all(fact.statement in said[origin.publisher] for origin in fact.origins)
        assert fact.origins
    for absent in context.absent:
        if absent.kind is AbsentKind.EMPTY:
            for publisher in absent.publishers:
                assert not any(s == absent.subject and p == absent.predicate for s, p, _ in said[publisher])
    assert set(context.labels.values()) <= {quad[2].decode().strip('"') for one in truth for quad in one.quads}
    packed = pack(replace(context, question="Who is it?"), profile_of("generic-small"))
    assert "False" not in packed.text
    return len(context.facts)


def asked(index: KnowledgeIndex, name: str, *, always: bool = False) -> tuple[int, int]:
    """Ask everything of a publisher with a store that lies in one way; gives how many facts and lies were told."""
    rng = random.Random(name)
    false = lies_about(WHOLE, name, rng, OTHER if name in OLD_AND_OTHER else None) or dict(WHOLE.store)
    store = Liar(rng, dict(WHOLE.store), false)
    store.share = 1.0 if always else store.share
    truth = [shown(LIAR, WHOLE.root, store, TRUE), published(HONEST, ALSO_TRUE)]
    facts = 0
    for question in QUESTIONS:
        reader = Reader([one.snapshot for one in truth])
        facts += check(Retriever(reader, index).retrieve(question, Budget(tokens=150)), truth)
    return facts, store.lied


def test_no_lie_of_a_store_or_an_index_comes_into_a_prompt(index: KnowledgeIndex) -> None:
    told = {name: asked(index, name) for name in KINDS}
    assert sum(lied > 0 for _, lied in told.values()) > len(KINDS) // 3
    assert all(facts > 0 for facts, _ in told.values()), "the honest publisher is not heard"


def test_what_a_lying_index_proposes_is_dropped_and_counted(index: KnowledgeIndex) -> None:
    truth = [published(LIAR, TRUE), published(HONEST, ALSO_TRUE)]
    context = Retriever(Reader([one.snapshot for one in truth]), index).retrieve(QUESTIONS[0], Budget(tokens=150))
    assert check(context, truth)
    assert any(b"Falseville" in one.statement.object for one in context.dropped)


def test_a_question_that_only_lies_would_answer_has_no_answer(index: KnowledgeIndex) -> None:
    truth = [published(LIAR, TRUE), published(HONEST, ALSO_TRUE)]
    context = Retriever(Reader([one.snapshot for one in truth]), index).retrieve(QUESTIONS[5], Budget(tokens=150))
    assert check(context, truth) == 0
    assert context.dropped


def test_a_store_that_was_believed_would_be_seen(index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "decode", lambda _cid, raw: decode(cid_of(raw), raw))
    with pytest.raises(AssertionError):
        asked(index, "the dataset of somebody else", always=True)
