"""The Python API: what `import dkg` gives. Thin functions; each says which module does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from dkg.dataset import build_dataset, diff_datasets, update_dataset
from dkg.errors import InputError
from dkg.evaluate import ALL_GRAPHS, Dataset, evaluate
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.page import cid_text
from dkg.pages import Pages, PageStore, RecordedPages, StoredPages
from dkg.proof import prove as make_proof
from dkg.proof import root_bytes, verify
from dkg.rdf import parse_quads, quads_of_rdflib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

    from dkg.answer import Answer
    from dkg.proof import Proof
    from dkg.terms import Quad

DEFAULT_GRAPH = "urn:dkg:default"
"""The graph of triples that are loaded without one."""

Source = PageStore | Pages
"""Where pages come from: a store, or any `Pages` (recorded, proved, fetched)."""


def _pages(source: Source) -> Pages:
    return source if isinstance(source, Pages) else StoredPages(source)


def load(
    source: bytes | BinaryIO | object,
    *,
    format: str | None = None,  # noqa: A002 - what rdflib and pyoxigraph call it
    graph: str = DEFAULT_GRAPH,
    base_iri: str | None = None,
) -> Iterator[list[Quad]]:
    """RDF as batches of quads in normal form, ready for `build` or `update` (`dkg.rdf`).

    `source`: bytes or a binary file in `format` ("ttl", "nq", "jsonld", ...), or an rdflib Graph or Dataset.
    `graph`: the graph of triples that have none. Raises `RdfError` and `LimitError`.
    """
    name = f"<{graph}>".encode()
    if isinstance(source, bytes) or hasattr(source, "read"):
        if format is None:
            raise InputError(
                "say which format the RDF is in: format='ttl', 'nt', 'nq', 'trig', 'jsonld', 'xml' or 'n3'"
            )
        stream = cast("bytes | BinaryIO", source)
        return parse_quads(stream, format=format, base_iri=base_iri, graph=name)
    return quads_of_rdflib(source, graph=name)


def build(batches: Iterable[list[Quad]], store: PageStore) -> bytes:
    """Build a dataset from batches of quads; its pages go to `store`. Gives its root (`dkg.dataset`)."""
    return build_dataset(batches, store)


def update(source: PageStore, root: bytes | str, add: Iterable[Quad], remove: Iterable[Quad]) -> bytes:
    """The root of a dataset with quads added and removed; new pages go to the store (`dkg.dataset`)."""
    return update_dataset(StoredPages(source), root_bytes(root), add, remove, source)


def diff(source: Source, old: bytes | str, new: bytes | str) -> Iterator[tuple[list[Quad], list[Quad]]]:
    """What changed from one dataset to another: batches of quads that went and quads that came (`dkg.diff`)."""
    return diff_datasets(_pages(source), root_bytes(old), root_bytes(new))


def query(
    source: Source,
    root: bytes | str,
    text: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> Answer:
    """Answer a query. `now`: the xsd:dateTime that NOW() gives; without it, NOW() is refused (`dkg.evaluate`)."""
    recorded = RecordedPages(_pages(source), budget.pages, budget.proof_bytes)
    return evaluate(recorded, root_bytes(root), text, dataset=dataset, budget=budget, base_iri=base_iri, now=now)


def prove(
    source: Source,
    root: bytes | str,
    text: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> Proof:
    """Answer a query and prove the answer (`dkg.proof`)."""
    return make_proof(_pages(source), root, text, dataset=dataset, budget=budget, base_iri=base_iri, now=now)


def root_text(root: bytes) -> str:
    """A root as people write it: `bafyrei...`."""
    return cid_text(root)


__all__ = ["build", "diff", "load", "prove", "query", "root_text", "update", "verify"]
