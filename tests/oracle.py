"""The reference evaluator: plain pyoxigraph over the whole dataset, and what "the same answer" means.

`Evaluator` is the interface that every harness here is run against. The rules an evaluator must follow:

- A dataset has named graphs only. `default_graphs` and `named_graphs` are graph names (`b"<http://g>"`).
- If both are None, the query's own FROM and FROM NAMED count: FROM alone leaves no named graphs, FROM NAMED
  alone leaves an empty default graph, neither means all graphs for both.
- If either is given, FROM and FROM NAMED are ignored, and the one that is None means all graphs.
- The default graph is the merge of its graphs: a set of triples, so that duplicates across graphs collapse.
- A named graph that was asked for by name exists, even when it holds nothing.
- A query that cannot be answered is a `Refusal`, never an exception. Anything else that is raised is a defect.

To plug an evaluator in, add it to `tests/evaluators.py`.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

import pyoxigraph as ox

from dkg.errors import DkgError
from dkg.sparql.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Term = bytes
Quad = tuple[bytes, bytes, bytes, bytes]
Row = tuple[bytes | None, ...]


@dataclass(frozen=True)
class Rows:
    """The answer to SELECT: one cell a variable, None where it is unbound."""

    variables: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Boolean:
    """The answer to ASK."""

    value: bool


@dataclass(frozen=True)
class Graph:
    """The answer to CONSTRUCT and DESCRIBE: a set of triples."""

    triples: frozenset[Row]


@dataclass(frozen=True)
class Refusal:
    """The query was understood and refused, for this reason."""

    reason: str


Outcome = Rows | Boolean | Graph | Refusal


class Match(Enum):
    """How two lists of rows are compared: REDUCED leaves multiplicity open, ORDER BY fixes the sequence."""

    SET = "set"
    BAG = "bag"
    SEQUENCE = "sequence"


class Evaluator(Protocol):
    """Answers a query over a dataset given as quads in normal form, without blank nodes."""

    def __call__(
        self,
        quads: Sequence[Quad],
        query_text: str,
        default_graphs: Sequence[Term] | None,
        named_graphs: Sequence[Term] | None,
        base_iri: str | None,
    ) -> Outcome:
        """Return what the query answers; see the rules in the module's docstring."""
        ...


# --- normal form -------------------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def normal_form(term: Term) -> Term:
    """Return the fixpoint of what the engine makes of a literal when it stores it; other terms as they are."""
    if not term.startswith(b'"'):
        return term
    for _ in range(5):
        store = ox.Store()
        store.load(b"<urn:s> <urn:p> " + term + b" .", format=ox.RdfFormat.N_TRIPLES)
        (quad,) = store
        stored = str(quad.object).encode()
        if stored == term:
            return term
        term = stored
    message = f"the engine rewrites {term!r} without end"
    raise AssertionError(message)


# --- the dataset clause --------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"(?P<skip>\s+|\#[^\n\r]*)|(?P<iri><[^<>\"{}|^`\\\x00-\x20]*>)"
    r"|(?P<string>'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")"
    r"|(?P<variable>[?$]\w+)|(?P<name>[\w.\-]*:(?:[\w.\-:%]|\\.)*)|(?P<word>\w+)|(?P<other>.)",
    re.DOTALL,
)


def dataset_clause(text: str, base_iri: str | None) -> tuple[list[Term], list[Term]] | None:
    """Return the graphs of FROM and of FROM NAMED, or None when the query has neither.

    Read with a tokeniser of our own, so that the reference shares no code with what it judges.
    """
    tokens = [(m.lastgroup, m.group()) for m in TOKEN.finditer(text) if m.lastgroup != "skip"]
    prefixes: dict[str, str] = {}
    base = base_iri or ""
    found: tuple[list[Term], list[Term]] = ([], [])

    def resolve(kind: str | None, token: str) -> str:
        if kind == "iri":
            return urljoin(base, token[1:-1])
        prefix, _, local = token.partition(":")
        return prefixes[prefix] + local.replace("\\", "")

    depth = 0
    for i, (kind, token) in enumerate(tokens):
        depth += {"{": 1, "}": -1}.get(token, 0)
        word = token.upper() if kind == "word" and depth == 0 else ""
        if word == "BASE":
            base = resolve(*tokens[i + 1])
        elif word == "PREFIX":
            prefixes[tokens[i + 1][1].rstrip(":")] = resolve(*tokens[i + 2])
        elif word == "FROM":
            named = tokens[i + 1][1].upper() == "NAMED"
            iri = resolve(*tokens[i + 1 + named])
            found[named].append(f"<{iri}>".encode())
    return found if found[0] or found[1] else None


# --- the oracle ----------------------------------------------------------------------------------------------


