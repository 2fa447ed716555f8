"""Converts the nodes of tree-sitter's tree to algebra. Everything not known raises `UnknownSyntaxError`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError
from dkg.limits import QUERY_CLOSURES_MAX, QUERY_PATTERNS_MAX
from dkg.sparql.algebra import (
    Alternative,
    Bind,
    Bound,
    Expression,
    Group,
    InGraph,
    Inverse,
    Link,
    Minus,
    Negated,
    Optional,
    PathPattern,
    Repeat,
    Select,
    Sequence,
    SubSelect,
    TriplePattern,
    Triples,
    Union,
    Values,
    Var,
)
from dkg.sparql.nodes import RDF, Names, UnknownSyntaxError, literal, number, string_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node as Syntax

    from dkg.sparql.algebra import Element, Node, Path

_TYPE: Final = f"<{RDF}type>".encode()
_FIRST: Final = f"<{RDF}first>".encode()
_REST: Final = f"<{RDF}rest>".encode()
_NIL: Final = f"<{RDF}nil>".encode()
_IRIS: Final = frozenset({"iri_reference", "prefixed_name"})
_NUMBERS: Final = frozenset({"integer", "decimal", "double"})
_TERMS: Final = _IRIS | _NUMBERS | {"rdf_literal", "boolean_literal"}
_COMPARED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}
_VARIABLE: Final = re.compile(r"[?$](\w+)")
_SIMPLE: Final = frozenset({"binary_expression", "bracketted_expression", "var"}) | _TERMS
_IMPURE: Final = re.compile(r"\bBNODE\b", re.IGNORECASE)


def text_of(node: Syntax, source: bytes) -> str:
    """The text of a node."""
    return source[node.start_byte : node.end_byte].decode()


def named(node: Syntax) -> list[Syntax]:
    """The named children without comments."""
    return [child for child in node.named_children if child.type != "comment"]


def only(node: Syntax, kind: str) -> Syntax:
    """The one named child, which must be of this kind, among others allowed by the grammar's fixed words."""
    found = [child for child in named(node) if child.type == kind]
    if len(found) != 1:
        raise UnknownSyntaxError(f"{node.type} without one {kind}")
    return found[0]


def signs(node: Syntax) -> list[str]:
    """The words and signs among the children, in upper case."""
    return [child.type.upper() for child in node.children if not child.is_named]


