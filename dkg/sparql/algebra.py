"""What the evaluator needs to know of a query: its group graph patterns, as plain values.

`dkg.sparql.syntax.parse` makes these. Expressions stay text, because the engine evaluates them; only
what coverage depends on is lifted out of them (variables, EXISTS patterns, range bounds).
A term is its canonical N-Triples text in UTF-8, in normal form (`dkg.terms`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Var:
    """A variable. A blank node of the query is one too, named `_:label` (never projected)."""

    name: str


Node = Var | bytes


@dataclass(frozen=True, slots=True)
class Link:
    """One predicate."""

    iri: bytes


@dataclass(frozen=True, slots=True)
class Inverse:
    """`^path`."""

    path: Path


@dataclass(frozen=True, slots=True)
class Sequence:
    """`a / b / ...`, two parts or more."""

    parts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """`a | b | ...`, two parts or more."""

    parts: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`path?` (zero, not many), `path*` (zero, many), `path+` (not zero, many)."""

    path: Path
    zero: bool
    many: bool


@dataclass(frozen=True, slots=True)
class Negated:
    """`!(a | ^b ...)`: any forward predicate outside `forward` (None: no forward part), likewise inverse."""

    forward: frozenset[bytes] | None
    inverse: frozenset[bytes] | None


Path = Link | Inverse | Sequence | Alternative | Repeat | Negated


@dataclass(frozen=True, slots=True)
class TriplePattern:
    """Subject, predicate, object: each a variable or a constant."""

    s: Node
    p: Node
    o: Node


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A property path that is more than one predicate (a lone IRI is a `TriplePattern`)."""

    s: Node
    path: Path
    o: Node


@dataclass(frozen=True, slots=True)
class Bound:
    """`?var OP constant` (turned round where the text has the constant first); OP is one of < <= > >= =."""

    var: Var
    op: str
    constant: bytes


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression as source text (without the FILTER or BIND keyword), with what coverage needs of it.

    `variables` are those it mentions outside EXISTS. `exists` are the patterns of EXISTS and NOT EXISTS in
    it, at any depth. `bounds` are its top-level conjuncts (`&&`) of the form variable-compared-to-literal.
    `pure` is False when its value is not a function of its variables (RAND, NOW, UUID, BNODE, EXISTS,
    aggregates).
    """

    text: str
    variables: frozenset[Var]
    exists: tuple[Group, ...] = ()
    bounds: tuple[Bound, ...] = ()
    pure: bool = True


@dataclass(frozen=True, slots=True)
class Triples:
    """Adjacent triple and path patterns: a basic graph pattern, in source order."""

    patterns: tuple[TriplePattern | PathPattern, ...]


@dataclass(frozen=True, slots=True)
class Optional:
    """`OPTIONAL { group }`."""

    group: Group


@dataclass(frozen=True, slots=True)
class Minus:
    """`MINUS { group }`."""

    group: Group


@dataclass(frozen=True, slots=True)
class Union:
    """`{ a } UNION { b } UNION ...`, two branches or more."""

    branches: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class InGraph:
    """`GRAPH node { group }`."""

    graph: Node
    group: Group


@dataclass(frozen=True, slots=True)
class Bind:
    """`BIND (expression AS ?var)`."""

    expression: Expression
    var: Var


@dataclass(frozen=True, slots=True)
class Values:
    """`VALUES`: a row has one cell a variable, None for UNDEF."""

    variables: tuple[Var, ...]
    rows: tuple[tuple[bytes | None, ...], ...]


@dataclass(frozen=True, slots=True)
class SubSelect:
    """A nested SELECT."""

    select: Select


@dataclass(frozen=True, slots=True)
class Group:
    """A group graph pattern: elements in source order; its filters hold for the whole group."""

    elements: tuple[Element, ...] = ()
    filters: tuple[Expression, ...] = ()


Element = Triples | Optional | Minus | Union | InGraph | Bind | Values | SubSelect | Group


@dataclass(frozen=True, slots=True)
class Select:
    """A SELECT, or the WHERE part of another form.

    `projection` is None for `*`. `expressions` are all expressions outside the group pattern: projected
    ones, GROUP BY, HAVING and ORDER BY. `aggregated`: GROUP BY, HAVING or an aggregate is present.
    `aliases` are the names that expressions define (`(e AS ?x)` in SELECT or GROUP BY), None if they are not known.
    `count`: the variable of a query that is exactly `SELECT (COUNT(*) AS ?var)` or `SELECT (COUNT(?x) AS ?var)`
    without GROUP BY, HAVING, ORDER BY, LIMIT or DISTINCT; `counted` is ?x, or None for `*`.
    """

    projection: tuple[Var, ...] | None
    where: Group
    distinct: bool = False
    aggregated: bool = False
    ordered: bool = False
    limit: int | None = None
    offset: int = 0
    expressions: tuple[Expression, ...] = ()
    values: Values | None = None
    count: Var | None = None
    counted: Var | None = None
    aliases: frozenset[str] | None = None


class Form(Enum):
    """The four query forms."""

    SELECT = "SELECT"
    ASK = "ASK"
    CONSTRUCT = "CONSTRUCT"
    DESCRIBE = "DESCRIBE"


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query.

    `text` is what the engine runs: the source with code point escapes decoded and comments removed, and with
    NOW() replaced by its pinned value. `prologue` is its BASE and PREFIX part, to put before a fragment.
    `default_graphs` and `named_graphs` are FROM and FROM NAMED, None when neither is present. `described` are
    the terms and variables of DESCRIBE (empty for `*`: `select.projection` is then None). `whole` is the reason
    why coverage must read the whole dataset (a construct that only the engine understands), None when the
    pattern is known; `select` is then an empty group.
    """

    form: Form
    text: str
    prologue: str
    select: Select
    default_graphs: tuple[bytes, ...] | None = None
    named_graphs: tuple[bytes, ...] | None = None
    described: tuple[Node, ...] = ()
    whole: str | None = None
    prefixes: dict[str, str] = field(default_factory=dict)
