"""`dkg bench`: what queries, proofs and verification cost on one's own data; peers are for `scripts/bench`."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

import dkg
from dkg.client.cli.datasets import opened, root_of
from dkg.client.cli.table import aligned
from dkg.client.files import compress
from dkg.client.progress import duration, grouped, size
from dkg.page import ORDERS
from dkg.pages import RecordedPages, StoredPages
from dkg.scan import LAST, Cursor, nth_key
from dkg.terms import quad_of, quads_only

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from dkg.client.cli.console import Console
    from dkg.pages import Pages
    from dkg.terms import Quad

_SUBJECTS = 32
_ROWS = 1000
_FOREVER = 10**9


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kind of question costs: medians, times in seconds, sizes in bytes."""

    question: str
    query: float
    prove: float
    verify: float
    pages: float
    proof: float
    compressed: float


def bench(args: argparse.Namespace, console: Console) -> int:
    """Measure, and print a table."""
    with opened(args.store) as store:
        root = root_of(store, args.root)
        pages = StoredPages(store)
        dataset = pages.root(root)
        samples = list(_samples(pages, dataset.trees[0], dataset.count))
        found = [_measured(name, texts, pages, root, args.seconds) for name, texts in _questions(samples)]
        scanned, seconds = _scan(pages, dataset.trees[ORDERS.index("spog")], args.seconds)
        sizes = _page_sizes(pages, dataset.trees[0], dataset.count)
    if console.json:
        rate = scanned / seconds if seconds else 0.0
        facts = {"root": dkg.root_text(root), "quads": dataset.count, "scan_keys_per_second": rate, **sizes}
        console.object({**facts, "questions": [asdict(figures) for figures in found]})
        return 0
    names = ["question", "query", "prove", "verify", "pages", "proof", "compressed"]
    rows = [
        [f.question, *map(duration, (f.query, f.prove, f.verify)), grouped(f.pages), size(f.proof), size(f.compressed)]
        for f in found
    ]
    console.line(aligned(names, rows, [False, *[True] * 6]))
    console.line(f"scan: {grouped(scanned / seconds if seconds else 0)} keys/s")
    console.line(f"pages, median: {size(sizes['page_bytes'])}, compressed {size(sizes['page_bytes_compressed'])}")
    console.say(f"{grouped(dataset.count)} quads, root {dkg.root_text(root)}; medians over {len(samples)} subjects")
    return 0


def _samples(pages: Pages, tree: bytes, count: int) -> Iterator[Quad]:
    """Quads evenly spread over the dataset."""
    for at in range(min(count, _SUBJECTS)):
        for key in quads_only([nth_key(pages, tree, at * count // min(count, _SUBJECTS))], "spog"):
            yield quad_of(key, "spog")


def _questions(samples: Sequence[Quad]) -> Iterator[tuple[str, list[str]]]:
    """Kinds of questions, each as queries about the sampled quads."""
    terms = [tuple(term.decode() for term in quad) for quad in samples]
    yield "all of a subject", [f"SELECT ?p ?o WHERE {{ {s} ?p ?o }}" for s, _, _, _ in terms]
    yield "no such subject", [f"SELECT ?p ?o WHERE {{ {s[:-1]}-none> ?p ?o }}" for s, _, _, _ in terms]
    yield "who has this value", [f"SELECT ?s WHERE {{ ?s {p} {o} }} LIMIT {_ROWS}" for _, p, o, _ in terms]
    predicates = list(dict.fromkeys(p for _, p, _, _ in terms))
    yield f"{_ROWS} of a predicate", [f"SELECT ?s ?o WHERE {{ ?s {p} ?o }} LIMIT {_ROWS}" for p in predicates]
    graphs = {(p, g) for _, p, _, g in terms}
    yield (
        "count of a predicate",
        [f"SELECT (COUNT(*) AS ?n) WHERE {{ GRAPH {g} {{ ?s {p} ?o }} }}" for p, g in sorted(graphs)],
    )


def _measured(name: str, texts: Sequence[str], pages: Pages, root: bytes, seconds: float) -> Figures:
    proofs = {text: dkg.prove(pages, root, text) for text in texts}
    return Figures(
        name,
        _median(texts, lambda text: dkg.query(pages, root, text), seconds),
        _median(texts, lambda text: dkg.prove(pages, root, text), seconds),
        _median(texts, lambda text: dkg.verify(proofs[text].car, text, root), seconds),
        *(
            median([value(proof) for proof in proofs.values()] or [0])
            for value in (lambda p: p.pages, lambda p: len(p.car), lambda p: len(compress(p.car)))
        ),
    )


def _median(texts: Sequence[str], run: Callable[[str], object], seconds: float) -> float:
    """The median time of `run`, over the texts in turn, until the time is up; each is run once at least."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while texts and (len(times) < len(texts) or time.perf_counter() < end):
        start = time.perf_counter()
        run(texts[len(times) % len(texts)])
        times.append(time.perf_counter() - start)
    return median(times or [0.0])


def _scan(pages: Pages, tree: bytes, seconds: float) -> tuple[int, float]:
    """How many keys were scanned, and in how many seconds."""
    start, scanned = time.perf_counter(), 0
    for keys in Cursor(pages, tree).batches(b"", LAST):
        scanned += len(keys)
        if time.perf_counter() - start > seconds:
            break
    return scanned, time.perf_counter() - start


def _page_sizes(pages: Pages, tree: bytes, count: int) -> dict[str, float]:
    """The median page on the way to the sampled entries."""
    read = RecordedPages(pages, _FOREVER, _FOREVER)
    list(_samples(read, tree, count))
    raw = [data for _, data in read.blocks()]
    return {
        "page_bytes": median([len(data) for data in raw] or [0]),
        "page_bytes_compressed": median([len(compress(data)) for data in raw] or [0]),
    }
