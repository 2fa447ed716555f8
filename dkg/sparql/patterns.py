"""Covering basic graph patterns: each triple pattern is looked up with the bindings that those before it gave.

The order of the patterns and the choice of an index are hints: any order covers the same solutions
(docs/soundness.md, section 3). They are a function of the query and the pages alone, so that prover and verifier
take the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import BudgetError
from dkg.scan import LAST, prefix_end
from dkg.sparql.algebra import TriplePattern, Var
from dkg.sparql.relation import Relation
from dkg.terms import component

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dkg.gather import Gather
    from dkg.sparql.algebra import Node
    from dkg.sparql.relation import Cell, Row

PLACES: Final = "spog"

SCAN_FACTOR: Final = 3
"""A whole pattern is scanned instead of probed when it has at most this many keys a probe (measured: one probe
costs about as much as reading three keys that lie side by side)."""

COUNT_PROBES_MIN: Final = 48
"""Fewer probes than this are not worth the pages that counting the pattern would add to a proof."""

_CHECKED_FROM: Final = 100_000  # possible rows of one lookup from which they are counted as they come

FAN_OUT: Final = 8
"""Matches assumed of a pattern whose variable will be bound by the time it is looked up."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where patterns are matched: in the default graph, or in the named graph `graph` (inside GRAPH).

    `allowed`: the graphs of the dataset (components), all of them if None. `shown`: the name of the query's variable
    for the graph, where `graph` is a variable of our own.
    """

    named: bool = False
    graph: Node | None = None
    allowed: frozenset[bytes] | None = None
    shown: str | None = None


class Bounds(NamedTuple):
    """A half-open range of components that a filter allows a variable."""

    low: bytes
    high: bytes


class Lookup:
    """What a pattern needs while it is looked up."""

    def __init__(self, gather: Gather, scope: Scope, bounds: Mapping[str, Bounds], rows_max: int) -> None:
        self.gather = gather
        self.scope = scope
        self.bounds = bounds
        self.rows_max = rows_max

    def nodes(self, pattern: TriplePattern) -> dict[str, Node]:
        """Place -> constant (as a component) or variable; the graph's place only where it matters."""
        nodes: dict[str, Node] = {}
        for place, node in (("s", pattern.s), ("p", pattern.p), ("o", pattern.o), ("g", self.scope.graph)):
            if node is not None:
                nodes[place] = node if isinstance(node, Var) else component(node)
        allowed = self.scope.allowed
        if "g" not in nodes and allowed is not None and len(allowed) == 1:
            nodes["g"] = next(iter(allowed))
        return nodes

    def filter_graphs(self, order: str, prefix_places: str) -> frozenset[bytes] | None:
        """The graphs to filter keys by, None if the prefix has fixed the graph or all are allowed."""
        allowed = self.scope.allowed
        return None if allowed is None or (order[0] == "g" and "g" in prefix_places) else allowed


def variables_of(nodes: Mapping[str, Node]) -> list[str]:
    """Names of the variables, in order of place."""
    return list(dict.fromkeys(node.name for node in nodes.values() if isinstance(node, Var)))


def best_order(known: str) -> tuple[str, int]:
    """The index that has the most of the known places in front, and how many."""
    best, depth = "spog", -1
    for order in ("spog", "posg", "ospg", "gspo"):
        size = 0
        while size < len(order) and order[size] in known:
            size += 1
        if size > depth or (size == depth and order == "gspo" and size == 1):
            best, depth = order, size
    return best, depth


def constants(lookup: Lookup, nodes: Mapping[str, Node]) -> tuple[str, bytes, bytes]:
    """The narrowest range that a pattern's constants, and the filter on its next place, allow."""
    known = "".join(place for place, node in nodes.items() if not isinstance(node, Var))
    order, depth = best_order(known)
    if depth == 1 and "g" in known and len(known) > 1:  # graph and one more: whichever is rarer
        other = best_order(known.replace("g", ""))[0]
        ranges = [_range(lookup, nodes, choice, 1) for choice in ("gspo", other)]
        return min(ranges, key=lambda found: lookup.gather.count(*found))
    return _range(lookup, nodes, order, depth)


