"""From the text of a query to `dkg.sparql.algebra`.

tree-sitter reads the text, and this module converts its tree, strictly: whatever it does not positively know makes the
query *whole*, so that coverage reads every quad in scope (docs/adr/0004-query-parser.md). It never guesses. Whether a
query is valid is for the engine to say.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyoxigraph
import tree_sitter
import tree_sitter_sparql

from dkg.errors import LimitError, QueryError
from dkg.limits import QUERY_CUBES_MAX, QUERY_DESCRIBED_MAX, QUERY_PATTERNS_MAX, QUERY_TERMS_MAX
from dkg.sparql._syntax_text import plain
from dkg.sparql.algebra import (
    Bind,
    Form,
    Group,
    InGraph,
    Minus,
    Optional,
    Query,
    Select,
    SubSelect,
    Triples,
    Union,
)
from dkg.sparql.nodes import Names, UnknownSyntaxError
from dkg.sparql.ordering import with_total_order
from dkg.sparql.scanner import Scanned, scan_query
from dkg.sparql.tree import Converter, only, text_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from dkg.sparql.algebra import Element, Expression

PARSED_KEPT: Final = 128
"""Queries whose reading is kept: applications ask the same few again and again, and it depends on the text alone."""

with warnings.catch_warnings():
    # tree-sitter-sparql 0.1.0 hands its grammar over as an integer, which tree-sitter 0.26 takes and calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    _LANGUAGE = tree_sitter.Language(tree_sitter_sparql.language())

_FORMS = {"select_query": Form.SELECT, "ask_query": Form.ASK, "construct_query": Form.CONSTRUCT}
_FORMS["describe_query"] = Form.DESCRIBE


def parse(text: str, *, now: str | None = None, base_iri: str | None = None) -> Query:
    """The query of a text. `now`: the xsd:dateTime that NOW() stands for; `base_iri`: for relative IRIs.

    Raises `QueryError` for what does not parse, cannot be proved, or is an update; `LimitError` for what is too large.
    """
    return _parsed(text, now, base_iri)


@lru_cache(maxsize=PARSED_KEPT)
def _parsed(text: str, now: str | None, base_iri: str | None) -> Query:
    spelled = plain(text)
    scanned = scan_query(spelled.text, _pinned(now))
    source = scanned.text.encode()
    tree = tree_sitter.Parser(_LANGUAGE).parse(source)
    try:
        query = _Reader(source, scanned.text, base_iri).query(tree.root_node)
        query = replace(query, text=with_total_order(source, tree.root_node))
    except (UnknownSyntaxError, ValueError, LookupError, StopIteration) as error:  # unpacking another shape than known
        query = _whole(scanned, spelled.terms, base_iri, str(error))
    except RecursionError as error:
        raise LimitError("the query is nested too deep, or has too long a chain of operators") from error
    _check_joins(query.select)
    _check_by_engine(query.text, base_iri)  # last, because its optimizer takes minutes for what is over the limits
    return query


def _pinned(now: str | None) -> str | None:
    if now is not None:
        datatype = pyoxigraph.NamedNode("http://www.w3.org/2001/XMLSchema#dateTime")
        try:
            value = pyoxigraph.Literal(now, datatype=datatype)
            known = pyoxigraph.Store().query(f"ASK {{ FILTER(YEAR({value}) > -999999999) }}")
        except ValueError:  # lone surrogates
            known = None
        if not known:
            raise QueryError(f"the pinned time {now!r} is not an xsd:dateTime such as 2026-01-31T12:00:00Z")
    return now


def _check_by_engine(text: str, base_iri: str | None) -> None:
    try:
        pyoxigraph.Store().query(text, base_iri=base_iri)
    except (SyntaxError, ValueError) as error:
        raise QueryError(f"the query does not parse: {error}") from error
    except RuntimeError as error:  # a function that it does not have
        raise QueryError(f"the query cannot be evaluated: {error}") from error


def _check_joins(select: Select) -> None:
    """Bound what the engine's optimizer orders together: its time grows with the cube of that, group by group."""
    sizes: list[int] = []
    _add_select(select, sizes)
    if (most := max(sizes)) > QUERY_PATTERNS_MAX:
        raise LimitError(
            f"a group joins {most} triple patterns, path steps, UNIONs (which count twice), OPTIONALs, groups and the "
            f"like; the limit is {QUERY_PATTERNS_MAX}"
        )
    if sum(size**3 for size in sizes) > QUERY_CUBES_MAX:
        raise LimitError(
            f"the {len(sizes)} groups of the query join too much in all (QUERY_CUBES_MAX): split it into several"
        )


def _add_select(select: Select, sizes: list[int]) -> None:
    """Add how much each group of a SELECT joins that is optimized on its own."""
    _add_group(select.where, sizes)
    for expression in select.expressions:
        _add_exists(expression, sizes)


def _add_group(group: Group, sizes: list[int]) -> None:
    sizes.append(_joined(group, sizes))


def _add_exists(expression: Expression, sizes: list[int]) -> None:
    for inner in expression.exists:
        _add_group(inner, sizes)


def _joined(group: Group, sizes: list[int]) -> int:
    for expression in group.filters:
        _add_exists(expression, sizes)
    return sum(_joined_by(element, sizes) for element in group.elements)


