"""Questions for counts, lists, superlatives and comparisons, made from a graph, and how many are answered right.

    python -m bench.retrieval.aggregates [--part tuning|held-out] [--per-kind 8] [--show]

The right answers come from the triples in plain Python, without the store. Each kind has phrasings for tuning, which
were looked at while the templates were written, and phrasings that were held out. A question is `right`, `wrong`, or
`left` to the normal pipeline (no template, or refused). Plain questions (PathQuestion) must all be left.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter, defaultdict
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import pyoxigraph as ox

from bench.data import CACHE, ROOT, path_of
from bench.measure import Plan, folder_of, sources
from bench.report import Row
from bench.retrieval.phrasings import HELD_OUT, PHRASINGS, plural
from dkg.api import build
from dkg.client.load import load_files
from dkg.client.store import SqliteStore
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.aggregate import try_aggregate
from retrieval.aggregate.linking import IndexNames
from retrieval.aggregate.words import phrase
from retrieval.index import KnowledgeIndex
from retrieval.model import LOCAL, Claim, Snapshot
from retrieval.reading import Reader
from retrieval.words import local_name, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.report import Json
    from retrieval.aggregate import AggregateResult

SEED: Final = 7
LEAST_TRIPLES: Final = 30
LEAST_THINGS: Final = 5
FEW_MAX: Final = 400
"""Most things in an answer of a generated list question."""

TYPES: Final = {
    "codex": "http://www.wikidata.org/prop/direct/P31",
    "hpo": "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    "university": "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
}
LABEL: Final = "http://www.w3.org/2000/01/rdf-schema#label"
NAMES: Final = (LABEL, "https://example.org/univ#name")
NOT_ASKED: Final = {
    *NAMES,
    "http://schema.org/description",
    "https://example.org/univ#email",
    "https://example.org/univ#title",
}
_NUMBERS: Final = {"integer", "decimal", "date"}


class Asked(NamedTuple):
    """A question and its answer: how many, or which, or yes or no."""

    kind: str
    text: str
    number: int | None = None
    things: frozenset[str] = frozenset()


class Graph:
    """The triples of a file, in dictionaries: the brute force that says what is right."""

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self.forward: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.back: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        self.values: dict[str, dict[str, set[ox.Literal]]] = defaultdict(lambda: defaultdict(set))
        self.labels: dict[str, str] = {}
        for quad in ox.parse(path=str(file), format=ox.RdfFormat.N_QUADS):
            s, p, o = str(quad.subject), quad.predicate.value, quad.object
            if isinstance(o, ox.Literal):
                self.values[p][s].add(o)
                if p == LABEL:
                    self.labels.setdefault(s, o.value)
            else:
                self.forward[p][s].add(str(o))
                self.back[p][str(o)].add(s)
        self.classes = self.back[TYPES[name]]
        keys = Counter(phrase(label) for label in self.labels.values())
        relations = {phrase(self.name_of(f"<{p}>")) for p in (*self.forward, *self.values)}
        self.named = {term for term, label in self.labels.items() if keys[phrase(label)] == 1 and label.isascii()}
        self.named -= {term for term in self.named if phrase(self.labels[term]) in relations}

    def name_of(self, term: str) -> str:
        """What a question calls a term."""
        return self.labels.get(term) or split_name(local_name(term.encode()))

    def is_called(self, term: str) -> bool:
        """Whether a thing has a name that is its alone, or none but the last part of its IRI."""
        return term in self.named or (self.name == "codex" and term not in self.labels)

    @cached_property
    def relations(self) -> list[str]:
        """Those between things, with enough triples to ask about."""
        return sorted(p for p in self.forward if p != TYPES[self.name] and len(self.forward[p]) >= LEAST_TRIPLES)

    @cached_property
    def triples(self) -> dict[str, list[tuple[str, str]]]:
        """Subjects and objects by relation, in order."""
        return {p: sorted((s, o) for s, some in self.forward[p].items() for o in some) for p in self.relations}

    @cached_property
    def kinds(self) -> list[str]:
        """Classes with enough instances to ask about, whose name is theirs alone."""
        names = Counter(phrase(self.name_of(c)) for c in self.classes)
        own = (c for c in self.classes if names[phrase(self.name_of(c))] == 1)
        return sorted(c for c in own if len(self.classes[c]) >= LEAST_THINGS)

    @cached_property
    def class_of(self) -> dict[str, str]:
        """The largest of these classes of each thing that has one."""
        found: dict[str, str] = {}
        for c in sorted(self.kinds, key=lambda c: (len(self.classes[c]), c)):
            found.update(dict.fromkeys(self.classes[c], c))
        return found


class Maker:
    """Makes questions from a graph, by chance and always the same ones."""

    def __init__(self, graph: Graph, part: str) -> None:
        self.graph = graph
        self.dice = random.Random(f"{SEED} {graph.name} {part}")  # noqa: S311 - questions, the same every time
        self.said = HELD_OUT if part == "held-out" else PHRASINGS

    def text(self, kind: str, **terms: str) -> str:
        """A question of a kind in one of its phrasings."""
        names = {key: self.graph.name_of(term) for key, term in terms.items() if not key.startswith("_")}
        many = {f"{key}s": plural(name) for key, name in names.items()}
        numbers = {key[1:]: term for key, term in terms.items() if key.startswith("_")}
        return self.dice.choice(self.said[kind]).format(**names, **many, **numbers)

    def triple(self, test: Callable[[str, str, str], bool]) -> tuple[str, str, str] | None:
        """A triple between things that passes a test."""
        for _ in range(3_000):
            p = self.dice.choice(self.graph.relations)
            s, o = self.dice.choice(self.graph.triples[p])
            if test(s, p, o):
                return s, p, o
        return None

    def of(self, kind: str) -> Asked | None:
        """One question of a kind; None where the graph has nothing to ask so."""
        made: Asked | None = getattr(self, f"_{kind.replace('-', '_')}")()
        return made

    # --- one method a kind ----------------------------------------------------------------------------------------

    def _count_class(self) -> Asked:
        c = self.dice.choice(self.graph.kinds)
        return Asked("count-class", self.text("count-class", c=c), len(self.graph.classes[c]))

    def _subject(self) -> tuple[str, str, str] | None:
        return self.triple(lambda s, _, __: self.graph.is_called(s))

    def _count_objects(self) -> Asked | None:
        found = self._subject()
        if found is None:
            return None
        s, p, _ = found
        return Asked("count-objects", self.text("count-objects", e=s, r=f"<{p}>"), len(self.graph.forward[p][s]))

    def _list_objects(self) -> Asked | None:
        found = self._subject()
        if found is None:
            return None
        s, p, _ = found
        gold = frozenset(self.graph.forward[p][s])
        return Asked("list-objects", self.text("list-objects", e=s, r=f"<{p}>"), things=gold)

    def _constrained(self) -> tuple[str, str, str, set[str]] | None:
        found = self.triple(lambda s, _, o: o in self.graph.named and self.graph.class_of.get(s) is not None)
        if found is None:
            return None
        s, p, o = found
        c = self.graph.class_of.get(s)
        return None if c is None else (c, p, o, self.graph.back[p][o] & self.graph.classes[c])

    def _count_subjects(self) -> Asked | None:
        found = self._constrained()
        if found is None:
            return None
        c, p, o, gold = found
        return Asked("count-subjects", self.text("count-subjects", c=c, r=f"<{p}>", e=o), len(gold))

    def _list_subjects(self) -> Asked | None:
        for _ in range(50):
            found = self._constrained()
            if found is not None and len(found[3]) <= FEW_MAX:
                c, p, o, gold = found
                return Asked("list-subjects", self.text("list-subjects", c=c, r=f"<{p}>", e=o), things=frozenset(gold))
        return None

    def _two_filters(self) -> Asked | None:
        for _ in range(300):
            found = self._constrained()
            if found is None:
                return None
            c, p, o, things = found
            thing = self.dice.choice(sorted(things))
            others = [
                (q, other)
                for q in self.graph.relations
                for other in sorted(self.graph.forward[q].get(thing, ()))
                if other in self.graph.named and (q, other) != (p, o)
            ]
            if others:
                q, other = self.dice.choice(others)
                gold = len(things & self.graph.back[q][other])
                text = self.text("two-filters", c=c, r=f"<{p}>", e=o, q=f"<{q}>", f=other)
                return Asked("two-filters", text, gold)
        return None

    def _most(self) -> Asked | None:
        found = self.triple(lambda s, _, __: self.graph.class_of.get(s) is not None)
        c = None if found is None else self.graph.class_of.get(found[0])
        if found is None or c is None:
            return None
        counts = {s: len(o) for s, o in self.graph.forward[found[1]].items() if s in self.graph.classes[c]}
        return Asked("most", self.text("most", c=c, r=f"<{found[1]}>"), things=_firsts(counts))

    def _common(self) -> Asked | None:
        found = self.triple(lambda s, _, __: self.graph.class_of.get(s) is not None)
        c = None if found is None else self.graph.class_of.get(found[0])
        if found is None or c is None:
            return None
        things = self.graph.classes[c]
        counts = {o: len(s & things) for o, s in self.graph.back[found[1]].items() if s & things}
        return Asked("common", self.text("common", c=c, r=f"<{found[1]}>"), things=_firsts(counts))

    def _compare(self) -> Asked | None:
        for _ in range(300):
            first = self._subject()
            if first is None:
                return None
            s, p, _ = first
            others = sorted(other for other in self.graph.forward[p] if self.graph.is_called(other) and other != s)
            if not others:
                continue
            other = self.dice.choice(others)
            one, two = len(self.graph.forward[p][s]), len(self.graph.forward[p][other])
            if one != two:
                gold = frozenset({s if one > two else other})
                return Asked("compare", self.text("compare", e=s, f=other, r=f"<{p}>"), things=gold)
        return None

    def _yes(self) -> Asked | None:
        found = self.triple(lambda s, _, o: self.graph.is_called(s) and o in self.graph.named)
        if found is None:
            return None
        s, p, o = found
        return Asked("yes", self.text("yes", e=s, r=f"<{p}>", f=o), 1)

    def _no(self) -> Asked | None:
        found = self.triple(lambda s, _, o: self.graph.is_called(s) and o in self.graph.named)
        if found is None:
            return None
        s, p, _ = found
        others = sorted(o for o in self.graph.back[p] if o in self.graph.named and o not in self.graph.forward[p][s])
        return Asked("no", self.text("yes", e=s, r=f"<{p}>", f=self.dice.choice(others)), 0) if others else None

    def _valued(self) -> tuple[str, str, dict[str, list[ox.Literal]]] | None:
        """A class and a property of numbers or dates that things of it have."""
        for _ in range(100):
            p = self.dice.choice(sorted(self.graph.values))
            if p in NOT_ASKED:
                continue
            s = self.dice.choice(sorted(self.graph.values[p]))
            c = self.graph.class_of.get(s)
            literal = next(iter(self.graph.values[p][s]))
            if c is not None and literal.datatype.value.rpartition("#")[2] in _NUMBERS:
                things = self.graph.classes[c]
                found = {s: sorted(o, key=_value) for s, o in self.graph.values[p].items() if s in things}
                return c, p, found
        return None

    def _largest(self) -> Asked | None:
        found = self._valued()
        if found is None:
            return None
        c, p, values = found
        best = {s: _value(o[-1]) for s, o in values.items()}
        return Asked("largest", self.text("largest", c=c, r=f"<{p}>"), things=_firsts(best))

    def _smallest(self) -> Asked | None:
        found = self._valued()
        if found is None:
            return None
        c, p, values = found
        best = {s: -_value(o[0]) for s, o in values.items()}
        return Asked("smallest", self.text("smallest", c=c, r=f"<{p}>"), things=_firsts(best))

    def _bound(self) -> Asked | None:
        found = self._valued()
        if found is None:
            return None
        c, p, values = found
        limit = self.dice.choice(sorted(values.values(), key=lambda some: _value(some[0])))[0]
        gold = sum(any(_value(o) > _value(limit) for o in some) for some in values.values())
        return Asked("bound", self.text("bound", c=c, r=f"<{p}>", _n=limit.value), gold)

    def _many(self) -> Asked | None:
        found = self.triple(lambda s, _, __: self.graph.class_of.get(s) is not None)
        c = None if found is None else self.graph.class_of.get(found[0])
        if found is None or c is None:
            return None
        counts = {s: len(o) for s, o in self.graph.forward[found[1]].items() if s in self.graph.classes[c]}
        limit = max(1, max(counts.values()) - self.dice.randrange(1, 4))
        gold = frozenset(s for s, n in counts.items() if n > limit)
        text = self.text("many", c=c, r=f"<{found[1]}>", _n=str(limit))
        return Asked("many", text, things=gold) if len(gold) <= FEW_MAX else None


def _firsts(counts: dict[str, float] | dict[str, int]) -> frozenset[str]:
    best = max(counts.values())
    return frozenset(thing for thing, count in counts.items() if count == best)


def _value(literal: ox.Literal) -> float:
    """A number, or the ordinal of a date."""
    text = literal.value
    return float(text) if "-" not in text[1:] else float(text.replace("-", ""))


def verdict(asked: Asked, result: AggregateResult | None) -> str:
    """`right`, `wrong` or `left`."""
    if result is None or result.refused:
        return "left"
    if asked.number is not None:
        if len(result.rows) == 1 and result.variables == ("n",):
            return "right" if int(result.rows[0][0].split('"')[1]) == asked.number else "wrong"
        return "right" if result.kind == "listing" and result.total == asked.number else "wrong"
    shown = {row[0] for row in result.rows}
    if asked.kind == "compare":
        return "right" if result.rows and result.rows[0][0] in asked.things else "wrong"
    same = result.total == len(asked.things) or (not result.exact and result.total < len(asked.things))
    return "right" if same and shown <= asked.things else "wrong"


# --- running ---------------------------------------------------------------------------------------------------------


def snapshot_of(name: str, file: Path) -> Snapshot:
    """The data set in a store; the one that `scripts/bench` built is used if it is there."""
    folder = folder_of(file, "dkg")
    store = SqliteStore(folder)
    if store.head() is None:
        load_files([file], store)
    head = store.head()
    if head is None:
        raise SystemExit(f"{name}: nothing was loaded from {file}")
    return Snapshot(LOCAL, head, StoredPages(store), Claim.LOCAL)


def questions(graph: Graph, part: str, per_kind: int) -> Iterator[Asked]:
    """`per_kind` questions of each kind, no question twice."""
    maker = Maker(graph, part)
    for kind in (*PHRASINGS, "no"):
        made: dict[str, Asked] = {}
        for _ in range(4 * per_kind):
            asked = maker.of(kind)
            if asked is None:
                break
            made.setdefault(asked.text, asked)
            if len(made) == per_kind:
                break
        yield from made.values()


def measure(
    graph: Graph, snapshot: Snapshot, part: str, per_kind: int, show: str = ""
) -> tuple[dict[str, Counter[str]], list[float]]:
    """Verdicts by kind, and milliseconds in ascending order. Prints the questions of which `show` is the verdict."""
    reader = Reader([snapshot])
    names = IndexNames(KnowledgeIndex.build([snapshot]))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    times = []
    for asked in questions(graph, part, per_kind):
        start = time.perf_counter()
        result = try_aggregate(asked.text, names, reader)
        times.append(1000 * (time.perf_counter() - start))
        said = verdict(asked, result)
        found[asked.kind][said] += 1
        if show in {said, "all"}:
            print(f"  {said} {asked.kind}: {asked.text}")  # noqa: T201 - a report
            detail = None if result is None else (result.query or result.notes)
            print(f"      {detail} right: {asked.number if asked.number is not None else sorted(asked.things)[:3]}")  # noqa: T201
    times.sort()
    return found, times


def measured(
    say: Callable[[str], None], per_kind: int, data: Sequence[str] = tuple(TYPES), *, plain: bool
) -> tuple[list[Row], Json]:
    """Rows over all data sets, of held-out phrasings, and verdicts by kind. `plain`: also ask the plain questions."""
    CACHE.mkdir(parents=True, exist_ok=True)
    total: dict[str, Counter[str]] = defaultdict(Counter)
    rows: list[Row] = []
    for name in data:
        say(f"counts, lists and comparisons: {name}")
        file = _file(name)
        found, times = measure(Graph(name, file), snapshot_of(name, file), "held-out", per_kind)
        for kind, counts in found.items():
            total[kind] += counts
        note = f"p95 {times[int(0.95 * (len(times) - 1))]:.0f} ms"
        rows.append(Row(f"aggregates-{name}-ms", f"{name}: answered by a query, p50", median(times), "ms", note=note))
    whole = sum(total.values(), Counter[str]())
    asked = whole.total()
    for said in ("right", "wrong", "left"):
        what = f"counts, lists, comparisons, {asked} held-out questions: {said}"
        rows.append(Row(f"aggregates-{said}", what, 100 * whole[said] / asked, "%"))
    details: Json = {"kinds": {kind: dict(counts) for kind, counts in total.items()}}
    if plain:
        number, taken = plain_questions()
        details["plain"] = {"asked": number, "taken": len(taken)}
        rows.append(Row("aggregates-plain", f"{number:,} plain questions taken for a count", len(taken), "questions"))
    return rows, details


def plain_questions() -> tuple[int, list[str]]:
    """How many questions of PathQuestion there are, and those that were taken for what they are not."""
    folder = Path(os.environ.get("DKG_TEST_DATA") or ROOT.parent / "shared" / "data") / "pathquestion"

    def iri(name: str) -> str:
        return f"<https://example.org/pq/{''.join(c if c.isalnum() or c in '_-.' else f'%{ord(c):02X}' for c in name)}>"

    lines = {line for hops in "23" for line in (folder / f"{hops}H-kb.txt").read_text().splitlines() if line.strip()}
    quads = []
    for s, p, o in (line.split("\t") for line in sorted(lines)):
        quads.append((iri(s).encode(), iri(p).encode(), iri(o).encode(), b"<https://example.org/pq>"))
    store = MemoryPageStore()
    root = build([quads], store)
    snapshot = Snapshot(LOCAL, root, StoredPages(store), Claim.LOCAL)
    reader, names = Reader([snapshot]), IndexNames(KnowledgeIndex.build([snapshot]))
    asked = [
        line.split("\t")[0]
        for hops in "23"
        for line in (folder / f"PQ-{hops}H.txt").read_text().splitlines()
        if line.strip()
    ]
    return len(asked), [text for text in asked if try_aggregate(text, names, reader) is not None]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.retrieval.aggregates", description=__doc__.split("\n")[0])
    parser.add_argument("--part", choices=["tuning", "held-out"], default="held-out")
    parser.add_argument("--per-kind", type=int, default=8, help="questions of each kind and data set")
    parser.add_argument("--data", nargs="*", default=["codex", "hpo", "university"])
    parser.add_argument(
        "--show", default="", choices=["", "wrong", "left", "right", "all"], help="print these questions"
    )
    parser.add_argument("--plain", action="store_true", help="ask the plain questions, and only these")
    args = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for name in [] if args.plain else args.data:
        file = _file(name)
        graph = Graph(name, file)
        found, times = measure(graph, snapshot_of(name, file), args.part, args.per_kind, args.show)
        for kind, counts in found.items():
            total[kind] += counts
        p95 = times[int(0.95 * (len(times) - 1))]
        print(f"{name}, {args.part}: {len(times)} questions, p50 {median(times):.0f} ms, p95 {p95:.0f} ms")  # noqa: T201
    for kind, counts in total.items():
        print(f"{kind:16} right {counts['right']:3} wrong {counts['wrong']:3} left {counts['left']:3}")  # noqa: T201
    whole = sum(total.values(), Counter())
    if whole:
        print(f"{'all':16} right {whole['right']:3} wrong {whole['wrong']:3} left {whole['left']:3}")  # noqa: T201
    if not args.plain:
        return 0
    asked, taken = plain_questions()
    print(f"plain questions: {asked}, taken for an aggregate: {len(taken)} {taken[:10]}")  # noqa: T201
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _file(name: str) -> Path:
    if name == "university":
        return path_of("university", 100_000)
    plan = Plan(triples=100_000, runs=1, seconds=1.0, full=False, data=(name,), say=_say)
    found = sources(plan)
    if name not in found:
        raise SystemExit(f"the data set {name} is not there")
    return found[name]


if __name__ == "__main__":
    sys.exit(main())