def _range(lookup: Lookup, nodes: Mapping[str, Node], order: str, depth: int) -> tuple[str, bytes, bytes]:
    prefix = b"".join(_constant(nodes[place]) + b"\0" for place in order[:depth])
    low, high = prefix, prefix_end(prefix)
    if depth < len(order):
        following = nodes.get(order[depth])
        bounds = lookup.bounds.get(following.name) if isinstance(following, Var) else None
        if bounds is not None and order[depth] == "o":
            low, high = prefix + bounds.low, min(high, prefix + bounds.high)
    return order, low, high


def _constant(node: Node) -> bytes:
    if isinstance(node, Var):
        raise TypeError(f"?{node.name} is not a constant")
    return node


class _Step:
    """One pattern joined to a relation: which columns go in, which come out, and by which index."""

    def __init__(self, lookup: Lookup, nodes: dict[str, Node], relation: Relation, keep: set[str]) -> None:
        self._lookup = lookup
        self._nodes = nodes
        self._relation = relation
        fresh = [name for name in variables_of(nodes) if name not in relation.columns]
        self.columns = tuple(n for n in relation.columns if n in keep) + tuple(n for n in fresh if n in keep)
        self._rows: dict[Row, None] = {}
        self._given = 0  # rows of a product with others, in all batches

    def run(self) -> Relation:
        """Look the pattern up for every row."""
        for bound, rows in self._by_bound():
            self._masked(rows, bound)
        return Relation(self.columns, list(self._rows), self._relation.exact)

    def _by_bound(self) -> Iterator[tuple[set[str], list[Row]]]:
        """The rows, by which variables of the pattern they have values for."""
        used = [name for name in variables_of(self._nodes) if name in self._relation.columns]
        at = [self._relation.columns.index(name) for name in used]
        by_mask: dict[tuple[bool, ...], list[Row]] = {}
        for row in self._relation.rows:
            by_mask.setdefault(tuple(row[i] is not None for i in at), []).append(row)
        for mask, rows in by_mask.items():
            yield {name for name, has in zip(used, mask, strict=True) if has}, rows

    def batches(self) -> Iterator[Relation]:
        """Look the pattern up for every row, a leaf at a time, read only as far as consumed."""
        for bound, rows in self._by_bound():
            known = "".join(p for p, n in self._nodes.items() if not isinstance(n, Var) or n.name in bound)
            order, depth = best_order(known)
            if not bound:
                yield from self._streamed(constants(self._lookup, self._nodes), rows, bound, 0)
                continue
            groups = self._grouped(rows, order[:depth])
            for prefix in sorted(groups):
                yield from self._streamed((order, prefix, prefix_end(prefix)), groups[prefix], bound, depth)

    def _streamed(
        self, found: tuple[str, bytes, bytes], rows: list[Row], bound: set[str], depth: int
    ) -> Iterator[Relation]:
        (order, low, high), lookup = found, self._lookup
        allowed = lookup.filter_graphs(order, order[: depth or low.count(b"\0")])
        emit = self._emitter(order, bound, depth)
        for keys in lookup.gather.stream(order, low, min(high, LAST), named=lookup.scope.named, allowed=allowed):
            emit(rows, keys)
            self._given += len(self._rows) if len(self._relation.rows) > 1 else 0
            self._check_rows()
            yield Relation(self.columns, list(self._rows), self._relation.exact)
            self._rows.clear()

    def _masked(self, rows: list[Row], bound: set[str]) -> None:
        """Rows that all have values for the columns `bound`, and none for other variables of the pattern."""
        nodes, lookup = self._nodes, self._lookup
        known = "".join(p for p, n in nodes.items() if not isinstance(n, Var) or n.name in bound)
        order, depth = best_order(known)
        if bound:
            groups = self._grouped(rows, order[:depth])
            if len(groups) > COUNT_PROBES_MIN:
                whole = constants(lookup, nodes)
                if lookup.gather.count(*whole) <= SCAN_FACTOR * len(groups):
                    self._whole(rows, bound, whole)
                    return
            allowed = lookup.filter_graphs(order, order[:depth])
            emit = self._emitter(order, bound, depth)
            prefixes = sorted(groups)
            found = lookup.gather.probe(order, prefixes, named=lookup.scope.named, allowed=allowed)
            for prefix, keys in zip(prefixes, found, strict=True):
                if keys:
                    emit(groups[prefix], keys)
            self._check_rows()
        else:
            self._whole(rows, bound, constants(lookup, nodes))

    def _whole(self, rows: list[Row], bound: set[str], found: tuple[str, bytes, bytes]) -> None:
        order, low, high = found
        places = order[: low.count(b"\0")]
        allowed = self._lookup.filter_graphs(order, places)
        keys = self._lookup.gather.take(order, low, high, named=self._lookup.scope.named, allowed=allowed)
        self._emitter(order, bound, 0)(rows, keys)
        self._check_rows()

    def _check_rows(self) -> None:
        if max(len(self._rows), self._given) > self._lookup.rows_max:
            raise BudgetError(
                f"an intermediate result has more than the {self._lookup.rows_max} rows that the budget allows; "
                "make the query more selective or raise `rows`"
            )

    def _grouped(self, rows: list[Row], places: str) -> dict[bytes, list[Row]]:
        columns = self._relation.columns
        parts: list[tuple[int, bytes]] = []
        for place in places:
            node = self._nodes[place]
            parts.append((columns.index(node.name), b"") if isinstance(node, Var) else (-1, node))
        groups: dict[bytes, list[Row]] = {}
        for row in rows:
            prefix = b"".join([(row[i] or b"") + b"\0" if i >= 0 else c + b"\0" for i, c in parts])
            groups.setdefault(prefix, []).append(row)
        return groups

    def _emitter(self, order: str, bound: set[str], depth: int) -> Callable[[list[Row], list[bytes]], None]:
        """What turns rows and the keys found for them into joined rows; `depth` places are known to agree."""
        columns = self._relation.columns
        width = len(columns)
        source: dict[str, int] = {name: i for i, name in enumerate(columns)}
        agree: list[tuple[int, int]] = []  # (position in key, column) that must be equal
        equal: list[tuple[int, int]] = []  # positions in the key that must be equal
        fixed: list[tuple[int, bytes]] = []  # positions in the key with a constant
        seen: dict[str, int] = {}
        for at, place in enumerate(order):
            node = self._nodes.get(place)
            if isinstance(node, Var):
                if node.name in seen:
                    equal.append((seen[node.name], at))
                elif node.name not in bound:
                    source[node.name] = width + at
                elif at >= depth:
                    agree.append((at, columns.index(node.name)))
                seen.setdefault(node.name, at)
            elif node is not None and at >= depth:
                fixed.append((at, node))
        out = [source[name] for name in self.columns]
        rows_out = self._rows
        if not (agree or equal or fixed) and all(i < width for i in out):
            pick = _picker(out)

            def emit_rows(rows: list[Row], keys: list[bytes]) -> None:
                if keys:
                    rows_out.update((pick(row), None) for row in rows)

            return emit_rows
        keys_only = not agree and all(i >= width for i in out)
        return _general(rows_out, _picker(out), _Tests(agree, equal, fixed), self._check_rows, keys_only=keys_only)


