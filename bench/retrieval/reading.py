"""How long reading takes that proves what it reads: `python -m bench.retrieval.reading [QUADS]`, in three publishers.

The quads are made up, with hubs as large as a fifth of them. Stores are on disk; "cold" is with empty caches of pages.
Times are of the processor, which other work on a machine changes little.
"""

from __future__ import annotations

import random
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

from bench.report import Row, table
from dkg.client.store import SqliteStore
from dkg.dataset import build_dataset
from dkg.scan import nth_key
from dkg.terms import quad_of
from retrieval.model import Candidate, Statement
from retrieval.reading import Reader
from retrieval.sources import local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.report import Json
    from dkg.terms import Quad
    from retrieval.model import Snapshot

PUBLISHERS = 3
QUESTIONS = 300
CANDIDATES = 10
HUB = b"<http://example.org/entity/1>"
_BATCH = 10_000


def quads(seed: int, count: int) -> Iterator[list[Quad]]:
    """Made-up quads of one publisher, in batches: relations and hubs by a power law, every fourth object a text."""
    rng = random.Random(seed)  # noqa: S311 - test data
    for start in range(0, count, _BATCH):
        yield [_quad(rng, seed, at, count // 5) for at in range(start, min(count, start + _BATCH))]


def _quad(rng: random.Random, seed: int, at: int, entities: int) -> Quad:
    subject = b"<http://example.org/entity/%d>" % rng.randrange(entities)
    predicate = b"<http://example.org/relation/%d>" % (int(rng.paretovariate(0.7)) % 400)
    text = b'"some label of a thing number %d"' % rng.randrange(5 * entities)
    entity = b"<http://example.org/entity/%d>" % min(int(rng.paretovariate(0.5)), entities)
    return subject, predicate, entity if at % 4 else text, b"<http://example.org/%d/asset-%d>" % (seed, at // 50)


def picked(snapshots: list[Snapshot]) -> list[list[Statement]]:
    """Triples that somebody says, a few for each question."""
    rng = random.Random(5)  # noqa: S311 - test data

    def one() -> Statement:
        snapshot = rng.choice(snapshots)
        dataset = snapshot.pages.root(snapshot.root)
        key = nth_key(snapshot.pages, dataset.trees[0], rng.randrange(dataset.count))
        return Statement(*quad_of(key, "spog")[:3])

    return [[one() for _ in range(CANDIDATES)] for _ in range(QUESTIONS)]


def timed(what: str, work: Callable[[list[Statement]], object], questions: list[list[Statement]]) -> Row:
    """How long some work takes for each question."""
    times = []
    for question in questions:
        start = process_time()
        work(question)
        times.append(1000 * (process_time() - start))
    parts = quantiles(times, n=20)
    key = "reading-" + what.replace("`", "").replace(",", "").replace(" ", "-")
    return Row(key, f"{what}, p50 of processor", parts[9], "ms", note=f"p95 {parts[18]:.2f} ms")


def measure(stores: list[SqliteStore], roots: list[bytes]) -> tuple[list[Row], Json]:
    """The rows, and how large the hub is."""

    def fresh() -> list[Snapshot]:
        return [local(s, r, publisher=f"p{at}") for at, (s, r) in enumerate(zip(stores, roots, strict=True))]

    questions = picked(fresh())
    reader = Reader(fresh())
    propose = [[Candidate(one, 1.0) for one in question] for question in questions]
    by_question = {id(question): candidates for question, candidates in zip(questions, propose, strict=True)}
    rows = [
        timed(f"`facts`, {CANDIDATES} candidates, {state}", lambda q: reader.facts(by_question[id(q)]), questions)
        for state in ("cold", "warm")
    ]
    rows += [
        timed("`about` a subject, 50 at most", lambda q: reader.about(subject=q[0].subject, most=50), questions),
        timed("`about` a hub, 50 at most", lambda _: reader.about(object=HUB, most=50), questions),
        timed("`count` of a hub", lambda _: reader.count(object=HUB), questions),
        timed("`absent`", lambda q: reader.absent(q[0].subject, b"<http://example.org/none>"), questions),
    ]
    two_hops = "SELECT ?x ?y { %s ?p ?x . ?x ?q ?y } LIMIT 20"
    rows += [
        timed(f"`select`, two hops, {state}", lambda q: reader.select(two_hops % q[0].subject.decode()), questions[:60])
        for state in ("cold", "warm")
    ]
    return rows, {"hub": reader.count(object=HUB)}


def measured(count: int) -> tuple[list[Row], Json]:
    """Build the datasets, of so many quads each, and measure."""
    with TemporaryDirectory() as directory, ExitStack() as stack:
        stores = [stack.enter_context(SqliteStore(Path(directory) / str(at))) for at in range(PUBLISHERS)]
        roots = []
        for seed, store in enumerate(stores):
            with store.writing():
                roots.append(build_dataset(quads(seed, count), store, normal=True))
        rows, details = measure(stores, roots)
    return rows, {"publishers": PUBLISHERS, "quads": count, **details}


def main() -> int:
    """Measure and print."""
    rows, details = measured(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    sys.stdout.write(f"{table(rows)}\n{details}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