class Converter:
    """Converts the nodes of one query."""

    def __init__(self, source: bytes, names: Names) -> None:
        self._source = source
        self.names = names
        self._blank = 0
        self._joined = 0  # patterns that the engine orders together

    def _text(self, node: Syntax) -> str:
        return text_of(node, self._source)

    def _fresh(self) -> Var:
        self._blank += 1
        return Var(f"_:{self._blank}.")  # a label never ends in a dot

    # --- terms ---------------------------------------------------------------------------------------------

    def node(self, node: Syntax) -> Node:
        """A variable or a constant."""
        if node.type == "var":
            return Var(self._text(node)[1:])
        if node.type == "blank_node_label":
            return Var(self._text(node))
        return self.term(node)

    def term(self, node: Syntax) -> bytes:
        """A constant."""
        kind = node.type
        if kind in _IRIS:
            return self.names.iri(self._text(node))
        if kind in _NUMBERS:
            return number(kind, self._text(node))
        if kind == "boolean_literal":
            return literal(self._text(node).lower(), b"<http://www.w3.org/2001/XMLSchema#boolean>")
        if kind == "rdf_literal":
            return self._literal(node)
        if kind == "nil":
            return _NIL
        raise UnknownSyntaxError(f"{kind} where a term belongs")

    def _literal(self, node: Syntax) -> bytes:
        parts = named(node)
        value = string_value(self._text(parts[0])) if parts and parts[0].type == "string" else None
        if value is None or len(parts) > 2:  # noqa: PLR2004 - a string and what it is
            raise UnknownSyntaxError("a literal of another shape")
        if len(parts) == 1:
            return literal(value)
        if parts[1].type == "lang_tag":
            return literal(value, language=self._text(parts[1])[1:])
        if parts[1].type in _IRIS:
            return literal(value, self.names.iri(self._text(parts[1])))
        raise UnknownSyntaxError("a literal of another shape")

    def dataset(self, clause: Syntax, default: list[bytes], graphs: list[bytes]) -> None:
        """A FROM or FROM NAMED."""
        (inner,) = named(clause)
        (name,) = named(inner)
        (default if inner.type == "default_graph_clause" else graphs).append(self.term(name))

    # --- groups --------------------------------------------------------------------------------------------

    def apart(self, node: Syntax) -> Group:
        """A group that the engine does not join with what surrounds it."""
        joined, self._joined = self._joined, 0
        group = self.group(node)
        self._joined = joined
        return group

    def group(self, node: Syntax) -> Group:
        """`{ ... }`."""
        elements: list[Element] = []
        filters: list[Expression] = []
        for child in named(node):
            if child.type == "filter":
                (inner,) = named(child)
                filters.append(self.expression(inner))
            else:
                elements.append(self._element(child))
        return Group(tuple(elements), tuple(filters))

    def _element(self, node: Syntax) -> Element:
        kind = node.type
        if kind == "triples_block":
            return Triples(tuple(self.triples(node)))
        if kind == "group_or_union_graph_pattern":
            groups = self._groups(node)
            return self.group(groups[0]) if len(groups) == 1 else Union(tuple(map(self.apart, groups)))
        if kind == "bind":
            inner, var = named(node)
            return Bind(self.expression(inner), self._variable(var))
        if kind == "inline_data":
            return self.values(node)
        if kind == "sub_select":
            return SubSelect(self._sub_select(node))
        if kind == "graph_graph_pattern":
            name, inner = named(node)
            return InGraph(self.node(name), self.group(inner))
        if kind == "optional_graph_pattern":
            return Optional(self.apart(self._groups(node)[0]))
        if kind == "minus_graph_pattern":
            return Minus(self.apart(self._groups(node)[0]))
        raise UnknownSyntaxError(f"{kind} in a group")

    @staticmethod
    def _groups(node: Syntax) -> list[Syntax]:
        found = named(node)
        if not found or any(child.type != "group_graph_pattern" for child in found):
            raise UnknownSyntaxError(f"{node.type} of another shape")
        return found

    def _variable(self, node: Syntax) -> Var:
        if node.type != "var":
            raise UnknownSyntaxError(f"{node.type} where a variable belongs")
        return Var(self._text(node)[1:])

    def values(self, node: Syntax) -> Values:
        """VALUES, in a group or at the end."""
        block = only(node, "data_block")
        children = [child for child in block.children if child.type != "comment"]
        opening = next(i for i, child in enumerate(children) if child.type == "{")
        head, body = children[:opening], children[opening + 1 : -1]
        variables = tuple(self._variable(child) for child in head if child.type not in {"(", ")", "nil"})
        if head[0].type == "var":
            return Values(variables, tuple((self._cell(child),) for child in body))
        rows: list[tuple[bytes | None, ...]] = []
        row: list[bytes | None] = []
        for child in body:
            if child.type == "nil":
                rows.append(())
            elif child.type == ")":
                rows.append(tuple(row))
            elif child.type == "(":
                row = []
            else:
                row.append(self._cell(child))
        if any(len(cells) != len(variables) for cells in rows):
            raise UnknownSyntaxError("rows of VALUES of another length")
        return Values(variables, tuple(rows))

    def _cell(self, node: Syntax) -> bytes | None:
        return None if node.type.upper() == "UNDEF" else self.term(node)

    # --- SELECT --------------------------------------------------------------------------------------------

    def _sub_select(self, node: Syntax) -> Select:
        parts = {child.type: child for child in named(node)}
        if len(parts) != len(named(node)) or not parts.keys() <= {
            "select_clause",
            "where_clause",
            "solution_modifier",
            "values_clause",
        }:
            raise UnknownSyntaxError("a sub-select of another shape")
        where = self.group(only(parts["where_clause"], "group_graph_pattern"))
        return self.select(parts["select_clause"], where, parts.get("solution_modifier"), parts.get("values_clause"))

    def select(self, head: Syntax | None, where: Group, modifier: Syntax | None, values: Syntax | None) -> Select:
        """A SELECT, or the WHERE of another form if `head` is None."""
        projection: list[Var] | None = None
        expressions: list[Expression] = []
        aliases: set[str] = set()
        words = signs(head) if head is not None else ["*"]
        if head is not None and "*" not in words:
            projection = []
            for child in head.children:
                if child.type == "var" and _before(child) != "(":
                    projection.append(self._variable(child))
                    if _before(child) == "AS":
                        aliases.add(projection[-1].name)
                elif child.is_named and child.type != "comment":
                    expressions.append(self.expression(child))
        found = _Modifiers(self)
        if modifier is not None:
            found.read(modifier)
        count, counted = self._count(head, found)
        return Select(
            None if projection is None else tuple(projection),
            where,
            distinct="DISTINCT" in words,
            aggregated=found.grouped or any(map(self._aggregates, (n for n in (head, modifier) if n is not None))),
            ordered=found.ordered,
            limit=found.limit,
            offset=found.offset,
            expressions=tuple(expressions + found.expressions),
            values=None if values is None else self.values(values),
            count=count,
            counted=counted,
            aliases=frozenset(aliases | found.aliases),
        )

    def _count(self, head: Syntax | None, found: _Modifiers) -> tuple[Var | None, Var | None]:
        """COUNT(*) or COUNT(?x) as the only thing selected."""
        if head is None or found.any:
            return None, None
        kinds = [child.type.upper() for child in head.children if child.type != "comment"]
        if kinds != ["SELECT", "(", "AGGREGATE", "AS", "VAR", ")"]:
            return None, None
        parts = head.children
        aggregate = next(child for child in parts if child.type == "aggregate")
        var = next(child for child in parts if child.type == "var")
        inside = [child for child in aggregate.children if child.type != "comment"]
        shape = [child.type.upper() for child in inside]
        if shape == ["COUNT", "(", "*", ")"]:
            return self._variable(var), None
        if shape == ["COUNT", "(", "VAR", ")"]:
            return self._variable(var), self._variable(inside[2])
        return None, None

    def _aggregates(self, node: Syntax) -> bool:
        return any(child.type == "aggregate" for child in _walk(node, stop="group_graph_pattern"))

    # --- expressions ---------------------------------------------------------------------------------------

    def expression(self, node: Syntax) -> Expression:
        """An expression of any kind."""
        text = self._text(node)
        groups: list[Group] = []
        variables = {Var(name) for name in _VARIABLE.findall(text)}
        pure = _IMPURE.search(text) is None
        for child in _walk(node, stop="group_graph_pattern"):
            if child.type == "group_graph_pattern":
                if child.parent is None or child.parent.type not in {"exists_func", "not_exists_func"}:
                    raise UnknownSyntaxError("a group in an expression")
                groups.append(self.apart(child))
            elif child.type == "var":
                variables.add(self._variable(child))
            elif child.type == "aggregate":
                pure = False
        bounds = tuple(self._bounds(node)) if not groups and pure and self._simple(node) else ()
        return Expression(text, frozenset(variables), tuple(groups), bounds, pure and not groups)

    @staticmethod
    def _simple(node: Syntax) -> bool:
        """Whether an expression is made of comparisons and && only, so that no precedence can be misread."""
        for child in _walk(node, stop="rdf_literal"):
            if (
                child.is_named
                and child.type not in _SIMPLE
                and child.type not in {"namespace", "pn_prefix", "pn_local"}
            ):
                return False
            if child.type == "binary_expression" and not set(signs(child)) <= {"&&", "!=", *_COMPARED}:
                return False
        return True

    def _bounds(self, node: Syntax) -> Iterator[Bound]:
        children = named(node)
        if node.type == "bracketted_expression" and len(children) == 1:
            yield from self._bounds(children[0])
        elif node.type == "binary_expression" and len(children) == 2:  # noqa: PLR2004 - two sides
            (sign,) = signs(node)
            left, right = children
            if sign == "&&":
                yield from self._bounds(left)
                yield from self._bounds(right)
            elif sign in _COMPARED and left.type == "var" and right.type in _TERMS - _IRIS:
                yield Bound(self._variable(left), sign, self.term(right))
            elif sign in _COMPARED and right.type == "var" and left.type in _TERMS - _IRIS:
                yield Bound(self._variable(right), _COMPARED[sign], self.term(left))

    # --- triples -------------------------------------------------------------------------------------------

    def triples(self, block: Syntax) -> list[TriplePattern | PathPattern]:
        """The patterns of a triples block, with lists and property lists spelled out."""
        out: list[TriplePattern | PathPattern] = []
        for child in named(block):
            if child.type != "triples_same_subject":
                raise UnknownSyntaxError(f"{child.type} in a triples block")
            parts = named(child)
            subject = self._object(parts[0], out)
            for properties in parts[1:]:
                self._properties(subject, properties, out)
        return out

    def _count_joined(self) -> None:
        self._joined += 1
        if self._joined > QUERY_PATTERNS_MAX:
            raise LimitError(f"a group has more than {QUERY_PATTERNS_MAX} triple patterns and path steps to join")

    def _add(self, out: list[TriplePattern | PathPattern], pattern: TriplePattern | PathPattern) -> None:
        self._count_joined()
        out.append(pattern)

    def _properties(self, subject: Node, node: Syntax, out: list[TriplePattern | PathPattern]) -> None:
        if node.type != "property_list":
            raise UnknownSyntaxError(f"{node.type} where properties belong")
        for item in named(node):
            if item.type != "property":
                raise UnknownSyntaxError(f"{item.type} in a property list")
            verb, objects = named(item)
            if objects.type != "object_list":
                raise UnknownSyntaxError(f"{objects.type} where objects belong")
            for each in named(objects):
                self._link(subject, verb, self._object(each, out), out)

    def _link(self, s: Node, verb: Syntax, o: Node, out: list[TriplePattern | PathPattern]) -> None:
        if verb.type == "var" or verb.type in _IRIS:
            self._add(out, TriplePattern(s, self.node(verb), o))
        else:
            if (closures := self._closures(verb)) > QUERY_CLOSURES_MAX:
                raise LimitError(
                    f"a path has {closures} of * and + around each other; the limit is {QUERY_CLOSURES_MAX}: leave out "
                    "those that add nothing, as in (p+)+, or write it with fewer"
                )
            self._path_pattern(s, self.path(verb), o, out)

    def _closures(self, path: Syntax) -> int:
        here = any(child.type == "path_mod" and self._text(child) in {"*", "+"} for child in path.children)
        return here + max(map(self._closures, path.named_children), default=0)

    def _path_pattern(self, s: Node, path: Path, o: Node, out: list[TriplePattern | PathPattern]) -> None:
        """A path as patterns: links, inverse links and sequences are joins."""
        match path:
            case Link(iri):
                self._add(out, TriplePattern(s, iri, o))
            case Inverse(inner):
                self._path_pattern(o, inner, s, out)
            case Sequence(parts):
                ends = [s, *(self._fresh() for _ in parts[1:]), o]
                for near, part, far in zip(ends, parts, ends[1:], strict=False):
                    self._path_pattern(near, part, far, out)
            case _:
                self._add(out, PathPattern(s, path, o))

    def _object(self, node: Syntax, out: list[TriplePattern | PathPattern]) -> Node:
        if node.type == "anon":
            return self._fresh()
        if node.type == "blank_node_property_list":
            fresh = self._fresh()
            for properties in named(node):
                self._properties(fresh, properties, out)
            return fresh
        if node.type == "collection":
            return self._collection(node, out)
        return self.node(node)

    def _collection(self, node: Syntax, out: list[TriplePattern | PathPattern]) -> Node:
        items = named(node)
        cells: list[Node] = [self._fresh() for _ in items]
        for cell, item, rest in zip(cells, items, [*cells[1:], _NIL], strict=True):
            self._add(out, TriplePattern(cell, _FIRST, self._object(item, out)))
            self._add(out, TriplePattern(cell, _REST, rest))
        return cells[0]

    # --- paths ---------------------------------------------------------------------------------------------

    def path(self, node: Syntax) -> Path:  # noqa: C901, PLR0912 - one branch a kind of node
        """A property path."""
        if node.type == "binary_path":
            return self._binary_path(node)
        if node.type != "path_element":
            raise UnknownSyntaxError(f"{node.type} in a path")
        self._count_joined()
        inverse, negated, modifier = False, False, ""
        inner: Path | None = None
        for child in node.children:
            kind = child.type
            if kind == "path_inverse":
                inverse = True
            elif kind == "!":
                negated = True
            elif kind == "path_mod":
                modifier = self._text(child)
            elif kind == "path_negated_property_set" and negated and inner is None:
                inner = self._negated(child)
            elif kind == "a" and inner is None:
                inner = Link(_TYPE)
            elif kind in _IRIS and inner is None:
                inner = Link(self.term(child))
            elif kind in {"binary_path", "path_element"} and inner is None:
                inner = self.path(child)
            elif kind not in {"(", ")", "comment"}:
                raise UnknownSyntaxError(f"{kind} in a path")
        if inner is None or modifier not in {"", "?", "*", "+"}:
            raise UnknownSyntaxError("a path of another shape")
        if modifier:
            zero, many = modifier in "?*", modifier in "*+"
            if isinstance(inner, Repeat):  # (p+)* and the like are one repetition; walking them twice takes squares
                inner = Repeat(inner.path, zero=zero or inner.zero, many=many or inner.many)
            else:
                inner = Repeat(inner, zero=zero, many=many)
        return Inverse(inner) if inverse else inner

    def _binary_path(self, node: Syntax) -> Path:
        (sign,) = signs(node)
        if sign not in {"/", "|"}:
            raise UnknownSyntaxError(f"{sign} in a path")
        parts: list[Path] = []
        for child in named(node):
            part = self.path(child)
            same = isinstance(part, Sequence if sign == "/" else Alternative) and child.type == "binary_path"
            parts += part.parts if same and isinstance(part, Sequence | Alternative) else (part,)
        return Sequence(tuple(parts)) if sign == "/" else Alternative(tuple(parts))

    def _negated(self, node: Syntax) -> Negated:
        forward: set[bytes] = set()
        backward: set[bytes] = set()
        sides = [False, False]
        if not named(node):
            sides[0] = True
        for item in named(node):
            if item.type != "path_one_in_property_set":
                raise UnknownSyntaxError(f"{item.type} in a negated property set")
            inverse = "^" in signs(item)
            iris = named(item)
            iri = self.term(iris[0]) if iris else _TYPE
            if not iris and "A" not in signs(item):
                raise UnknownSyntaxError("a negated property set of another shape")
            (backward if inverse else forward).add(iri)
            sides[inverse] = True
        return Negated(frozenset(forward) if sides[0] else None, frozenset(backward) if sides[1] else None)