class _Tests(NamedTuple):
    """What a key's parts must satisfy: equal a row's cell, each other, a constant."""

    agree: list[tuple[int, int]]
    equal: list[tuple[int, int]]
    fixed: list[tuple[int, bytes]]


def _general(
    rows_out: dict[Row, None],
    pick: Callable[[tuple[Cell, ...]], Row],
    tests: _Tests,
    check: Callable[[], None],
    *,
    keys_only: bool,
) -> Callable[[list[Row], list[bytes]], None]:
    agree, equal, fixed = tests

    def emit(rows: list[Row], keys: list[bytes]) -> None:
        index: dict[tuple[Cell, ...], list[Row]] = {}
        if agree:
            for row in rows:
                index.setdefault(tuple(row[column] for _, column in agree), []).append(row)
        elif keys_only:
            rows = rows[:1]  # they differ in nothing that is kept
        large = len(rows) * len(keys) > _CHECKED_FROM
        for key in keys:
            parts = tuple(key.split(b"\0"))
            if equal and any(parts[i] != parts[j] for i, j in equal):
                continue
            if fixed and any(parts[i] != value for i, value in fixed):
                continue
            matches = index.get(tuple(parts[at] for at, _ in agree), ()) if agree else rows
            for row in matches:
                rows_out[pick(row + parts)] = None
            if large:
                check()

    return emit


