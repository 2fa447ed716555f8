"""What a worker is handed is the dataset of what the caller may read, to the last page: no quad and no page more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.car import read_car
from dkg.dataset import build_dataset
from dkg.page import DatasetRoot, Inner
from dkg.pages import MemoryPageStore, Pages, ProvedPages, StoredPages
from dkg.private import private_graph
from node.private.audience import Audiences
from node.private.packed import private_dataset
from tests.node.http.world import ual

if TYPE_CHECKING:
    from dkg.terms import Quad

NAMES = ("a", "b", "c", "d")
TERMS = [b"<https://e.org/%d>" % number for number in range(12)]

triples = st.lists(st.tuples(*[st.sampled_from(TERMS)] * 3), max_size=60)
parts = st.lists(st.tuples(*[st.sampled_from(TERMS)] * 3), min_size=1, max_size=60)


def reached(pages: Pages, root: bytes) -> set[bytes]:
    """The CIDs of a dataset's pages."""
    found, waiting = set[bytes](), [root]
    while waiting:
        cid = waiting.pop()
        if cid not in found:
            found.add(cid)
            page = pages.page(cid)
            waiting += page.trees if isinstance(page, DatasetRoot) else page.children if isinstance(page, Inner) else ()
    return found


@settings(max_examples=60, deadline=None)
@given(
    public=triples, private=st.fixed_dictionaries(dict.fromkeys(NAMES, parts)), granted=st.sets(st.sampled_from(NAMES))
)
def test_an_audience_is_the_dataset_of_what_may_be_read(
    public: list[tuple[bytes, bytes, bytes]],
    private: dict[str, list[tuple[bytes, bytes, bytes]]],
    granted: set[str],
) -> None:
    everybodys: list[Quad] = [(*triple, ual(0, NAMES[at % 4]).graph) for at, triple in enumerate(public)]
    of = {name: [(*triple, private_graph(ual(0, name))) for triple in private[name]] for name in NAMES}
    store = MemoryPageStore()
    root = build_dataset([everybodys], store)
    datasets = [private_dataset(ual(0, name), of[name]) for name in sorted(granted)]
    audience = Audiences().made(StoredPages(store), root, datasets)

    wanted = MemoryPageStore()
    expected = build_dataset([everybodys, *(of[name] for name in granted)], wanted)
    assert audience.root == expected
    blocks = read_car(audience.car, audience.root, 10_000)
    assert blocks.keys() <= reached(StoredPages(wanted), expected)
    assert reached(ProvedPages(store.pages | blocks), audience.root) == reached(StoredPages(wanted), expected)
