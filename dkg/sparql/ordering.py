"""ORDER BY that is a total order whatever the values, so that the engine may sort by it.

The engine compares numbers, times and durations by value and everything else by text. Over values of several kinds
that is no order: "15.2" is before "9" by text, 9.5 before 15.1 by value, and a decimal against a string goes by text
again. Its sort notices and ends the process (pyoxigraph 0.5.13: strings and decimals, dates and decimals, or decimals
and doubles are enough). SPARQL leaves the order of such values open (section 15.1). So a condition E becomes four: the
kind of E, what compares exactly within the kind, the datatype, and E itself. Within one kind nothing changes.

| kind | values                                                    | by                                      |
|------|-----------------------------------------------------------|-----------------------------------------|
| -    | unbound, then blank nodes, then IRIs                      | as SPARQL has it                        |
| "0"  | literals that have no order of values: strings, ill-typed | their text                              |
| "1"  | numbers                                                   | value as xsd:double, datatype, value    |
| "2…" | times and durations: datatype, and whether with time zone | value (xsd:duration by its text: STR()) |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.errors import LimitError, QueryError
from dkg.limits import QUERY_HEADS_MAX

if TYPE_CHECKING:
    from tree_sitter import Node

ORDER_BYTES_MAX: Final = 512
"""Longest expression of ORDER BY, in bytes; it is written out a dozen times."""

_XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_KIND: Final = (
    'IF(isLITERAL({e}), IF(COALESCE({e} <= {e}, false), IF(isNUMERIC({e}), "1", '
    f'IF(REGEX(STR(DATATYPE({{e}})), "^{_XSD}(date|time|g|day|year|dur)"), '
    'CONCAT("2", STR(DATATYPE({e})), IF(REGEX(STR({e}), "(Z|[+-]..:..)$"), "z", "")), "0")), "0"), "")'
)
_EXACT: Final = (
    f"IF(isNUMERIC({{e}}), <{_XSD}double>({{e}}), "
    f'IF(COALESCE(DATATYPE({{e}}) = <{_XSD}duration>, false), STR({{e}}), ""))'
)
_TYPE: Final = 'IF(isNUMERIC({e}), STR(DATATYPE({e})), "")'

_TRUTHS: Final = frozenset({"=", "!=", "<", "<=", ">", ">=", "&&", "||", "!", "IN", "NOT IN"})
"""Operators that give true or false."""

_ONE_KIND: Final = frozenset(
    "STR LANG DATATYPE STRLEN LCASE UCASE CONCAT CONTAINS STRSTARTS STRENDS ENCODE_FOR_URI SUBSTR STRBEFORE STRAFTER "
    "REPLACE YEAR MONTH DAY HOURS MINUTES TZ MD5 SHA1 SHA256 SHA384 SHA512 BOUND COUNT GROUP_CONCAT isLITERAL "
    "isNUMERIC isIRI isURI isBLANK REGEX SAMETERM LANGMATCHES".upper().split()
)
"""Functions and aggregates whose values are all of one kind, and exact."""


def with_total_order(source: bytes, root: Node) -> str:
    """The text of a query whose ORDER BY conditions are made total orders. `root`: its syntax tree, without errors.

    Raises `QueryError` for a condition that contains another ORDER BY, and `LimitError` for one that is too long, or
    too many.
    """
    parts: list[bytes] = []
    end = 0
    conditions = _conditions(root)
    if len(conditions) > QUERY_HEADS_MAX:  # a variable alone is one too, and is not counted as the text is read
        raise LimitError(f"ORDER BY has {len(conditions)} conditions; the limit is {QUERY_HEADS_MAX}")
    for condition in sorted(conditions, key=lambda node: node.start_byte):
        made = _total(source, condition)
        if made is not None:
            parts += [source[end : condition.start_byte], made.encode()]
            end = condition.end_byte
    return (b"".join(parts) + source[end:]).decode()


def _conditions(root: Node) -> list[Node]:
    found: list[Node] = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node.type == "order_condition":
            found.append(node)
        pending += node.children
    return found


def _total(source: bytes, condition: Node) -> str | None:
    """What replaces a condition; None if it may stay."""
    children = [child for child in condition.children if child.type != "comment"]
    direction = children[0].type if children[0].type in {"ASC", "DESC"} else "ASC"
    expression = children[-1]
    if _is_of_one_kind(expression):
        return None
    size = expression.end_byte - expression.start_byte
    if size > ORDER_BYTES_MAX:
        raise LimitError(
            f"an expression of ORDER BY has {size} bytes; the limit is {ORDER_BYTES_MAX}: BIND it to a variable first"
        )
    if _conditions(expression):
        raise QueryError("ORDER BY within an expression of ORDER BY is not supported: BIND it to a variable first")
    text = f"({source[expression.start_byte : expression.end_byte].decode()})"
    return " ".join(f"{direction}({part.replace('{e}', text)})" for part in (_KIND, _EXACT, _TYPE, "{e}"))


def _is_of_one_kind(expression: Node) -> bool:
    """Whether an expression has values of one kind alone: a truth value, or those of such a function."""
    while expression.type == "bracketted_expression" and expression.named_child_count == 1:
        expression = expression.named_children[0]
    if expression.type in {"exists_func", "not_exists_func"}:
        return True
    signs = {child.type for child in expression.children if not child.is_named}
    if expression.type in {"binary_expression", "unary_expression"}:
        return bool(signs & _TRUTHS)
    if expression.type not in {"build_in_function", "aggregate"} or not expression.children:
        return False
    return expression.children[0].type.upper() in _ONE_KIND
