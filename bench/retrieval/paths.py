"""PathQuestion through the whole pipeline: gold triples found, triples that are not gold, and how long it takes.

Per-question outputs go to `.cache/bench/retrieval`; what is reported are sums. Questions are of the held-out half.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, quantiles
from typing import TYPE_CHECKING, Any, Final

import dkg
from bench.data import CACHE, university
from bench.report import Row
from bench.retrieval import noise
from bench.retrieval.pathquestion import (
    GRAPH,
    distracting,
    knowledge,
    lines,
    names,
    questions,
    statement,
)
from dkg.client.store import SqliteStore
from dkg.errors import StoreError
from dkg.pages import StoredPages
from retrieval.embed import best_embedder
from retrieval.index import KnowledgeIndex
from retrieval.link import link
from retrieval.model import LOCAL, Claim, Snapshot
from retrieval.pipeline import Budget, Retriever
from retrieval.rank import by_rank, neighbourhood
from retrieval.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bench.report import Json
    from bench.retrieval.pathquestion import Question
    from retrieval.embed import Embedder

SEED: Final = 5
TEN_FACTS: Final = Budget(tokens=1_000, facts=10)
"""For "within 10 facts": no token counts."""
SMALL: Final = Budget(tokens=150)

SIZES: Final = (10_000, 1_000_000)
"""Triples of the graphs whose questions are timed."""
BARS_MS: Final = {10_000: (20.0, 50.0), 1_000_000: (50.0, 150.0)}
BARS: Final = {2: 95.0, 3: 90.0}
LESS_MAX: Final = 5.0
"""Points that typos and aliases may cost."""
NOT_GOLD_MAX: Final = 2.0


@dataclass(frozen=True, slots=True)
class Scores:
    """What a set of questions came to."""

    asked: int
    all_gold: float
    """Percent of the questions whose gold triples are all in the context of ten facts."""
    all_gold_small: float
    """The same with 150 tokens."""
    facts: float
    """Mean facts in the context of 150 tokens."""
    not_gold: float
    """Mean of those that are not on the annotated path."""
    p50: float
    p95: float
    """Milliseconds on the clock."""
    cpu50: float
    cpu95: float
    """Milliseconds of processor, which a busy machine does not change much."""


class Bench:
    """A graph on disk with its index and retriever."""

    def __init__(self, text: Iterable[str], folder: Path, embedder: Embedder | None) -> None:
        self.store = SqliteStore(folder / "store")
        data = "\n".join(text).encode()
        root = dkg.build(dkg.load(data, format="nt", graph=GRAPH), self.store)
        self.snapshots = [Snapshot(LOCAL, root, StoredPages(self.store), Claim.LOCAL)]
        started = time.perf_counter()
        self.index = KnowledgeIndex.build(self.snapshots, embedder, folder / "index")
        self.index_s = time.perf_counter() - started
        self.retriever = Retriever(Reader(self.snapshots), self.index, embedder=embedder)
        self.triples = len(self.index.edges.table)

    def close(self) -> None:
        """Close the files."""
        self.index.close()
        self.store.close()


def embedder_here() -> Embedder | None:
    """The best embedder, None where there are no weights."""
    try:
        return best_embedder(threads=1)
    except StoreError:
        return None


def held_out(hops: int, most: int) -> list[Question]:
    """Some questions of the held-out half."""
    found = [one for one in questions(hops) if one.is_held_out]
    return random.Random(SEED).sample(found, min(most, len(found)))  # noqa: S311 - the same every time


def scored(bench: Bench, asked: Sequence[Question], out: Path) -> Scores:
    """Ask them all."""
    ten, small, facts, extra, times, cpu = [], [], [], [], [], []
    with out.open("w", encoding="utf-8") as file:
        for one in asked:
            gold = set(map(statement, one.gold))
            started, spent = time.perf_counter(), time.process_time()
            context = bench.retriever.retrieve(one.text, SMALL)
            times.append(1000 * (time.perf_counter() - started))
            cpu.append(1000 * (time.process_time() - spent))
            found = {tuple(fact.statement) for fact in context.facts}
            more = {tuple(fact.statement) for fact in bench.retriever.retrieve(one.text, TEN_FACTS).facts}
            ten.append(gold <= more)
            small.append(gold <= found)
            facts.append(len(found))
            extra.append(len(found - gold))
            line = {"q": one.text, "ten": ten[-1], "small": small[-1], "extra": extra[-1], "ms": round(times[-1], 2)}
            file.write(json.dumps(line) + "\n")
    clock, processor = quantiles(times, n=20), quantiles(cpu, n=20)
    return Scores(
        len(asked),
        100 * mean(ten),
        100 * mean(small),
        mean(facts),
        mean(extra),
        clock[9],
        clock[18],
        processor[9],
        processor[18],
    )


def by_page_rank(bench: Bench, asked: Sequence[Question], hops: int) -> float:
    """The baseline: link, then the ten triples around the things named that personalised PageRank puts first."""
    hits = []
    for one in asked:
        mentions = link(bench.index, one.text).mentions[:1]
        edges = neighbourhood(bench.index, [m.node for m in mentions], hops)
        rows = [edges[at].tolist() for at, _ in by_rank(edges, {m.node: 1.0 for m in mentions})[:10]]
        found = {tuple(s) for s in bench.index.statements_of((s, p, o) for s, p, o in rows).values()}
        hits.append(set(map(statement, one.gold)) <= found)
    return 100 * mean(hits)


def variants(asked: Sequence[Question], everyone: Sequence[str]) -> dict[str, list[Question]]:
    """The questions as they are, with typos, with other names, and in other words."""
    renamed = noise.Renamed(everyone, SEED)
    return {
        "verbatim": list(asked),
        "typos": [noise.typed(one, SEED) for one in asked],
        "aliases": [renamed.question(one) for one in asked],
        "paraphrased": [noise.reworded(one, SEED) for one in asked],
    }


def measured(say: Callable[[str], None], *, quick: bool) -> tuple[list[Row], Json]:
    """All rows, and what they are made of."""
    out = CACHE / "retrieval"
    out.mkdir(parents=True, exist_ok=True)
    embedder = embedder_here()
    triples = knowledge()
    everyone = names(triples)
    listed = noise.aliases(everyone)
    rows: list[Row] = []
    details: dict[str, Any] = {"embedder": embedder.name if embedder else None}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench((*lines(triples, listed), *distracting()), Path(scratch), embedder)
        try:
            details["union"] = {"triples": bench.triples, "index_s": round(bench.index_s, 2)}
            for hops in (2, 3):
                asked = held_out(hops, 150 if quick else 1_000)
                found = {}
                for name, some in variants(asked, everyone).items():
                    say(f"PQ-{hops}H, {name}: {len(some)} questions")
                    found[name] = scored(bench, some, out / f"pq{hops}h-{name}.jsonl")
                details[f"pq{hops}h"] = {name: _plain(one) for name, one in found.items()}
                details[f"pq{hops}h"]["page_rank"] = by_page_rank(bench, asked, hops)
                rows += _rows(hops, found)
        finally:
            bench.close()
    for size in SIZES[:1] if quick else SIZES:
        say(f"latency at {size:,} triples")
        more, details[f"latency {size}"] = _timed(size, triples, listed, embedder)
        rows += more
    return rows, details


def _plain(one: Scores) -> Json:
    return {name: round(getattr(one, name), 2) for name in one.__slots__}


def _rows(hops: int, found: dict[str, Scores]) -> Iterator[Row]:
    plain = found["verbatim"]
    what = f"PQ-{hops}H, {plain.asked} questions"
    yield Row(f"pq{hops}", f"{what}: all gold in 10 facts", plain.all_gold, "%", bar=BARS[hops], at_least=True)
    for name in ("typos", "aliases"):
        less = plain.all_gold - found[name].all_gold
        yield Row(f"pq{hops}-{name}", f"{what}: points less with {name}", less, "points", bar=LESS_MAX)
    yield Row(f"pq{hops}-words", f"{what}: all gold in 10 facts, paraphrased", found["paraphrased"].all_gold, "%")
    yield Row(f"pq{hops}-150", f"{what}: all gold in 150 tokens", plain.all_gold_small, "%")
    bar = NOT_GOLD_MAX if hops == 2 else None  # noqa: PLR2004 - the bar is for two hops
    yield Row(f"pq{hops}-extra", f"{what}: facts not gold in 150 tokens", plain.not_gold, "facts", bar=bar)


def _timed(
    size: int, triples: Sequence[tuple[str, str, str]], listed: dict[str, list[str]], embedder: Embedder | None
) -> tuple[list[Row], Json]:
    """Questions of both kinds, half of them with typos, over a graph of a size, from a cold start."""
    text = [*lines(triples, listed), *distracting(size)][:size]
    text += [line.removesuffix(" <https://example.org/graph> .") + " ." for line in university(size - len(text))]
    asked = [*held_out(2, 150), *held_out(3, 150)]
    asked = [noise.typed(one, SEED) if at % 2 else one for at, one in enumerate(asked)]
    random.Random(SEED).shuffle(asked)  # noqa: S311 - the same every time
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(text, Path(scratch), embedder)
        try:
            found = scored(bench, asked, CACHE / "retrieval" / f"latency-{size}.jsonl")
        finally:
            bench.close()
    bars = BARS_MS[size]
    rows = [
        Row(f"latency{size}-{name}", f"retrieval of {size:,} triples, verified: {name}", value, "ms", bar=bar)
        for name, value, bar in (("p50", found.p50, bars[0]), ("p95", found.p95, bars[1]))
    ]
    return rows, {**_plain(found), "index_s": round(bench.index_s, 2), "triples": bench.triples}