class _Modifiers:
    """GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET."""

    def __init__(self, converter: Converter) -> None:
        self._converter = converter
        self.expressions: list[Expression] = []
        self.aliases: set[str] = set()
        self.grouped = self.ordered = self.any = False
        self.limit: int | None = None
        self.offset = 0

    def read(self, node: Syntax) -> None:
        for clause in named(node):
            self.any = True
            if clause.type == "limit_offset_clauses":
                self._limits(clause)
                continue
            if clause.type not in {"group_clause", "having_clause", "order_clause"}:
                raise UnknownSyntaxError(f"{clause.type} after the pattern")
            self.grouped = self.grouped or clause.type != "order_clause"
            self.ordered = self.ordered or clause.type == "order_clause"
            for condition in named(clause):
                self._condition(condition)

    def _condition(self, node: Syntax) -> None:
        for child in named(node):
            if child.type == "var" and _before(child) == "AS":
                self.aliases.add(text_of(child, self._converter._source)[1:])  # noqa: SLF001 - two halves of one
            else:
                self.expressions.append(self._converter.expression(child))

    def _limits(self, node: Syntax) -> None:
        for clause in named(node):
            value = int(text_of(only(clause, "integer"), self._converter._source))  # noqa: SLF001
            if clause.type == "limit_clause" and value >= 0:
                self.limit = value
            elif clause.type == "offset_clause" and value >= 0:
                self.offset = value
            else:
                raise UnknownSyntaxError(f"{clause.type} of another shape")


def _before(node: Syntax) -> str:
    previous = node.prev_sibling
    while previous is not None and previous.type == "comment":
        previous = previous.prev_sibling
    return previous.type.upper() if previous is not None else ""


def _walk(node: Syntax, stop: str) -> Iterator[Syntax]:
    """A node and all nodes below it, but nothing below those of the type `stop`."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if current.type != stop:
            pending.extend(reversed(current.children))
