"""Queries with LIMIT whose solutions begin in UNION, VALUES, BIND, GRAPH or a path, over data of several pages.

Such queries are read bit by bit (`dkg.sparql.steps`): what they begin with, and how that sits under OPTIONAL, MINUS and
EXISTS, decides how far. The general grammar seldom puts a LIMIT on these over data that has more than it asks for.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from tests.fuzz.scopes import predicate, triple, unit, value, values, variable
from tests.fuzz.vocabulary import PREFIX, iri

if TYPE_CHECKING:
    import random

    from tests.oracle import Quad

_NODES, _PREDICATES, _GRAPHS = ("a", "b", "c", "d", "g1"), ("p", "q", "r"), ("g1", "g2")
_ALL = tuple((iri(s), iri(p), iri(o), iri(g)) for s, p, o, g in product(_NODES, _PREDICATES, _NODES, _GRAPHS))
_DEPTH = 2


def several_pages(rng: random.Random) -> tuple[Quad, ...]:
    """Return 5 to 45 quads of 150, an odd number: the evaluators give these small pages."""
    return tuple(sorted(rng.sample(_ALL, 2 * rng.randint(2, 22) + 1)))


def begun_query(rng: random.Random) -> tuple[str, str]:
    """Return a query and what limits it, to put behind the query."""
    body = _body(rng, _DEPTH)
    if rng.random() < 0.3:
        body = _around(rng, body)
    columns = rng.choice(("*", "*", "*", "DISTINCT *", "DISTINCT ?x", "?g ?y", "?x (COALESCE(?y, 1) AS ?new)"))
    slice_ = f" LIMIT {rng.choice((0, 1, 1, 2, 3, 5, 9))} OFFSET {rng.choice((0, 0, 0, 1, 4))}"
    return f"PREFIX e: <{PREFIX}> SELECT {columns} {{ {body}}}", slice_


def asked(query: str) -> str:
    """Return whether the query has an answer, as a query."""
    head, _, body = query.partition(" SELECT ")
    return f"{head} ASK {body[body.index('{') :]}"


def _body(rng: random.Random, depth: int) -> str:
    """Return the inside of a group: what it begins with, and what comes after."""
    parts = [_beginning(rng, depth)]
    parts += [_after(rng, depth) for _ in range(rng.choice((0, 0, 1, 1, 2)))]
    if rng.random() < 0.2:
        parts.insert(0, parts.pop())
    return "".join(parts)


def _beginning(rng: random.Random, depth: int) -> str:
    roll = rng.random()
    if depth == 0 or roll < 0.12:
        return triple(rng) if rng.random() < 0.5 else path(rng)
    if roll < 0.4:
        return " UNION ".join(f"{{ {_body(rng, depth - 1)}}}" for _ in range(rng.choice((2, 2, 3)))) + " "
    if roll < 0.55:
        return values(rng) + _body(rng, depth - 1)
    if roll < 0.68:
        return f"BIND({value(rng)} AS {variable(rng)}) " + _body(rng, depth - 1)
    if roll < 0.85:
        return path(rng)
    return _around(rng, _body(rng, depth - 1))


def _around(rng: random.Random, body: str) -> str:
    graph = rng.choice(("GRAPH ?g", "GRAPH ?g", "GRAPH ?x", "GRAPH e:g1", "GRAPH e:c", "", "", "SELECT"))
    if graph == "SELECT":
        shown = rng.choice(("*", "*", "DISTINCT ?x ?y", "?x ?z", "?x (?y AS ?new)", "(MAX(?x) AS ?y)"))
        # Which rows a LIMIT in here takes is open, unless it takes none or all.
        limit = rng.choice(("", "", "", "LIMIT 0 ", "LIMIT 1000 "))
        return f"{{ SELECT {shown} {{ {body}}} {limit}}} "
    return f"{graph} {{ {body}}} "


def _after(rng: random.Random, depth: int) -> str:
    inner = _body(rng, depth - 1) if depth > 0 and rng.random() < 0.5 else triple(rng)
    v, w = variable(rng), variable(rng)
    return rng.choice(
        (
            f"OPTIONAL {{ {inner}}} ",
            f"OPTIONAL {{ {inner}}} ",
            f"MINUS {{ {inner}}} ",
            f"FILTER EXISTS {{ {inner}}} ",
            f"FILTER NOT EXISTS {{ {inner}}} ",
            f"FILTER(!BOUND({v}) || {v} != {w}) ",
            f"FILTER({v} = {w}) ",
            f"BIND({value(rng)} AS ?b) ",
            values(rng),
            triple(rng),
            path(rng),
            f"{{ {inner}}} UNION {{ {triple(rng)}}} ",
            unit(rng, 1),
        )
    )


def path(rng: random.Random) -> str:
    """Return a property path between variables, or from one to a node."""
    ends = [variable(rng), rng.choice((variable(rng), variable(rng), "e:a"))]
    rng.shuffle(ends)
    return f"{ends[0]} {_path(rng, 2)} {ends[1]} . "


def _path(rng: random.Random, depth: int) -> str:
    p, q = predicate(rng), predicate(rng)
    if depth <= 0:
        return p
    a, b = _path(rng, depth - rng.choice((1, 2))), _path(rng, depth - 1)
    return rng.choice(
        (f"({a}|{b})", f"({a}|{b})", f"^{a}", f"({a}/{b})", f"({a})+", f"({a})*", f"({a})?", f"!{p}", f"!({p}|^{q})")
    )
