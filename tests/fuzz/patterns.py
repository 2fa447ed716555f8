"""Random group graph patterns, with every operator of SPARQL 1.1, nested as deep as asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.limits import QUERY_CLOSURES_MAX
from tests.fuzz.expressions import Expressions
from tests.fuzz.selects import Selects
from tests.fuzz.terms import UNKNOWN, VARIABLES, Terms
from tests.fuzz.tree import Node
from tests.fuzz.vocabulary import iri

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence

    from tests.oracle import Quad

_TRIPLES_GUESSED = 30.0
_KINDS = {
    "triples": 34,
    "path": 13,
    "bind": 6,
    "values": 6,
    "optional": 13,
    "union": 9,
    "minus": 7,
    "graph": 9,
    "group": 4,
    "subselect": 8,
    "scoped": 10,
}
_NO_QUADS: tuple[Quad, ...] = ((b"", b"", b"", b""),)
_FLAT = ("triples", "path", "bind", "values")


class Patterns:
    """Makes groups. `depth` is how many groups may still nest in the one that is being made."""

    def __init__(self, rng: random.Random, quads: Sequence[Quad]) -> None:
        self.rng = rng
        self.terms = Terms(rng, quads)
        self.expressions = Expressions(self.terms, self._exists_group)
        self.selects = Selects(self.terms, self.expressions)

    def group(self, available: Collection[str], depth: int) -> Node:
        """Return a group. `available` are the variables around it, which it likes to reuse."""
        elements: list[Node] = []
        scope: set[str] = set()
        rows = 1.0
        if self.rng.random() > 0.02:
            for _ in range(self.rng.choice((1, 1, 2, 2, 3))):
                made = self._element(frozenset(available) | scope, frozenset(scope), depth)
                rows *= max(made.rows / 6.0 ** min(2, len(made.variables & scope)), 0.2)
                scope |= made.variables
                elements.append(made)
        filters = [self._filter(scope or available, depth) for _ in range(self.rng.choice((0, 0, 0, 1, 1, 2)))]
        for made in filters:
            elements.insert(self.rng.randint(0, len(elements)), made)
        work = sum(e.work for e in elements) + rows * (1 + sum(f.work for f in filters))
        return Node("group", "" if elements else "empty group", tuple(elements), frozenset(scope), rows, work)

    def _filter(self, available: Collection[str], depth: int) -> Node:
        inner = self.expressions.condition(available, depth)
        return Node("element", "filter", ("FILTER(", inner, ")"), work=inner.work)

    def _element(self, available: frozenset[str], scope: frozenset[str], depth: int) -> Node:
        kinds = _KINDS if depth > 0 else {k: _KINDS[k] for k in _FLAT}
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "triples":
            return self.triples(available)
        if kind == "path":
            return self._path_pattern(available)
        if kind == "bind":
            return self._bind(available, scope, depth)
        if kind == "values":
            return self.values(available)
        if kind == "subselect":
            return self.subselect(available, depth)
        if kind == "scoped":
            return self._scoped(available, depth)
        return self._nested(kind, available, scope, depth)

    def _nested(self, kind: str, available: frozenset[str], scope: frozenset[str], depth: int) -> Node:
        if kind == "graph":
            return self._graph(available, depth)
        inner = self.group(available, depth - 1)
        if kind == "optional":
            rows = max(1.0, inner.rows)
            return Node("element", "optional", ("OPTIONAL ", inner), inner.variables, rows, inner.work)
        if kind == "minus":
            op = "minus" if inner.variables & scope else "minus disjoint"
            return Node("element", op, ("MINUS ", inner), work=inner.work)
        if kind == "group":
            return Node("element", "group", (inner,), inner.variables, inner.rows, inner.work)
        branches = [inner, *(self.group(available, depth - 1) for _ in range(self.rng.choice((1, 1, 2))))]
        parts: list[str | Node] = []
        for branch in branches:
            parts += [" UNION ", branch] if parts else [branch]
        variables = frozenset[str]().union(*(b.variables for b in branches))
        rows, work = sum(b.rows for b in branches), sum(b.work for b in branches)
        return Node("element", "union", tuple(parts), variables, rows, work)

    def _scoped(self, available: frozenset[str], depth: int) -> Node:
        """Return a group whose OPTIONAL, MINUS or EXISTS shares a variable with what is around the group only.

        Bindings from around must not reach it: they would hide solutions that it needs to see.
        """
        outer = self.rng.choice(sorted(available) or ["?a"])
        free = [v for v in VARIABLES if v not in available] or list(VARIABLES)
        subject, object_ = self.rng.choice(free), self.rng.choice(VARIABLES)
        first = self._plain(subject, self.terms.predicate(), object_)
        joined = self.rng.choice((subject, subject, object_))
        ends = self.rng.choice(((joined, outer), (outer, joined)))
        second = self._plain(ends[0], self.terms.predicate(), ends[1])
        inner = Node("group", "", (second,), second.variables, second.rows, second.work)
        if depth > 1 and self.rng.random() < 0.25:
            inner = self.group((outer, subject), depth - 2)
        kind = self.rng.choice(("optional", "minus", "EXISTS", "NOT EXISTS"))
        if kind in ("optional", "minus"):
            part = Node("element", kind, (f"{kind.upper()} ", inner), inner.variables, inner.rows, inner.work)
        else:
            test = Node("expression", kind, (f"{kind} ", inner), work=inner.work)
            part = Node("element", "filter", ("FILTER(", test, ")"), work=inner.work)
        scope = first.variables | (inner.variables if kind == "optional" else frozenset[str]())
        rows, work = first.rows * 2, first.work + first.rows * (1 + inner.work)
        whole = Node("group", "", (first, part), scope, rows, work)
        roll = self.rng.random()
        if roll < 0.15:
            return Node("element", "optional", ("OPTIONAL ", whole), scope, rows, work)
        if roll < 0.3:
            body: tuple[str | Node, ...] = ("{ SELECT * WHERE ", whole, " }")
            return Node("element", "subselect", body, scope, rows, work)
        if roll < 0.4:
            other = self.group(available, depth - 1)
            parts = (whole, " UNION ", other)
            return Node("element", "union", parts, scope | other.variables, rows + other.rows, work + other.work)
        return Node("element", "group with a scope of its own", (whole,), scope, rows, work)

    def _plain(self, s: str, p: str, o: str) -> Node:
        variables = frozenset(t for t in (s, o) if t.startswith("?"))
        return Node("element", "triple", (f"{s} {p} {o} .",), variables, 10, 10, (s, p, o))

    def _graph(self, available: frozenset[str], depth: int) -> Node:
        around, name = self.terms.graph, self.terms.graph_name()
        variable = ""
        if self.rng.random() < 0.65:
            variable = self.terms.variable(available) if self.rng.random() < 0.3 else "?g"
            known = self.terms.witness.setdefault(variable, self.rng.choice(self.terms.quads or _NO_QUADS)[3])
            self.terms.graph = known
        else:
            self.terms.graph = iri(name.removeprefix("e:")) if self.terms.prefixed else name.encode()
        inner = self.group(available, depth - 1)
        self.terms.graph = around
        if not variable:
            parts = (f"GRAPH {name} ", inner)
            return Node("element", "graph constant", parts, inner.variables, inner.rows, inner.work)
        op = "graph variable shared" if variable in inner.variables | available else "graph variable"
        scope = inner.variables | {variable}
        return Node("element", op, (f"GRAPH {variable} ", inner), scope, inner.rows * 3, inner.work * 3)

    def _bind(self, available: frozenset[str], scope: frozenset[str], depth: int) -> Node:
        free = [v for v in VARIABLES if v not in scope]
        if not free:
            return self.triples(available)
        variable = self.rng.choice(free)
        known = self.terms.witness.setdefault(variable, UNKNOWN)
        value = self.expressions.value(scope or available, depth, self.rng.choice((0, 0, 1, 2)))
        if known and self.rng.random() < 0.6:
            value = Node("expression", "", (self.terms.text(known),))
        parts = ("BIND(", value, f" AS {variable})")
        return Node("element", "bind", parts, frozenset({variable}), work=value.work)

    def values(self, available: Collection[str], sort: str = "element") -> Node:
        """Return a VALUES block of one or two variables; UNDEF one time in five."""
        names = sorted({self.terms.variable(available) for _ in range(self.rng.choice((1, 1, 2)))})
        rows = []
        for _ in range(self.rng.choice((0, 1, 2, 2, 3))):
            cells = ["UNDEF" if self.rng.random() < 0.2 else self.terms.constant_for(n) for n in names]
            rows.append(f"({' '.join(cells)})")
        text = f"VALUES ({' '.join(names)}) {{ {' '.join(rows)} }}"
        op = "values undef" if "UNDEF" in text else "values"
        return Node(sort, op, (text,), frozenset(names), max(1.0, len(rows)))

    def _exists_group(self, available: Collection[str], depth: int) -> Node | None:
        return self.group(available, depth - 1) if depth > 0 else None

    # --- triples and paths -------------------------------------------------------------------------------------

    def triples(self, available: Collection[str]) -> Node:
        """Return one triple pattern; now and then one written with `;`, `,`, `[]` or `()`."""
        if self.rng.random() < 0.08:
            return self._abbreviated(available)
        s, p, o = self.terms.triple(available)
        variables = frozenset(t for t in (s, p, o) if t.startswith("?"))
        op = "triple ground" if not variables else "triple"
        names = [t for t in (s, p, o) if t[:1] in "?_"]
        if len(names) == 3:
            op = "triple of variables"
        if len(set(names)) < len(names):
            op = "triple with repeated variable"
        if "_:" in s + o:
            op = "triple with blank node"
        rows = _TRIPLES_GUESSED / 3.0 ** (p[:1] != "?") / 5.0 ** ((s[:1] not in "?_") + (o[:1] not in "?_"))
        return Node("element", op, (f"{s} {p} {o} .",), variables, rows, rows, (s, p, o))

    def _abbreviated(self, available: Collection[str]) -> Node:
        s, p, q = self.terms.subject(available), self.terms.predicate(), self.terms.predicate()
        o, x = (self.terms.variable(available) for _ in range(2))
        op, text = self.rng.choice(
            (
                ("; list", f"{s} {p} {o} ; {q} {x} ."),
                (", list", f"{s} {p} {o}, {x} ."),
                ("[] node", f"{s} {p} [ {q} {x} ] ."),
                ("[] node", f"[ {p} {o} ; {q} {x} ] ."),
                ("collection", f"{s} {p} ( {x} ) ."),
                ("path in ; list", f"{s} {p} {o} ; ^{p}/{q}* {x} ."),
            )
        )
        variables = frozenset(word for word in text.split() if word.startswith("?"))
        variables = frozenset(v.rstrip(",") for v in variables)
        return Node("element", op, (text,), variables, 10, 10)

    def _path_pattern(self, available: Collection[str]) -> Node:
        path = self.path(3)
        s, _, o = self.terms.triple(available)
        if self.rng.random() < 0.08 and s.startswith("?"):
            o = s
        elif self.rng.random() < 0.15:
            s, o = self.terms.subject(available), self.terms.object(available)
        ends = sum(t[:1] in "?_" for t in (s, o))
        op = ("path between constants", "path from a constant", "path between variables")[ends]
        if s == o:
            op = "path to itself"
        variables = frozenset(t for t in (s, o) if t.startswith("?"))
        rows = (1.0, 5.0, 40.0)[len(variables)]
        return Node("element", op, (f"{s} ", path, f" {o} ."), variables, rows, rows)

    def path(self, size: int, closures: int = 0) -> Node:
        """Return a property path that is no lone predicate at the top, inside so many closures."""
        kinds = ["/", "/", "|", "|", "^", "?", "*", "*", "+", "+", "!", "!^", "!(|)"]
        kind = self.rng.choice(kinds)
        if closures == QUERY_CLOSURES_MAX and kind in "*+":
            kind = "?"
        name = f"path {kind}"
        if kind[0] == "!":
            p, q = self.terms.predicate(), self.terms.predicate()
            texts = {"!": f"!{p}", "!^": f"!^{p}", "!(|)": self.rng.choice((f"!({p}|^{q})", f"!({p}|{q})", "!()"))}
            return Node("path", name, (texts[kind],))
        inside = closures + (kind in "*+")
        parts = [self._step(size - 1, inside) for _ in range(2 if kind in "/|" else 1)]
        if kind in "/|":
            return Node("path", name, ("(", parts[0], kind, parts[1], ")"))
        return Node("path", name, ("^(", parts[0], ")") if kind == "^" else ("(", parts[0], f"){kind}"))

    def _step(self, size: int, closures: int) -> Node:
        if size <= 0 or self.rng.random() < 0.55:
            return Node("path", "", (self.terms.predicate(),))
        return self.path(size, closures)

    # --- sub-selects --------------------------------------------------------------------------------------------

    def subselect(self, available: Collection[str], depth: int) -> Node:
        """Return a nested SELECT."""
        select = self.selects.select(self.group(available, depth - 1), nested=True)
        return Node("element", "subselect", ("{ ", select, " }"), select.variables, select.rows, select.work)