def _joined_by(element: Element, sizes: list[int]) -> int:
    """How much an element adds to the group around it; groups that are apart from it go to `sizes`."""
    match element:
        case Triples(patterns):
            return len(patterns)
        case InGraph(_, group):
            return max(1, _joined(group, sizes))  # what is empty is joined as well
        case Group():
            return max(1, _joined(element, sizes))
        case Optional(group) | Minus(group):
            _add_group(group, sizes)
        case SubSelect(select):
            _add_select(select, sizes)
        case Union(branches):
            for branch in branches:
                _add_group(branch, sizes)
            return 2
        case Bind(expression, _):
            _add_exists(expression, sizes)
            return 0
    return 1


def _whole(scanned: Scanned, terms: int, base_iri: str | None, reason: str) -> Query:
    if scanned.ordered:
        raise QueryError(f"ORDER BY in unusual syntax is not supported ({reason})")
    if terms > QUERY_TERMS_MAX:
        raise LimitError(
            f"a query in unusual syntax may have {QUERY_TERMS_MAX} terms, variables and brackets, "
            f"and this one has {terms} ({reason})"
        )
    names = Names(scanned.prologue, base_iri, by_engine=True)
    try:
        default = tuple(names.iri(token) for token in scanned.default_graphs)
        named = tuple(names.iri(token) for token in scanned.named_graphs)
    except UnknownSyntaxError as error:
        raise QueryError(f"the FROM of this query is not understood: {error}") from error
    listed = bool(default or named)
    return Query(
        Form(scanned.form),
        scanned.text,
        "",
        Select(None, Group()),
        default if listed else None,
        named if listed else None,
        whole=reason,
    )


class _Reader:
    """Reads the outermost level of a query; the rest is `Converter`."""

    def __init__(self, source: bytes, text: str, base_iri: str | None) -> None:
        self._source = source
        self._text = text
        self._base_iri = base_iri

    def query(self, root: Node) -> Query:
        if root.has_error:
            raise UnknownSyntaxError("our grammar does not know this syntax")
        prologue = ""
        body: Node | None = None
        values: Node | None = None
        names: Names | None = None
        for child in root.named_children:
            if child.type == "comment":
                continue
            if child.type == "prologue" and body is None:
                prologue = text_of(child, self._source)
                names = self._names(child, prologue)
            elif child.type in _FORMS and body is None:
                body = child
            elif child.type == "values_clause" and body is not None:
                values = child
            else:
                raise UnknownSyntaxError(f"{child.type} at the outermost level")
        if body is None:
            raise UnknownSyntaxError("no query form")
        converter = Converter(self._source, names or Names("", self._base_iri))
        return self._body(body, values, converter, prologue)

    def _names(self, node: Node, prologue: str) -> Names:
        names = Names(prologue, self._base_iri)
        for declaration in node.named_children:
            if declaration.type == "prefix_declaration":
                namespace = only(declaration, "namespace")
                prefix = text_of(namespace, self._source)[:-1]
                names.declare(prefix, text_of(only(declaration, "iri_reference"), self._source)[1:-1])
            elif declaration.type not in {"base_declaration", "comment"}:
                raise UnknownSyntaxError(f"{declaration.type} in the prologue")
        return names

    def _body(self, body: Node, values: Node | None, converter: Converter, prologue: str) -> Query:
        form = _FORMS[body.type]
        default: list[bytes] = []
        named: list[bytes] = []
        parts: dict[str, Node] = {}
        heads: list[Node] = []
        for child in body.named_children:
            if child.type == "comment":
                continue
            if child.type == "dataset_clause":
                converter.dataset(child, default, named)
            elif child.type in {"select_clause", "where_clause", "solution_modifier", "construct_template"}:
                if child.type in parts:
                    raise UnknownSyntaxError(f"two of {child.type}")
                parts[child.type] = child
            elif child.type == "triples_template" and form is Form.CONSTRUCT and child.type not in parts:
                parts[child.type] = child
            elif form is Form.DESCRIBE and child.type in {"var", "iri_reference", "prefixed_name"}:
                heads.append(child)
            else:
                raise UnknownSyntaxError(f"{child.type} in a {form.value} query")
        if len(heads) > QUERY_DESCRIBED_MAX:
            raise LimitError(f"DESCRIBE names {len(heads)} things; the limit is {QUERY_DESCRIBED_MAX}")
        where = self._where(parts, form, converter)
        select = converter.select(parts.get("select_clause"), where, parts.get("solution_modifier"), values)
        listed = bool(default or named)
        return Query(
            form,
            self._text,
            prologue + "\n" if prologue else "",
            select,
            tuple(default) if listed else None,
            tuple(named) if listed else None,
            tuple(converter.node(head) for head in heads),
            None,
            dict(converter.names.prefixes),
        )

    @staticmethod
    def _where(parts: dict[str, Node], form: Form, converter: Converter) -> Group:
        if "where_clause" in parts:
            return converter.group(only(parts["where_clause"], "group_graph_pattern"))
        if "triples_template" in parts:
            return Group((Triples(tuple(converter.triples(parts["triples_template"]))),))
        if form is Form.DESCRIBE or (form is Form.CONSTRUCT and "construct_template" not in parts):
            return Group()
        raise UnknownSyntaxError("no WHERE")
