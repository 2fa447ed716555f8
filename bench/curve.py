"""The curve of page sizes: what other windows would make of proofs (docs/adr/0002-cuts.md)."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import dkg
from bench.data import ROOT, path_of
from dkg.build import build_tree
from dkg.client.files import compress
from dkg.cut import Shape
from dkg.page import ORDERS, DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.rdf import parse_quads
from dkg.terms import key_of

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = ((16, 8), (24, 8), (24, 16), (40, 4), (40, 8), (40, 16), (56, 8), (56, 16), (80, 8))
QUERIES = ("point", "count", "star", "scattered")


def curve(triples: int) -> str:
    """A table: window of leaves and of inner pages; build time, pages; compressed proof size and verify time."""
    source: Path = path_of("university", triples)
    with source.open("rb") as file:
        quads = [quad for batch in parse_quads(file, format="nq") for quad in batch]
    keys = {order: sorted({key_of(quad, order) for quad in quads}) for order in ORDERS}
    lines = ["| leaf | inner | trees, s | pages | " + " | ".join(f"{q}: kB, ms" for q in QUERIES) + " |"]
    lines.append("|---" * (4 + len(QUERIES)) + "|")
    for leaf, inner in SHAPES:
        store = MemoryPageStore()
        sink = PageSink(store)
        start = time.perf_counter()
        trees = [build_tree([keys[order]], sink, Shape(leaf, inner))[0] for order in ORDERS]
        root = sink.add(DatasetRoot(trees, len(keys["spog"])))
        sink.flush()
        cells = [str(leaf), str(inner), f"{time.perf_counter() - start:.1f}", str(len(store.pages))]
        cells += [_asked(store, root, name) for name in QUERIES]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _asked(store: MemoryPageStore, root: bytes, name: str) -> str:
    text = (ROOT / "bench" / "queries" / "university" / f"{name}.rq").read_text(encoding="utf-8")
    proof = dkg.prove(StoredPages(store), root, text)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        dkg.verify(proof.car, text, root)
        times.append(time.perf_counter() - start)
    return f"{len(compress(proof.car)) / 1e3:.1f}, {statistics.median(times) * 1e3:.1f}"