def _picker(out: list[int]) -> Callable[[tuple[Cell, ...]], Row]:
    if len(out) == 1:
        only = out[0]
        return lambda cells: (cells[only],)
    if not out:
        return lambda _: ()
    pick: Callable[[tuple[Cell, ...]], Row] = itemgetter(*out)
    return pick


def join_pattern(lookup: Lookup, relation: Relation, pattern: TriplePattern, keep: set[str]) -> Relation:
    """A relation joined with the matches of a pattern, on the columns of `keep`. What was read is gathered."""
    return _Step(lookup, lookup.nodes(pattern), relation, keep).run()


def estimate(lookup: Lookup, pattern: TriplePattern, bound: Iterable[str], *, count: bool) -> float:
    """About how many keys one row needs; counts the constants' range in the tree only if `count`."""
    nodes, bound = lookup.nodes(pattern), set(bound)
    known = {place for place, node in nodes.items() if not isinstance(node, Var) or node.name in bound}
    dependent = any(isinstance(node, Var) and node.name in bound for node in nodes.values())
    if {"s", "p", "o"} <= known:
        return 0.5
    if {"s", "p"} <= known:
        return 1.0
    if {"s", "o"} <= known:
        return 1.5
    if dependent and ("s" in known or {"p", "o"} <= known):
        return FAN_OUT if "s" in known else FAN_OUT + 1
    if "s" in known:
        return FAN_OUT
    if dependent and "o" in known:
        return 4 * FAN_OUT
    if count and known - {"g"}:
        return 2.0 + lookup.gather.count(*constants(lookup, nodes))
    return float("inf") if not known else 1e12


def constant_only(lookup: Lookup, pattern: TriplePattern, bound: Iterable[str]) -> bool:
    """Whether what is bound does not help to look a pattern up."""
    names = set(bound)
    return not any(isinstance(node, Var) and node.name in names for node in lookup.nodes(pattern).values())


def pattern_batches(lookup: Lookup, relation: Relation, pattern: TriplePattern, keep: set[str]) -> Iterator[Relation]:
    """Like `join_pattern`, but a leaf at a time, read only as far as consumed."""
    return _Step(lookup, lookup.nodes(pattern), relation, keep).batches()


def gathered_matches(lookup: Lookup, pattern: TriplePattern, seen: dict[object, int]) -> Relation:
    """All matches of a pattern among what was gathered for its scope and is not yet in `seen`, which remembers it."""
    nodes = lookup.nodes(pattern)
    step = _Step(lookup, nodes, Relation(), set(variables_of(nodes)))
    for order, keys in lookup.gather.gathered(seen, named=lookup.scope.named):
        step._emitter(order, set(), 0)([()], keys)  # noqa: SLF001 - its own module
    return Relation(step.columns, list(step._rows))  # noqa: SLF001
