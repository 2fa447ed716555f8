"""From a seed to a case: a random dataset, a random query over it, and the graphs in scope."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.fuzz.dialect import spoken
from tests.fuzz.patterns import Patterns
from tests.fuzz.tree import Node, depth, operators, render, walk, without
from tests.fuzz.vocabulary import GRAPHS, MISSING, PREFIX, iri, random_quads
from tests.oracle import Match, Outcome, Quad, Refusal, Term, difference, oracle

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPTHS = (1, 1, 2, 2, 3, 3, 4, 5)
"""How many groups nest in each other, the outermost included: a query is at least as deep as one of these."""

WORK_MAX = 30_000.0
PATTERNS_MAX = 40
"""Triple and path patterns, well below what `dkg.sparql` takes."""

ATTEMPTS_MAX = 5_000
ATTEMPTS: Final = Path(__file__).with_name("attempts.txt")
"""The attempt that each of the first seeds takes, so that the search for it, most of the time of a run, is done once.

After a change of the grammar: `python -m tests.fuzz.attempts`.
"""

_HEADER = f"PREFIX e: <{PREFIX}>\n"
_GAPS = (" ", "\n", " # } { <x> 'y\n", "\n\t")


@dataclass(frozen=True)
class Case:
    """A query over a dataset. `seed` makes it again.

    `gap` is what separates elements in the text, `dialect` how it is put into words (`tests.fuzz.dialect`; 0: plainly).
    """

    seed: int
    quads: tuple[Quad, ...]
    tree: Node
    gap: str
    dialect: int
    default_graphs: tuple[Term, ...] | None
    named_graphs: tuple[Term, ...] | None

    @cached_property
    def text(self) -> str:
        """The query."""
        return self._said(self.tree)

    def _said(self, tree: Node) -> str:
        text = render(tree, self.gap)
        return spoken(text, self.dialect) if self.dialect else text

    @cached_property
    def unlimited_text(self) -> str | None:
        """The query without its LIMIT and OFFSET, if these leave open which rows are right; else None."""
        whole = without(self.tree, "slice")
        return None if whole == self.tree else self._said(whole)

    @property
    def match(self) -> Match:
        """How two answers to the query are compared."""
        found = operators(self.tree)
        if "select reduced" in found:
            return Match.SET
        return Match.SEQUENCE if found & {"total order", "slice with total order"} else Match.BAG

    @cached_property
    def answer(self) -> Outcome:
        """What the oracle answers."""
        return answer_of_oracle(self)

    @cached_property
    def unlimited_answer(self) -> Outcome | None:
        """What the oracle answers to `unlimited_text`."""
        text = self.unlimited_text
        return None if text is None else oracle(self.quads, text, self.default_graphs, self.named_graphs, None)

    def __str__(self) -> str:
        """Everything that a reader needs to see the failure."""
        data = "\n".join(b" ".join(quad).decode() + " ." for quad in self.quads)
        scope = f"default_graphs={self.default_graphs} named_graphs={self.named_graphs}"
        return f"seed {self.seed}, {scope}\n{self.text}\n\n{data}\n"


@cache
def attempts() -> tuple[int, ...]:
    """The attempts of `ATTEMPTS`, by seed."""
    return tuple(map(int, ATTEMPTS.read_text().split()))


def case(seed: int) -> Case:
    """Return the case of a seed: always the same one, accepted by the engine, and cheap to run."""
    known = attempts()
    return search(seed, known[seed] if seed < len(known) else 0)[1]


def search(seed: int, first: int = 0) -> tuple[int, Case]:
    """The first attempt from a given one on that makes a case, and the case.

    Most random queries say nothing about most random data, so nine in ten of the cases whose answer is the
    same over half of the data are passed over.
    """
    wanted = random.Random(seed).choice(DEPTHS)
    for attempt in range(first, ATTEMPTS_MAX):
        rng = random.Random(f"{seed}/{attempt}")
        quads = random_quads(rng)
        tree = Queries(rng, quads, wanted).query()
        if tree.work > WORK_MAX or depth(tree) < wanted > 1 or _patterns(tree) > PATTERNS_MAX:
            continue
        dialect = rng.randrange(1, 1 << 30) if rng.random() < 0.3 else 0
        made = Case(seed, quads, tree, rng.choice(_GAPS), dialect, *_parameters(rng, tree))
        if isinstance(made.answer, Refusal):
            continue
        half = with_data(made, tuple(quad for quad in quads if rng.random() < 0.5))
        if difference(made.answer, half.answer) or rng.random() < 0.04:
            return attempt, made
    message = f"no query for seed {seed}"
    raise AssertionError(message)


def _patterns(tree: Node) -> int:
    return sum(node.op.startswith(("triple", "path ")) for node in walk(tree))


def answer_of_oracle(made: Case, shuffle: int | None = None) -> Outcome:
    """Run the oracle on a case."""
    return oracle(made.quads, made.text, made.default_graphs, made.named_graphs, None, shuffle)


def with_data(made: Case, quads: tuple[Quad, ...]) -> Case:
    """Return the case over other data."""
    return replace(made, quads=quads)


def _parameters(rng: random.Random, tree: Node) -> tuple[tuple[Term, ...] | None, tuple[Term, ...] | None]:
    """Return explicit default and named graphs for one case in six, also where the query has FROM."""
    if rng.random() > (0.5 if any(node.op.startswith("from") for node in walk(tree)) else 0.15):
        return None, None
    names = [*GRAPHS, MISSING]
    default, named = (tuple(map(iri, rng.sample(names, rng.choice((0, 1, 1, 2, 3))))) for _ in range(2))
    roll = rng.random()
    return (None, named) if roll < 0.2 else (default, None) if roll < 0.4 else (default, named)


class Queries:
    """Makes whole queries, about as many groups deep as asked: mostly not less, and not much more."""

    def __init__(self, rng: random.Random, quads: Sequence[Quad], wanted: int) -> None:
        self.rng, self.patterns, self.wanted = rng, Patterns(rng, quads), wanted
        self.terms, self.selects = self.patterns.terms, self.patterns.selects

    def query(self) -> Node:
        """Return a query of any form, with its prologue."""
        form = self.rng.choices(
            (
                self._select,
                self._simple,
                self._begun,
                self._ask,
                self._construct,
                self._construct_where,
                self._describe,
            ),
            (74, 30 if self.wanted == 1 else 0, 22, 8, 7, 2, 4),
        )[0]
        body = form()
        header = _HEADER if self.terms.prefixed else ""
        return Node("query", "", (header, body, *self._trailing(body)), body.variables, body.rows, body.work)

    def _trailing(self, body: Node) -> list[Node]:
        if self.rng.random() > 0.06 or body.op == "construct where":
            return []
        values = self.patterns.values(body.variables, "clause")
        return [replace(values, op="trailing values", parts=(" ", *values.parts))]

    def _where(self) -> Node:
        return self.patterns.group((), self.rng.choice((self.wanted - 1, 4)))

    def _dataset(self) -> tuple[Node, ...]:
        """Return FROM and FROM NAMED clauses for one query in ten."""
        if self.rng.random() > 0.1:
            return ()
        kinds = self.rng.choices(("from", "from named"), k=self.rng.choice((1, 2, 2, 3)))
        return tuple(Node("clause", kind, (f"{kind.upper()} {self.terms.graph_name()} ",)) for kind in kinds)

    def _select(self) -> Node:
        return self.selects.select(self._where(), nested=False, dataset=self._dataset())

    def _simple(self) -> Node:
        """Return what the evaluator has short cuts for: one pattern counted, sliced, or with a range."""
        kind = self.rng.choice(("count", "slice", "range", "range", "negation", "negation"))
        if kind == "range":
            return self._range()
        if kind == "negation":
            return self._sliced_negation()
        triples = self.patterns.triples(())
        group = Node("group", "", (triples,), triples.variables, triples.rows, triples.work)
        variable = self.terms.variable(triples.variables)
        counted = self.rng.choice(("*", variable, f"DISTINCT {variable}"))
        if kind == "count":
            parts: tuple[str | Node, ...] = (f"SELECT (COUNT({counted}) AS ?n) ", *self._dataset(), "WHERE ", group)
            return Node("select", "count of one pattern", parts, frozenset({"?n"}), 1, group.work)
        clause = Node("slice", "slice with open order", (f" LIMIT {self.rng.choice((1, 2, 3))}",))
        parts = ("SELECT * ", *self._dataset(), "WHERE ", group, clause)
        return Node("select", "slice of one pattern", parts, triples.variables, 3, group.work)

    def _sliced_negation(self) -> Node:
        """Return ASK or LIMIT over a pattern with an OPTIONAL, MINUS or NOT EXISTS, which may be read bit by bit."""
        p, q, r = (self.terms.predicate() for _ in range(3))
        first = Node("element", "triple", (f"?x {p} ?y .",), frozenset({"?x", "?y"}), 10, 10)
        ends = self.rng.choice((f"?y {q} ?z", f"?x {q} ?z", f"?z {q} ?x", f"?z {q} ?y", f"?y ({q}|{r})+ ?z"))
        test = self.rng.choice(("", "", "FILTER(?z != ?y)", f"?z {r} ?x .", f"FILTER NOT EXISTS {{ ?z {r} ?y }}"))
        inner = Node("group", "", (Node("element", "triple", (f"{ends} .",)), Node("element", "filter", (test,))))
        elements: list[Node] = [first]
        kind = self.rng.choice(("optional", "minus", "NOT EXISTS"))
        if kind == "NOT EXISTS":
            elements.append(Node("element", "filter", ("FILTER(NOT EXISTS ", inner, ")")))
        else:
            elements.append(Node("element", kind, (f"{kind.upper()} ", inner), frozenset({"?z"})))
        if kind == "optional" and self.rng.random() < 0.7:
            elements.append(Node("element", "filter", (self.rng.choice(("FILTER(!BOUND(?z))", "FILTER(?z != ?x)")),)))
        group = Node("group", "", tuple(elements), frozenset({"?x", "?y"}), 30, 300)
        if self.rng.random() < 0.3:
            return Node("ask", "ask over negation", ("ASK ", *self._dataset(), group), group.variables, 1, 300)
        clause = Node("slice", "slice with open order", (f" LIMIT {self.rng.choice((1, 2, 3, 5))}",))
        distinct = self.rng.choice(("", "", "DISTINCT "))
        parts: tuple[str | Node, ...] = (f"SELECT {distinct}* ", *self._dataset(), "WHERE ", group, clause)
        return Node("select", "slice over negation", parts, group.variables, 5, 300)

    def _begun(self) -> Node:
        """Return ASK or LIMIT over a group that begins with a UNION, VALUES, BIND, GRAPH or a path."""
        where, first = self._where(), ""
        for _ in range(30):
            first = next((node.op for node in where.children if node.op != "filter"), "").split(" ")[0]
            if first in ("union", "values", "bind", "graph", "path"):
                break
            where = self._where()
        else:
            return self._ask()
        if self.rng.random() < 0.2:
            return Node("ask", f"ask over {first}", ("ASK ", *self._dataset(), where), where.variables, 1, where.work)
        offset = self.rng.choice(("", "", " OFFSET 1", " OFFSET 3"))
        clause = Node("slice", f"slice over {first}", (f" LIMIT {self.rng.choice((1, 1, 2, 3, 6))}{offset}",))
        distinct = self.rng.choice(("", "", "DISTINCT "))
        parts: tuple[str | Node, ...] = (f"SELECT {distinct}* ", *self._dataset(), "WHERE ", where, clause)
        return Node("select", "slice with open order", parts, where.variables, where.rows, where.work)

    def _range(self) -> Node:
        """Return one pattern whose object is compared with a literal, most often one that the data has."""
        numbers = [quad for quad in self.terms.quads if quad[2].startswith(b'"')]
        p, known = self.terms.predicate(), self.terms.literal()
        if numbers and self.rng.random() < 0.85:
            quad = self.rng.choice(numbers)
            p, known = self.terms.text(quad[1]), self.terms.text(quad[2])
        constant = known if self.rng.random() < 0.5 else self.rng.choice((self.terms.literal(), "2", "2.0", "2e0"))
        operator = self.rng.choice(("<", "<=", ">", ">=", "=", "="))
        test = f"?x {operator} {constant}" if self.rng.random() < 0.7 else f"{constant} {operator} ?x"
        if self.rng.random() < 0.3:
            test += f" && ?x {self.rng.choice(('<', '>', '!='))} {self.terms.literal()}"
        subject = "?a" if self.rng.random() < 0.7 else self.terms.node()
        triple = Node("element", "triple", (f"{subject} {p} ?x .",), frozenset({"?a", "?x"}), 10, 10)
        element = Node("element", "filter", (f"FILTER({test})",))
        group = Node("group", "", (triple, element), triple.variables, 10, 10)
        if self.rng.random() < 0.2:
            optional = Node("element", "optional", ("OPTIONAL ", group), triple.variables, 10, 10)
            group = Node("group", "", (self.patterns.triples(("?a", "?x")), optional), triple.variables, 30, 30)
        parts: tuple[str | Node, ...] = ("SELECT * ", *self._dataset(), "WHERE ", group)
        return Node("select", "range of one pattern", parts, group.variables, group.rows, group.work)

    def _ask(self) -> Node:
        where = self._where()
        return Node("ask", "ask", ("ASK ", *self._dataset(), where), where.variables, 1, where.work)

    def _construct(self) -> Node:
        where = self._where()
        template = " ".join(self._template(where) for _ in range(self.rng.choice((1, 1, 2))))
        parts: list[str | Node] = [f"CONSTRUCT {{ {template} }} ", *self._dataset(), "WHERE ", where]
        if self.rng.random() < 0.15 and where.variables:
            parts += self.selects.modifiers(sorted(where.variables), where.variables, nested=True)
        return Node("construct", "construct", tuple(parts), where.variables, where.rows, where.work)

    def _template(self, where: Node) -> str:
        def pick(constant: str) -> str:
            return self.terms.variable(where.variables) if self.rng.random() < 0.75 else constant

        blank = "_:made"
        s, o = pick(self.rng.choice((blank, self.terms.node()))), pick(self.rng.choice((blank, "1")))
        return f"{s} {pick(self.terms.predicate())} {o} ."

    def _construct_where(self) -> Node:
        triples = [self.patterns.triples(("?x", "?y")) for _ in range(self.rng.choice((1, 2, 2)))]
        group = Node("group", "", tuple(triples))
        work = triples[0].rows * triples[-1].rows
        return Node("construct", "construct where", ("CONSTRUCT ", *self._dataset(), "WHERE ", group), work=work)

    def _describe(self) -> Node:
        where = self._where()
        kind = self.rng.choice(("describe constant", "describe variable", "describe variable", "describe *"))
        if kind == "describe constant":
            target = " ".join({self.terms.node(), self.terms.node()})
            return Node("describe", kind, (f"DESCRIBE {target} ", *self._dataset()))
        target = "*" if kind == "describe *" else f"{self.terms.variable(where.variables)} {self.terms.node()}"
        parts: tuple[str | Node, ...] = (f"DESCRIBE {target} ", *self._dataset(), "WHERE ", where)
        return Node("describe", kind, parts, where.variables, where.rows, where.work)
