"""Random SELECT: projection, grouping, aggregates, order and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.terms import VARIABLES, Terms
from tests.fuzz.tree import Node

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from tests.fuzz.expressions import Expressions


class Selects:
    """Makes SELECT, nested or outermost."""

    def __init__(self, terms: Terms, expressions: Expressions) -> None:
        self.rng, self.terms, self.expressions = terms.rng, terms, expressions

    def select(self, where: Node, *, nested: bool, dataset: tuple[Node, ...] = ()) -> Node:
        """Return `SELECT ... WHERE group`, with modifiers. A nested slice always has a total order."""
        if self.rng.random() < (0.35 if nested else 0.2):
            return self._aggregated(where, dataset, nested=nested)
        distinct = self.rng.choices(("", "DISTINCT ", "REDUCED "), (70, 25, 0 if nested else 5))[0]
        head, projected = self._projection(where)
        modifiers = self.modifiers(sorted(projected), where.variables, nested=nested)
        op = f"select {distinct.strip() or 'all'}".lower() + (" nested" if nested else "")
        parts = (f"SELECT {distinct}", *head, " ", *dataset, "WHERE ", where, *modifiers)
        return Node("select", op, parts, frozenset(projected), where.rows, where.work)

    def _projection(self, where: Node) -> tuple[list[str | Node], set[str]]:
        """Return the projection as parts, and the names that it puts in scope."""
        inside, roll = sorted(where.variables), self.rng.random()
        if inside and roll < 0.4:
            return [Node("", "projection *", ("*",))], set(inside)
        count = self.rng.randint(1, len(inside)) if inside else 1
        chosen = set(self.rng.sample(inside, count)) if inside else {"?a"}
        if roll > 0.93:
            chosen.add(self.terms.variable())
        head: list[str | Node] = [" ".join(sorted(chosen))]
        free = [v for v in VARIABLES if v not in where.variables | chosen]
        if free and roll < 0.55:
            new, value = self.rng.choice(free), self.expressions.value(inside, 1)
            head.append(Node("", "projected expression", (" (", value, f" AS {new})")))
            chosen.add(new)
        elif chosen < where.variables:
            head.append(Node("", "projection hides a variable", ()))
        return head, chosen

    def modifiers(self, names: list[str], inside: Collection[str], *, nested: bool) -> list[str | Node]:
        """Return ORDER BY, LIMIT and OFFSET as clauses. `names` are all projected variables."""
        roll, total = self.rng.random(), " ".join(_total_order(names, self.rng))
        if roll < (0.3 if nested else 0.12) and total:
            text = f" ORDER BY {total} {self._slice()}"
            return [Node("clause", "slice with total order" + (" nested" if nested else ""), (text,))]
        if nested:
            return []
        if roll < 0.2 and total:
            return [Node("clause", "total order", (f" ORDER BY {total}",))]
        found: list[str | Node] = []
        if roll < 0.34:
            key = self.expressions.value(inside or VARIABLES, 1, 1)
            direction = self.rng.choice(("ASC", "DESC"))
            found.append(Node("clause", "order by", (f" ORDER BY {direction}(", key, ")")))
        if 0.28 < roll < 0.5:
            found.append(Node("slice", "slice with open order", (f" {self._slice()}",)))
        return found

    def _slice(self) -> str:
        limit, offset = f"LIMIT {self.rng.choice((0, 1, 2, 5))}", f"OFFSET {self.rng.choice((0, 1, 3))}"
        return self.rng.choice((limit, f"{limit} {offset}", f"{offset} {limit}", offset))

    def _aggregated(self, where: Node, dataset: tuple[Node, ...], *, nested: bool) -> Node:
        inside = sorted(where.variables) or ["?a"]
        keys = self.rng.sample(inside, min(len(inside), self.rng.choice((0, 1, 1, 2))))
        head, projected = [" ".join(k for k in keys if self.rng.random() < 0.8)], set[str]()
        projected |= set(head[0].split())
        by: list[str | Node] = [" ".join(keys)]
        free = [v for v in VARIABLES if v not in where.variables | set(keys)]
        if free and self.rng.random() < 0.15:
            new = free.pop()
            value = self.expressions.value(inside, 1, 1)
            by.append(Node("", "group by expression", (" (", value, f" AS {new})")))
            keys, projected, head = [*keys, new], projected | {new}, [f"{head[0]} {new}"]
        parts: list[str | Node] = [*head]
        for name in free[: self.rng.choice((1, 1, 2))] or ([] if projected else ["?n"]):
            parts += [Node("", "", (" (", self.aggregate(inside, keys), f" AS {name})"))]
            projected.add(name)
        if not projected:
            parts, projected = [f" {keys[0]}"], {keys[0]}
        tail: list[str | Node] = []
        if keys:
            tail.append(Node("", "group by", (" GROUP BY ", *by)))
        if self.rng.random() < 0.06 and (held := self.expressions.existence(keys, 1)):
            tail.append(Node("clause", "having exists", (" HAVING (", held, ")")))
        elif self.rng.random() < 0.25:
            bound = self.rng.choice((" > 1", " = 2", " < 3", " != 0"))
            tail.append(Node("clause", "having", (" HAVING (", self.aggregate(inside, keys), bound, ")")))
        tail += self.modifiers(sorted(projected), sorted(projected), nested=nested)
        op = "aggregates nested" if nested else "aggregates"
        body = ("SELECT ", *parts, " ", *dataset, "WHERE ", where, *tail)
        return Node("select", op, body, frozenset(projected), max(1.0, where.rows / 3), where.work)

    def aggregate(self, inside: list[str], keys: list[str]) -> Node:
        """Return one aggregate whose value does not hang on the order of its group.

        SAMPLE and GROUP_CONCAT do, so SAMPLE takes a key of the group and GROUP_CONCAT is measured only.
        """
        name = self.rng.choice(("COUNT", "COUNT", "SUM", "AVG", "MIN", "MAX", "SAMPLE", "GROUP_CONCAT"))
        distinct = "DISTINCT " if self.rng.random() < 0.3 else ""
        variable = self.rng.choice(inside)
        op = name + (" DISTINCT" if distinct else "")
        if name == "COUNT" and self.rng.random() < 0.4:
            return Node("expression", op + " *", (f"COUNT({distinct}*)",))
        if name == "SAMPLE":
            return Node("expression", op, (f"SAMPLE({distinct}{self.rng.choice(keys) if keys else '1'})",))
        if name == "GROUP_CONCAT":
            separator = self.rng.choice(("", "; SEPARATOR='|'"))
            return Node("expression", op, (f"STRLEN(GROUP_CONCAT({distinct}STR({variable}){separator}))",))
        if name in ("MIN", "MAX") and self.rng.random() < 0.7:
            return Node("expression", op, (f"{name}({distinct}STR({variable}))",))
        inner = variable if self.rng.random() < 0.7 else f"{variable} * 2"
        return Node("expression", op, (f"{name}({distinct}{inner})",))


def _total_order(names: list[str], rng: random.Random) -> list[str]:
    """Return sort keys that tell any two different rows apart, for terms that are not blank nodes."""
    keys = []
    for name in names:
        first = f"STR({name})" if rng.random() < 0.5 else f"DESC(STR({name}))"
        keys += [first, f"isIRI({name})", f"STR(DATATYPE({name}))", f"LANG({name})"]
    return keys
