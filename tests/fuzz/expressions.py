"""Random expressions: filters and bound values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.tree import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tests.fuzz.terms import Terms

_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")

# name in the coverage table -> text; each % is an expression.
_BOOLEAN_FUNCTIONS = {
    "isIRI": "isIRI(%)",
    "isLiteral": "isLiteral(%)",
    "isNumeric": "isNumeric(%)",
    "isBlank": "isBlank(%)",
    "sameTerm": "sameTerm(%, %)",
    "REGEX": 'REGEX(STR(%), "^[a1]|/b$", "i")',
    "CONTAINS": 'CONTAINS(STR(%), "e/")',
    "STRSTARTS": 'STRSTARTS(STR(%), "2")',
    "LANGMATCHES": 'LANGMATCHES(LANG(%), "*")',
}
_VALUE_FUNCTIONS = {
    "STR": "STR(%)",
    "LANG": "LANG(%)",
    "DATATYPE": "DATATYPE(%)",
    "STRLEN": "STRLEN(STR(%))",
    "UCASE": "UCASE(STR(%))",
    "CONCAT": "CONCAT(STR(%), STR(%))",
    "SUBSTR": "SUBSTR(STR(%), 2)",
    "REPLACE": 'REPLACE(STR(%), "a", "b")',
    "ABS": "ABS(%)",
    "CEIL": "CEIL(%)",
    "YEAR": "YEAR(%)",
    "STRDT": "STRDT(STR(%), <http://www.w3.org/2001/XMLSchema#integer>)",
    "STRLANG": 'STRLANG(STR(%), "en")',
    "IRI": "IRI(STR(%))",
    "cast": "<http://www.w3.org/2001/XMLSchema#integer>(%)",
    "MD5": "MD5(STR(%))",
    "IF": "IF(%, %, %)",
    "COALESCE": "COALESCE(%, %)",
    "arithmetic +": "(% + %)",
    "arithmetic -": "(% - %)",
    "arithmetic *": "(% * %)",
    "arithmetic /": "(% / %)",
    "unary minus": "(- %)",
}


class Expressions:
    """Random expressions; `exists` makes a group for EXISTS, or gives None where groups may nest no deeper."""

    def __init__(self, terms: Terms, exists: Callable[[Collection[str], int], Node | None]) -> None:
        self.terms, self.rng, self._exists = terms, terms.rng, exists

    def condition(self, available: Collection[str], depth: int, size: int = 2) -> Node:
        """Return an expression that is meant as true or false."""
        kinds = {
            "compare": 5,
            "range": 2,
            "and": 3 * (size > 0),
            "or": 2 * (size > 0),
            "not": 2 * (size > 0),
            "BOUND": 2,
            "IN": 2,
            "function": 4,
            "exists": 4,
            "plain variable": 1,
        }
        kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
        if kind == "exists":
            return self.existence(available, depth) or self._compare(available, depth, size)
        if kind == "compare":
            return self._compare(available, depth, size)
        if kind == "range":
            return self._range(available)
        if kind in ("and", "or"):
            left, right = (self.condition(available, depth, size - 1) for _ in range(2))
            return _made(kind, "(", left, " && " if kind == "and" else " || ", right, ")")
        if kind == "not":
            return _made("not", "!(", self.condition(available, depth, size - 1), ")")
        if kind == "IN":
            negated = "NOT " if self.rng.random() < 0.4 else ""
            variable = self.terms.variable(available)
            listed = ", ".join(self.terms.constant_for(variable) for _ in range(self.rng.randint(0, 3)))
            return _made(negated + "IN", f"{variable} {negated}IN ({listed})")
        if kind == "function":
            return self._function(_BOOLEAN_FUNCTIONS, available, depth, 0)
        variable = self.terms.variable(available)
        return _made(kind, f"BOUND({variable})" if kind == "BOUND" else variable)

    def value(self, available: Collection[str], depth: int, size: int = 2) -> Node:
        """Return an expression that is meant as a term."""
        roll = self.rng.random()
        if size == 0 or roll < 0.35:
            if self.rng.random() < 0.75:
                return _made("", self.terms.variable(available))
            return _made("", self.terms.constant())
        if roll < 0.45:
            return self.condition(available, depth, size - 1)
        return self._function(_VALUE_FUNCTIONS, available, depth, size - 1)

    def _compare(self, available: Collection[str], depth: int, size: int) -> Node:
        variable, roll = self.terms.variable(available), self.rng.random()
        constant, operator = self.terms.constant_for(variable), self.rng.choice(_COMPARISONS)
        if constant.startswith(("e:", "<")) and self.rng.random() < 0.85:
            operator = self.rng.choice(("=", "!=", "!="))
        if roll < 0.45:
            return _made("compare", f"{variable} {operator} {constant}")
        if roll < 0.6:
            return _made("compare", f"{constant} {operator} {variable}")
        if roll < 0.8 or size == 0:
            return _made("compare", f"{variable} {operator} {self.terms.variable(available)}")
        left, right = (self.value(available, depth, size - 1) for _ in range(2))
        return _made("compare", "(", left, f" {operator} ", right, ")")

    def _range(self, available: Collection[str]) -> Node:
        variable = self.terms.variable(available)
        low, high = (self.terms.constant_for(variable) for _ in range(2))
        over, under = self.rng.choice((">", ">=")), self.rng.choice(("<", "<="))
        return _made("range", f"({variable} {over} {low} && {high} {under} {variable})")

    def _function(self, table: dict[str, str], available: Collection[str], depth: int, size: int) -> Node:
        name = self.rng.choice(list(table))
        parts: list[str | Node] = []
        for i, text in enumerate(table[name].split("%")):
            parts += [self.value(available, depth, size), text] if i else [text]
        return _made(name, *parts)

    def existence(self, available: Collection[str], depth: int) -> Node | None:
        """Return EXISTS or NOT EXISTS of a group, None where groups may nest no deeper."""
        group = self._exists(available, depth)
        if group is None:
            return None
        op = self.rng.choice(("EXISTS", "NOT EXISTS"))
        return _made(op, f"{op} ", group)


def _made(op: str, *parts: str | Node) -> Node:
    work = sum(part.work for part in parts if isinstance(part, Node))
    return Node("expression", op, parts, work=work)