def scope(
    quads: Iterable[Quad],
    query_text: str,
    default_graphs: Sequence[Term] | None,
    named_graphs: Sequence[Term] | None,
    base_iri: str | None,
) -> tuple[list[Term], list[Term]]:
    """Return the graphs that make the default graph, and the named graphs, by the rules of this module."""
    every = sorted({quad[3] for quad in quads})
    if default_graphs is None and named_graphs is None:
        default_graphs, named_graphs = dataset_clause(query_text, base_iri) or (None, None)
    return (
        every if default_graphs is None else list(default_graphs),
        every if named_graphs is None else list(named_graphs),
    )


def load(quads: Sequence[Quad], default: Sequence[Term], named: Sequence[Term], shuffle: int | None = None) -> ox.Store:
    """Return a store whose default graph is the merge of `default`. `shuffle` seeds the order of insertion."""
    wanted, merged = set(named), set(default)
    lines = {b" ".join(q[:3]) + b" .\n" for q in quads if q[3] in merged}
    lines |= {b" ".join(q) + b" .\n" for q in quads if q[3] in wanted}
    ordered = sorted(lines)
    if shuffle is not None:
        random.Random(shuffle).shuffle(ordered)
    store = ox.Store()
    store.load(b"".join(ordered), format=ox.RdfFormat.N_QUADS)
    return store


def ask_engine(store: ox.Store, query_text: str, named: Sequence[Term], base_iri: str | None) -> Outcome:
    """Run a query over the store's default graph and the given named graphs; a syntax error is a refusal."""
    try:
        answer = store.query(
            query_text,
            base_iri=base_iri,
            default_graph=ox.DefaultGraph(),
            named_graphs=[ox.NamedNode(g[1:-1].decode()) for g in named],
        )
    except SyntaxError as error:
        return Refusal(f"the engine does not parse it: {error}")
    if isinstance(answer, ox.QueryBoolean):
        return Boolean(bool(answer))
    if isinstance(answer, ox.QueryTriples):
        return Graph(frozenset(tuple(str(t).encode() for t in triple) for triple in answer))
    variables = tuple(v.value for v in answer.variables)
    rows = tuple(tuple(None if t is None else str(t).encode() for t in solution) for solution in answer)
    return Rows(variables, rows)


def oracle(
    quads: Sequence[Quad],
    query_text: str,
    default_graphs: Sequence[Term] | None,
    named_graphs: Sequence[Term] | None,
    base_iri: str | None,
    shuffle: int | None = None,
) -> Outcome:
    """Answer with plain Oxigraph over all the data. The reference: an `Evaluator`.

    ORDER BY is made a total order first: over values of several kinds the engine's own sort ends the process.
    Never hand it a query with SERVICE: the engine would open a connection.
    """
    default, named = scope(quads, query_text, default_graphs, named_graphs, base_iri)
    text = _totally_ordered(query_text, base_iri) if "ORDER" in query_text.upper() else query_text
    return ask_engine(load(quads, default, named, shuffle), text, named, base_iri)


def _totally_ordered(query_text: str, base_iri: str | None) -> str:
    try:
        return parse(query_text, base_iri=base_iri).text
    except DkgError:  # the engine says for itself what it refuses
        return query_text


# --- comparison ----------------------------------------------------------------------------------------------


def difference(expected: Outcome, actual: Outcome, match: Match = Match.BAG) -> str | None:
    """Return None if both are the same answer up to blank node labels, else a sentence that says why not."""
    if isinstance(expected, Rows) and isinstance(actual, Rows):
        if expected.variables != actual.variables:
            return f"variables: expected {expected.variables}, got {actual.variables}"
        if match is Match.SEQUENCE:
            same = _relabelled(expected.rows) == _relabelled(actual.rows)
        elif match is Match.SET:
            same = isomorphic(list(set(expected.rows)), list(set(actual.rows)))
        else:
            same = isomorphic(expected.rows, actual.rows)
        return None if same else _describe(expected.rows, actual.rows)
    if isinstance(expected, Graph) and isinstance(actual, Graph):
        same = isomorphic(list(expected.triples), list(actual.triples))
        return None if same else _describe(expected.triples, actual.triples)
    if isinstance(expected, Boolean) and isinstance(actual, Boolean) and expected.value == actual.value:
        return None
    if isinstance(expected, Refusal) and isinstance(actual, Refusal):
        return None
    return f"expected {_brief(expected)}, got {_brief(actual)}"


def slice_difference(whole: Outcome, part: Outcome, actual: Outcome) -> str | None:
    """Compare answers to a query with LIMIT or OFFSET whose order is open.

    `whole` is the reference answer without the slice, `part` one answer with it: `actual` must have as many
    rows as `part`, each of them in `whole` at least as often.
    """
    if not (isinstance(whole, Rows) and isinstance(part, Rows) and isinstance(actual, Rows)):
        return difference(part, actual)
    if actual.variables != part.variables:
        return f"variables: expected {part.variables}, got {actual.variables}"
    if len(actual.rows) != len(part.rows):
        return f"expected {len(part.rows)} rows, got {len(actual.rows)}"
    foreign = Counter(actual.rows) - Counter(whole.rows)
    return f"rows that the unlimited answer does not have: {list(foreign)[:5]}" if foreign else None


