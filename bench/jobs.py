"""What runs in processes of their own (`bench.processes.run`): `python -m bench.jobs JOB JSON` prints JSON."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyoxigraph

import dkg
from bench import questions
from bench.peers import DiskOxigraph, MemoryOxigraph, Rdflib
from bench.rgbtrie import RgbTrie, lookups
from bench.subject import Subject, compressed, rows_of
from dkg.dataset import quads
from dkg.pages import StoredPages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.peers import Peer, Rows
    from bench.questions import Question
    from dkg.terms import Quad

    Change = tuple[list[Quad], list[Quad]]
    """What goes and what comes."""

ROUNDS_MIN: Final = 3
ROUNDS_MAX: Final = 40
CHANGES: Final = 1000
CHANGE_ROUNDS: Final = 5


def load(what: str, source: str, target: str) -> dict[str, Any]:
    """Load a file. `what`: dkg, disk, memory, rdflib."""
    folder = Path(target)
    makers: dict[str, Callable[[], Peer]] = {
        "dkg": lambda: Subject(folder),
        "disk": lambda: DiskOxigraph(folder),
        "memory": MemoryOxigraph,
        "rdflib": Rdflib,
    }
    peer = makers[what]()
    start = time.perf_counter()
    peer.load(Path(source))
    seconds = time.perf_counter() - start
    peer.close()
    return {"seconds": seconds}


def optimize(target: str) -> dict[str, Any]:
    """Compact a store of pyoxigraph."""
    pyoxigraph.Store(target).optimize()
    return {}


def ask(data_set: str, source: str, ours: str, disk: str, seconds: float) -> dict[str, Any]:
    """Ask every question of a data set, in turns: ours plain, proved, verified; pyoxigraph on disk and in memory."""
    subject, on_disk, in_memory = Subject(Path(ours)), DiskOxigraph(Path(disk)), MemoryOxigraph()
    in_memory.load(Path(source))
    found, refused = [], {}
    for question in questions.of(data_set):
        try:
            found.append(_asked(question, subject, on_disk, in_memory, seconds))
        except dkg.BudgetError as error:
            refused[question.name] = str(error)
    return {"questions": found, "refused": refused}


def _asked(question: Question, subject: Subject, disk: Peer, memory: Peer, seconds: float) -> dict[str, Any]:
    text, root = question.text, subject.root
    start = time.perf_counter()
    proof = dkg.prove(StoredPages(subject.store), root, text)
    cold = time.perf_counter() - start
    verified = dkg.verify(proof.car, text, root)
    _require_same(question, rows_of(verified), disk.query(text))
    times = in_turns(
        {
            "query": lambda: subject.query(text),
            "prove": lambda: subject.prove(text),
            "verify": lambda: dkg.verify(proof.car, text, root),
            "disk": lambda: disk.query(text),
            "memory": lambda: memory.query(text),
        },
        seconds,
    )
    return {
        "question": question.name,
        "kind": question.kind,
        "asks": question.asks,
        "rows": len(verified),
        "pages": proof.pages,
        "proof_bytes": len(proof.car),
        "compressed_bytes": compressed(proof.car),
        "cold_prove_ms": cold * 1e3,
        "rounds": len(times["query"]),
        **{f"{name}_ms": median(t.wall for t in found) * 1e3 for name, found in times.items()},
        **{f"{name}_cpu_ms": median(t.cpu for t in found) * 1e3 for name, found in times.items()},
        **{f"{name}_quartiles_ms": quartiles([t.wall * 1e3 for t in found]) for name, found in times.items()},
    }


class Time(NamedTuple):
    """Seconds by the clock, and of this thread's processor: what other work on the machine does not add to."""

    wall: float
    cpu: float


def in_turns(runs: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[Time]]:
    """The times of each run, taken in turns after one round to warm up, each round beginning with another."""
    names = list(runs)
    start = time.perf_counter()
    for name in names:
        runs[name]()
    rounds = int(seconds / (time.perf_counter() - start))
    times: dict[str, list[Time]] = {name: [] for name in names}
    for turn in range(max(ROUNDS_MIN, min(ROUNDS_MAX, rounds))):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            run = runs[name]
            start, cpu = time.perf_counter(), time.thread_time()
            run()
            times[name].append(Time(time.perf_counter() - start, time.thread_time() - cpu))
    return times


