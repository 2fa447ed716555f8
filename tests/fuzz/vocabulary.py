"""The few terms that random data and random queries share, so that joins hit; and the random data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.oracle import Quad, Term, normal_form

if TYPE_CHECKING:
    import random

PREFIX = "http://e/"
NODES = tuple("abcdef")
PREDICATES = tuple("pqr")
GRAPHS = ("g1", "g2", "g3")
MISSING = "zz"

_XSD = "http://www.w3.org/2001/XMLSchema#"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def iri(name: str) -> Term:
    """Return the term of a name of this vocabulary."""
    return f"<{PREFIX}{name}>".encode()


def _typed(lexical: str, datatype: str) -> Term:
    return normal_form(f'"{lexical}"^^<{_XSD}{datatype}>'.encode())


# Equal values of different types (2, 2.0, 2e0), values without order (NaN), ill-typed and unknown ones included.
LITERALS: tuple[Term, ...] = (
    *(_typed(n, "integer") for n in ("1", "2", "3", "-1")),
    *(_typed(n, "decimal") for n in ("1.5", "2.0")),
    *(_typed(n, "double") for n in ("2.0E0", "2.5E0", "NaN", "INF", "-INF", "-0.0", "9007199254740992")),
    *(_typed(n, "float") for n in ("2.5", "0.1")),
    _typed("9007199254740993", "integer"),  # no double is equal to it
    _typed("-9223372036854775808", "integer"),
    _typed("0.1", "decimal"),
    b'"a"',
    b'"b"',
    b'""',
    b'"a"@en',
    b'"b"@fr',
    _typed("true", "boolean"),
    _typed("2020-01-01", "date"),
    _typed("2021-06-01", "date"),
    _typed("2020-01-01T00:00:00Z", "dateTime"),
    _typed("2020-01-01T00:00:00", "dateTime"),
    _typed("2020-01-01T05:00:00+05:00", "dateTime"),
    _typed("2019-12-31T20:00:00-10:00", "dateTime"),
    _typed("2020-01-01+02:00", "date"),
    _typed("2020", "gYear"),
    _typed("2020-01", "gYearMonth"),
    _typed("P1Y", "duration"),
    _typed("x", "integer"),
    b'"v"^^<http://e/dt>',
)

# Constants as people write them, in normal form or not; the engine compares them in normal form.
QUERY_LITERALS: tuple[str, ...] = (
    *("1", "2", "3", "01", "+2", "-1", "1.5", "1.50", "2.0", "2e0", "2.5E0", "true", "false"),
    *('"a"', "'b'", '""', '"a"@en', '"a"@EN', "'b'@fr", '"""a"""', f'"a"^^<{_XSD}string>'),
    *(f'"{n}"^^<{_XSD}integer>' for n in ("1", "02", "x")),
    f'"3"^^<{_XSD}int>',
    f'"1"^^<{_XSD}boolean>',
    f'"2020-01-01"^^<{_XSD}date>',
    f'"2020-01-01T00:00:00+00:00"^^<{_XSD}dateTime>',
    f'"2020-01-01T05:00:00"^^<{_XSD}dateTime>',
    f'"2020-01-01Z"^^<{_XSD}date>',
    f'"2020"^^<{_XSD}gYear>',
    f'"2020-01"^^<{_XSD}gYearMonth>',
    *("9007199254740992", "9007199254740993", "9.007199254740993e15", "0.1", "1e-1", "-0.0", "-1e400"),
    f'"2.5"^^<{_XSD}float>',
    f'"INF"^^<{_XSD}float>',
    f'"P12M"^^<{_XSD}duration>',
    f'"NaN"^^<{_XSD}double>',
    '"v"^^<http://e/dt>',
)


def random_quads(rng: random.Random) -> tuple[Quad, ...]:
    """Return 5 to 40 quads in one to three graphs, some triples in several; now and then none at all."""
    if rng.random() < 0.01:
        return ()
    graphs = GRAPHS[: rng.choice((1, 2, 2, 3, 3, 3))]
    nodes = NODES[: rng.randint(3, 6)]
    predicates = PREDICATES[: rng.randint(1, 3)]
    literals = rng.sample(LITERALS, rng.randint(2, 8))
    quads: set[Quad] = set()
    for _ in range(rng.randint(5, 30)):
        triple = (_subject(rng, nodes), iri(rng.choice(predicates)), _object(rng, nodes, literals))
        quads.add((*triple, iri(rng.choice(graphs))))
        if rng.random() < 0.25:
            quads.add((*triple, iri(rng.choice(graphs))))
    if rng.random() < 0.05:
        quads |= {
            (iri("list"), f"<{_RDF}first>".encode(), iri("a"), iri("g1")),
            (iri("list"), f"<{_RDF}rest>".encode(), f"<{_RDF}nil>".encode(), iri("g1")),
            (iri("b"), iri("p"), iri("list"), iri("g1")),
        }
    return tuple(sorted(quads))


def _subject(rng: random.Random, nodes: tuple[str, ...]) -> Term:
    roll = rng.random()
    if roll < 0.05:
        return iri(rng.choice(GRAPHS))
    return iri(rng.choice(PREDICATES)) if roll < 0.08 else iri(rng.choice(nodes))


def _object(rng: random.Random, nodes: tuple[str, ...], literals: list[Term]) -> Term:
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(literals)
    if roll < 0.43:
        return iri(rng.choice(GRAPHS))
    return iri(rng.choice(PREDICATES)) if roll < 0.46 else iri(rng.choice(nodes))
