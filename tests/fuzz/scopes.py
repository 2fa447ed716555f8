"""Queries of one shape, `{ X OPTIONAL { Y } Z }`, over tiny dense data.

What coverage believes of a match of Y decides what it reads for Z. X and Y are made of what gives a variable a value
that something outside may contradict, or that nobody knows: aliases of sub-selects, VALUES (also of a sub-select), BIND
in a group of its own, GRAPH, OPTIONAL, MINUS, paths that may be empty. The general grammar seldom makes these meet.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from tests.fuzz.vocabulary import PREFIX, iri

if TYPE_CHECKING:
    import random

    from tests.oracle import Quad

_NODES, _PREDICATES, _GRAPHS = ("a", "b", "c", "g1"), ("p", "q", "r"), ("g1", "g2")
_ALL = tuple((iri(s), iri(p), iri(o), iri(g)) for s, p, o, g in product(_NODES, _PREDICATES, _NODES, _GRAPHS))
_VARIABLES = ("?x", "?y", "?z")
_DEPTH = 2


def tiny_quads(rng: random.Random) -> tuple[Quad, ...]:
    """Return 2 to 8 quads of 192."""
    return tuple(sorted(rng.sample(_ALL, rng.randint(2, 8))))


def scoped_query(rng: random.Random) -> str:
    """Return a query of the shape, with three variables in all."""
    left = "".join(unit(rng, _DEPTH) for _ in range(rng.choice((0, 1, 1, 2))))
    right = "".join(unit(rng, _DEPTH) for _ in range(rng.choice((1, 2))))
    after = rng.choice(("?new {p} {v} . ", "{v} {p} ?new . ", "OPTIONAL {{ ?new {p} {v} }} ", "{v} {p} {v} . "))
    body = f"{left}OPTIONAL {{ {right}}} {after.format(p=predicate(rng), v=variable(rng))}"
    if rng.random() < 0.1:
        body = f"GRAPH {variable(rng)} {{ {body}}} "
    form = rng.choice(("SELECT *", "SELECT *", "SELECT *", "DESCRIBE ?x"))
    return f"PREFIX e: <{PREFIX}> {form} {{ {body}}}{rng.choice(('', '', '', values(rng)))}"


def sliced_query(rng: random.Random) -> tuple[str, str]:
    """Return a query in groups and GRAPH, and what limits it: such queries are read bit by bit."""
    body = triple(rng)
    for _ in range(rng.choice((0, 1, 1, 2))):
        inner = unit(rng, 1)
        exists = f"FILTER {rng.choice(('', 'NOT '))}EXISTS {{ {inner}}} "
        body += rng.choice((inner, f"OPTIONAL {{ {inner}}} ", f"MINUS {{ {inner}}} ", exists, triple(rng)))
    for _ in range(rng.choice((1, 1, 2))):
        graph = rng.choice(("GRAPH ?g", "GRAPH ?g", "GRAPH ?x", "GRAPH e:g1", "GRAPH e:c", ""))
        body = f"{graph} {{ {body}}} "
    columns = rng.choice(("*", "*", "DISTINCT ?x", "?g ?y"))
    slice_ = f" LIMIT {rng.choice((0, 1, 2, 5))} OFFSET {rng.choice((0, 0, 1, 3))}"
    return f"PREFIX e: <{PREFIX}> SELECT {columns} {{ {body}}}", slice_


def variable(rng: random.Random) -> str:
    """Return one of three variables."""
    return rng.choice(_VARIABLES)


def predicate(rng: random.Random) -> str:
    """Return one of three predicates."""
    return f"e:{rng.choice(_PREDICATES)}"


def value(rng: random.Random) -> str:
    """Return a node, a variable, or what stands in for an unbound one."""
    name = f"e:{rng.choice(_NODES)}"
    return rng.choice((name, name, variable(rng), f"COALESCE({variable(rng)}, e:a)"))


def triple(rng: random.Random) -> str:
    """Return a triple pattern."""
    return f"{variable(rng)} {predicate(rng)} {rng.choice((variable(rng), variable(rng), 'e:a'))} . "


def values(rng: random.Random) -> str:
    """Return VALUES of one or two variables, some of them UNDEF."""
    names = rng.sample(_VARIABLES, rng.choice((1, 2)))
    cells = ("UNDEF", *(f"e:{name}" for name in _NODES))
    rows = [" ".join(rng.choice(cells) for _ in names) for _ in range(rng.choice((1, 1, 2)))]
    return f"VALUES ({' '.join(names)}) {{ {' '.join(f'({row})' for row in rows)} }} "


def unit(rng: random.Random, depth: int) -> str:
    """Return something that joins, up to `depth` levels deep."""
    if depth == 0 or rng.random() < 0.3:
        return triple(rng)
    inner, v = unit(rng, depth - 1), variable(rng)
    tail = values(rng) if rng.random() < 0.4 else ""
    more = unit(rng, depth - 1)
    return rng.choice(
        (
            f"{{ SELECT {rng.choice(('', '?x ', '?y '))}({value(rng)} AS {v}) {{ {inner}}} {tail}}} ",
            f"{{ SELECT {v} {{ {inner}{more}}} {tail}}} ",
            f"{{ SELECT (MAX(STR({v})) AS ?most) {{ {inner}}} {tail}}} ",
            f"{{ BIND({value(rng)} AS {v}) }} ",
            f"{{ {inner}BIND({value(rng)} AS {v}) }} ",
            values(rng),
            f"{{ {inner}OPTIONAL {{ {more}}} }} ",
            f"{{ {inner}MINUS {{ {more}}} }} ",
            f"{{ {inner}}} UNION {{ {more}}} ",
            f"GRAPH {v} {{ {inner}}} ",
            f"{{ GRAPH {v} {{ BIND({value(rng)} AS {v}) }} }} ",
            f"{v} {predicate(rng)}{rng.choice('?*+')} {variable(rng)} . ",
        )
    )