def _brief(outcome: Outcome) -> str:
    if isinstance(outcome, Rows):
        return f"{len(outcome.rows)} rows"
    if isinstance(outcome, Graph):
        return f"a graph of {len(outcome.triples)} triples"
    return repr(outcome)


def _describe(expected: Iterable[Row], actual: Iterable[Row]) -> str:
    left, right = Counter(expected), Counter(actual)
    if left == right:
        return "the same rows in another order"
    lost, extra = left - right, right - left
    return (
        f"expected {left.total()} rows, got {right.total()}; {lost.total()} missing, such as "
        f"{list(lost)[:3]}; {extra.total()} too many, such as {list(extra)[:3]}"
    )


def _is_blank(term: bytes | None) -> bool:
    return term is not None and term.startswith(b"_:")


def _relabelled(rows: Sequence[Row]) -> list[Row]:
    """Rename blank nodes by first appearance."""
    names: dict[bytes, bytes] = {}
    return [
        tuple(names.setdefault(t, b"_:%d" % len(names)) if t is not None and _is_blank(t) else t for t in row)
        for row in rows
    ]


def isomorphic(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Say whether two bags of rows are equal under some one-to-one renaming of blank nodes."""
    if len(left) != len(right):
        return False
    parts = [_connected(rows) for rows in (left, right)]
    if Counter(parts[0][0]) != Counter(parts[1][0]) or len(parts[0][1]) != len(parts[1][1]):
        return False
    rest = parts[1][1]
    for one in parts[0][1]:  # being isomorphic is transitive, so that any partner will do
        partner = next((i for i, other in enumerate(rest) if _alike(one, other)), None)
        if partner is None:
            return False
        del rest[partner]
    return True


def _connected(rows: Sequence[Row]) -> tuple[list[Row], list[list[Row]]]:
    """Split rows into those without blank nodes, and groups that share none with any other group."""
    plain: list[Row] = []
    groups: dict[bytes, list[Row]] = {}
    for row in rows:
        blanks = {t for t in row if t is not None and _is_blank(t)}
        if not blanks:
            plain.append(row)
            continue
        merged = [row]
        for met in {id(g): g for b in blanks if (g := groups.get(b)) is not None}.values():
            merged += met
        for blank in {t for r in merged for t in r if t is not None and _is_blank(t)}:
            groups[blank] = merged
    return plain, list({id(group): group for group in groups.values()}.values())


def _alike(left: Sequence[Row], right: Sequence[Row]) -> bool:
    """Say whether two groups of rows, all of them connected, are isomorphic."""
    blanks = [{t for row in rows for t in row if t is not None and _is_blank(t)} for rows in (left, right)]
    if len(left) != len(right) or len(blanks[0]) != len(blanks[1]):
        return False
    if len(blanks[0]) == 1:
        return Counter(_relabelled(left)) == Counter(_relabelled(right))
    return _search(left, right, dict.fromkeys(blanks[0], 0), dict.fromkeys(blanks[1], 0), [2_000])


Colours = dict[bytes, int]


def _search(left: Sequence[Row], right: Sequence[Row], colours: Colours, others: Colours, budget: list[int]) -> bool:
    """Refine colours on both sides; where several blank nodes still look alike, try to pair one of them."""
    budget[0] -= 1
    if budget[0] < 0:
        message = "too many symmetric blank nodes to compare"
        raise AssertionError(message)
    colours, others = _refine(left, colours), _refine(right, others)
    if Counter(_coloured(row, colours) for row in left) != Counter(_coloured(row, others) for row in right):
        return False
    sizes = Counter(colours.values())
    if all(size == 1 for size in sizes.values()):
        return True
    tied = min((size, colour) for colour, size in sizes.items() if size > 1)[1]
    chosen = next(b for b, colour in colours.items() if colour == tied)
    mark = hash(("chosen", len(sizes)))
    return any(
        _search(left, right, colours | {chosen: mark}, others | {candidate: mark}, budget)
        for candidate, colour in others.items()
        if colour == tied
    )


def _refine(rows: Sequence[Row], colours: Colours) -> Colours:
    while True:
        seen: dict[bytes, list[int]] = {b: [] for b in colours}
        for row in rows:
            for blank in {t for t in row if t is not None and t in colours}:
                places = tuple(i for i, t in enumerate(row) if t == blank)
                seen[blank].append(hash((_coloured(row, colours), places)))
        refined = {b: hash((colours[b], tuple(sorted(marks)))) for b, marks in seen.items()}
        if len(set(refined.values())) == len(set(colours.values())):
            return refined
        colours = refined


def _coloured(row: Row, colours: Colours) -> tuple[bytes | int | None, ...]:
    return tuple(colours.get(t, t) if t is not None else None for t in row)
