"""An index that followed any changes holds what an index holds that was built at once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index import KnowledgeIndex
from tests.retrieval.family import ALIAS, GRAPH, LABEL, iri, snapshot
from tests.retrieval.index.dumped import dumped

_SUBJECTS = st.sampled_from([iri(name) for name in ("a", "b", "c", "name", "p")])
_PREDICATES = st.sampled_from([iri("p"), iri("q"), iri("name"), LABEL, ALIAS])
_OBJECTS = st.sampled_from(
    [iri("a"), iri("b"), iri("p"), b'"one"', b'"Two words"@en', b'"Zwei"@de', b'"one two"',
     b'"7"^^<http://www.w3.org/2001/XMLSchema#integer>', b'"..."']
)  # fmt: skip
_GRAPHS = st.sampled_from([GRAPH, b"<https://example.org/other>"])
_QUADS = st.lists(st.tuples(_SUBJECTS, _PREDICATES, _OBJECTS, _GRAPHS), max_size=12)
_STATES = st.lists(st.dictionaries(st.sampled_from(["one", "two"]), _QUADS, max_size=2), min_size=2, max_size=5)


@settings(max_examples=settings().max_examples // 2)
@given(_STATES)
def test_following_changes_gives_what_building_gives(
    states: list[dict[str, list[tuple[bytes, bytes, bytes, bytes]]]],
) -> None:
    versions = [[snapshot(quads, publisher) for publisher, quads in state.items()] for state in states]
    with KnowledgeIndex.build(versions[0]) as index:
        for old, new in pairwise(versions):
            index.move(old, new)
            with KnowledgeIndex.build(new) as fresh:
                assert dumped(index) == dumped(fresh)