def quartiles(values: list[float]) -> list[float]:
    """The lower and upper quartile."""
    ordered = sorted(values)
    return [ordered[len(ordered) // 4], ordered[-1 - len(ordered) // 4]]


def _require_same(question: Question, ours: Rows, theirs: Rows) -> None:
    """Any rows will do for LIMIT without ORDER BY; otherwise the answers must be the same."""
    same = len(ours) == len(theirs)
    if same and question.kind != "limit":
        same = Counter(tuple(map(str, row)) for row in ours) == Counter(tuple(map(str, row)) for row in theirs)
    if not same:
        raise ValueError(f"{question.name}: {len(ours)} rows verified, {len(theirs)} from pyoxigraph, and not the same")


def ask_rdflib(data_set: str, source: str, ours: str, seconds: float) -> dict[str, Any]:
    """Ask every question of rdflib, and of ours unproved."""
    subject, peer = Subject(Path(ours)), Rdflib()
    peer.load(Path(source))
    asked = []
    for question in questions.of(data_set):
        text = question.text
        runs: dict[str, Callable[[], object]] = {
            "query": lambda text=text: subject.query(text),  # type: ignore[misc]  # bound at once
            "rdflib": lambda text=text: peer.query(text),  # type: ignore[misc]
        }
        times = in_turns(runs, seconds)
        asked.append(
            {
                "question": question.name,
                **{f"{name}_ms": median(t.wall for t in found) * 1e3 for name, found in times.items()},
            }
        )
    return {"questions": asked}


def trie(data_set: str, source: str) -> dict[str, Any]:
    """Proof sizes of the RGB-Trie model for the questions that it can answer."""
    store = MemoryOxigraph().store
    store.bulk_load(path=source, format=pyoxigraph.RdfFormat.N_QUADS)
    terms = {str(t).encode() for quad in store for t in (quad.subject, quad.predicate, quad.object)}
    model = RgbTrie(terms)

    @cache
    def postings(term: bytes) -> list[tuple[bytes, bytes, bytes]]:
        found = next(
            iter(pyoxigraph.parse(b"<x:s> <x:p> " + term + b" .", format=pyoxigraph.RdfFormat.N_TRIPLES))
        ).object
        patterns: list[tuple[Any, Any, Any]] = [(None, None, found)]
        if isinstance(found, pyoxigraph.NamedNode):
            patterns += [(found, None, None), (None, found, None)]
        triples = {q.triple for pattern in patterns for q in store.quads_for_pattern(*pattern)}
        return [(str(t.subject).encode(), str(t.predicate).encode(), str(t.object).encode()) for t in triples]

    def values(text: str) -> list[bytes]:
        rows: Any = store.query(text, use_default_graph_as_union=True)
        return [str(row[0]).encode() for row in rows]

    sizes = {}
    for question in questions.of(data_set):
        wanted = lookups(question.text, values, postings)
        size = model.size(wanted, postings) if wanted else None
        if size is not None:
            sizes[question.name] = size._asdict()
    return {"terms": len(terms), "sizes": sizes}


def change(ours: str, disk: str) -> dict[str, Any]:
    """Update 1,000 quads, several times, and take the diff of each two roots; the same changes go to pyoxigraph.

    Half are removed and half are new: scattered over all of the store, or together, as those of one document are.
    Each is timed until it is durable. `cpu` is the time of the processor alone, which a loaded machine does not add to.
    """
    subject, peer = Subject(Path(ours)), DiskOxigraph(Path(disk))
    root, turns = subject.root, range(CHANGE_ROUNDS)
    every = [quad for batch in quads(subject.pages, root) for quad in batch]
    return {
        "scattered": _changed(subject, root, peer, [scattered(every, turn) for turn in turns]),
        "together": _changed(subject, root, peer, [together(every, turn) for turn in turns]),
    }


def _changed(subject: Subject, root: bytes, peer: DiskOxigraph, changes: list[Change]) -> dict[str, list[float]]:
    """Milliseconds of each change, the first to `root` and each to what the last one made."""
    store = subject.store
    times: dict[str, list[float]] = {"update": [], "cpu": [], "diff": [], "disk": []}
    for gone, fresh in changes:
        start, cpu = time.perf_counter(), time.process_time()
        with store.writing():
            new = dkg.update(store, root, fresh, gone)
            store.set_head(new)
        times["update"].append(time.perf_counter() - start)
        times["cpu"].append(time.process_time() - cpu)
        start = time.perf_counter()
        found = sum(len(went) + len(came) for went, came in dkg.diff(StoredPages(store), root, new))
        times["diff"].append(time.perf_counter() - start)
        if found != len(gone) + len(fresh):
            raise ValueError(f"the diff has {found} quads, and {len(gone) + len(fresh)} were changed")
        went, came = _parsed(gone), _parsed(fresh)
        start = time.perf_counter()
        for quad in went:
            peer.store.remove(quad)
        peer.store.extend(came)
        peer.store.flush()
        times["disk"].append(time.perf_counter() - start)
        root = new
    return {name: [t * 1e3 for t in found] for name, found in times.items()}


def scattered(every: Sequence[Quad], turn: int) -> Change:
    """A change of quads spread evenly over all, others in each turn."""
    half = CHANGES // 2
    step = len(every) // half
    gone = list(every[turn * step // CHANGE_ROUNDS :: step][:half])
    return gone, _renamed(every[(2 * turn + 1) * step // (2 * CHANGE_ROUNDS) :: step][:half], turn)


def together(every: Sequence[Quad], turn: int) -> Change:
    """A change of quads that stand side by side in spog: of the same subjects."""
    start = (2 * turn + 1) * len(every) // (2 * CHANGE_ROUNDS)
    return list(every[start : start + CHANGES : 2]), _renamed(every[start + 1 : start + CHANGES : 2], turn)


def _renamed(near: Sequence[Quad], turn: int) -> list[Quad]:
    return [(s, p, b'"changed %d %d"' % (turn, i), g) for i, (s, p, _, g) in enumerate(near)]


def _parsed(found: list[Quad]) -> list[pyoxigraph.Quad]:
    lines = b"".join(b"%b %b %b %b .\n" % quad for quad in found)
    return list(pyoxigraph.parse(lines, format=pyoxigraph.RdfFormat.N_QUADS))


JOBS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    job.__name__: job for job in (load, optimize, ask, ask_rdflib, trie, change)
}


def main() -> int:
    """Run one job."""
    name, arguments = sys.argv[1:]
    sys.stdout.write(json.dumps(JOBS[name](**json.loads(arguments))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
