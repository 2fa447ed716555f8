"""A look at a query's text before any parser sees it: tokens, depth, and what is refused by name.

The engine recurses over nesting and chains and has no limit of its own: 4.5 kB of nested groups overflow its stack
and kill the process (RELIABILITY section 1), and so do 6,500 OPTIONALs or 8,000 plus signs in a row; a star of 170
triple patterns takes its optimizer 3.6 s (measured with pyoxigraph 0.5.13). So all of them are bounded first.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dkg.errors import LimitError, QueryError
from dkg.limits import (
    QUERY_BYTES_MAX,
    QUERY_CHAIN_MAX,
    QUERY_DEPTH_MAX,
    QUERY_ELEMENTS_MAX,
)

_TOKEN: Final = re.compile(
    r"(?P<skip>[ \t\r\n]+|\#[^\n\r]*)"
    r"|(?P<iri><[^<>\"{}|^`\\\x00-\x20]*>)"
    r"|(?P<string>'''(?:\\.|'(?!'')|[^'\\])*'''|\"\"\"(?:\\.|\"(?!\"\")|[^\"\\])*\"\"\""
    r"|'(?:\\.|[^'\\\n\r])*'|\"(?:\\.|[^\"\\\n\r])*\")"
    r"|(?P<variable>[?$]\w+)"
    r"|(?P<name>(?:[^\W\d_][\w.\-]*)?:(?:[\w:%.\-]|\\.)*|_:[\w.\-]+)"
    r"|(?P<number>\d+(?:\.\d*)?(?:[eE][+\-]?\d+)?|\.\d+(?:[eE][+\-]?\d+)?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<language>@[A-Za-z0-9\-]+)"
    r"|(?P<sign>\|\||&&|\^\^|<<|>>|!=|<=|>=|.)",
    re.DOTALL,
)

_UNPROVABLE: Final = {
    "SERVICE": "it asks another server, whose answer nothing proves",
    "RAND": "its value differs at every evaluation",
    "UUID": "its value differs at every evaluation",
    "STRUUID": "its value differs at every evaluation",
}
_UPDATES: Final = frozenset({"INSERT", "DELETE", "LOAD", "CLEAR", "CREATE", "DROP", "COPY", "MOVE", "ADD", "WITH"})
_FORMS: Final = frozenset({"SELECT", "ASK", "CONSTRUCT", "DESCRIBE"})
_ELEMENTS: Final = frozenset({"UNION", "OPTIONAL", "MINUS", "FILTER", "BIND", "GRAPH", "EXISTS", "SELECT", "VALUES"})
_CHAINS: Final = frozenset({"||", "&&", "+", "-", "*", "/", "!", "|", "^", ";", "?"})


class Token(NamedTuple):
    """A token: its kind (a group of the pattern above), its text and where it starts, in characters."""

    kind: str
    text: str
    at: int


class Scanned(NamedTuple):
    """A text that may be parsed, and what can be told of it by its outermost words alone."""

    text: str
    """The text, with NOW() replaced by its pinned value, and no prefix named `a`."""
    tokens: int
    """Words and signs in it."""
    form: str
    """SELECT, ASK, CONSTRUCT or DESCRIBE: the first such word."""
    prologue: str
    """The text before it."""
    default_graphs: tuple[str, ...]
    """The names after FROM, as written."""
    named_graphs: tuple[str, ...]
    """The names after FROM NAMED, as written."""
    ordered: bool
    """Whether there is an ORDER BY anywhere."""


def scan_query(text: str, now: str | None) -> Scanned:
    """Check a query against limits, refuse what cannot be proved, and pin NOW(). Raises `LimitError`, `QueryError`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > QUERY_BYTES_MAX:
        raise LimitError(f"the query has {size} bytes, over the limit of {QUERY_BYTES_MAX} bytes")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise QueryError("the query has a character that is not text (U+0000 or a lone surrogate)")
    tokens = [Token(m.lastgroup or "", m.group(), m.start()) for m in _TOKEN.finditer(text) if m.lastgroup != "skip"]
    _check_depth(tokens)
    _check_size(tokens)
    pins = [
        (start, stop, f'"{now}"^^<http://www.w3.org/2001/XMLSchema#dateTime>') for start, stop in _names(tokens, now)
    ]
    for start, stop, words in sorted(pins + _renamed(tokens), reverse=True):
        text = text[:start] + words + text[stop:]
    form = next((t for t in tokens if t.kind == "word" and t.text.upper() in _FORMS), None)
    if form is None:
        raise QueryError("this is not a query: it has none of the words SELECT, ASK, CONSTRUCT, DESCRIBE")
    start = text.upper().find(form.text.upper(), form.at)  # a renamed prefix may have moved it
    ordered = any(token.kind == "word" and token.text.upper() == "ORDER" for token in tokens)
    return Scanned(text, len(tokens), form.text.upper(), text[:start], *_dataset(tokens), ordered)


def _check_depth(tokens: list[Token]) -> None:
    depth = 0
    for token in tokens:
        text = token.text
        if token.kind == "iri" and len(text) > QUERY_DEPTH_MAX:
            # Where we read <((((1))))> as an IRI, the engine first tries "less than" and a nested expression.
            brackets, operators = (sum(map(text.count, signs)) for signs in ("([!", "+-*/"))
            if brackets > QUERY_DEPTH_MAX or operators > QUERY_CHAIN_MAX:
                raise LimitError(f"the IRI at character {token.at} has too many brackets or operators in it")
        if token.kind != "sign":
            continue
        if text in "{([" or text == "<<":
            depth += 1
        elif text in "})]" or text == ">>":
            depth = max(0, depth - 1)
        if depth > QUERY_DEPTH_MAX:
            raise LimitError(f"the query is nested more than {QUERY_DEPTH_MAX} levels deep at character {token.at}")


def _check_size(tokens: list[Token]) -> None:
    elements = sum(token.kind == "word" and token.text.upper() in _ELEMENTS for token in tokens)
    if elements > QUERY_ELEMENTS_MAX:
        raise LimitError(
            f"the query has {elements} keywords such as FILTER, UNION, OPTIONAL; the limit is {QUERY_ELEMENTS_MAX}"
        )
    chain = sum(token.kind == "sign" and token.text in _CHAINS for token in tokens)
    if chain > QUERY_CHAIN_MAX:
        raise LimitError(f"the query has {chain} operators and semicolons; the limit is {QUERY_CHAIN_MAX}")


def _names(tokens: list[Token], now: str | None) -> list[tuple[int, int]]:
    """Refuse functions and keywords by name; gives where NOW() stands."""
    pins: list[tuple[int, int]] = []
    for i, token in enumerate(tokens):
        if token.kind != "word":
            continue
        word = token.text.upper()
        following = tokens[i + 1].text if i + 1 < len(tokens) else ""
        if word in _UNPROVABLE and (word == "SERVICE" or following == "("):
            raise QueryError(f"{word} at character {token.at} cannot be proved: {_UNPROVABLE[word]}")
        if word == "NOW" and following == "(":
            if now is None:
                raise QueryError(f"NOW() at character {token.at} cannot be proved unless the request pins its value")
            if i + 2 < len(tokens) and tokens[i + 2].text == ")":
                pins.append((token.at, tokens[i + 2].at + 1))
        if word in _UPDATES and not any(t.text in "{(" for t in tokens[:i]) and word != "WITH":
            raise QueryError(f"{word} is an update; only queries are answered: SELECT, ASK, CONSTRUCT, DESCRIBE")
    return pins


def _renamed(tokens: list[Token]) -> list[tuple[int, int, str]]:
    """A prefix named `a` under another name: the grammar reads that letter as rdf:type."""
    names = [token for token in tokens if token.kind == "name"]
    found = [token for token in names if token.text.startswith("a:")]
    taken = {token.text.partition(":")[0] for token in names}
    other = next(f"a{i}" for i in range(len(taken) + 1) if f"a{i}" not in taken)
    return [(token.at, token.at + 1, other) for token in found]


def _dataset(tokens: list[Token]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    default: list[str] = []
    named: list[str] = []
    depth = 0
    for i, token in enumerate(tokens[:-1]):
        depth += (token.text == "{") - (token.text == "}")
        if depth == 0 and token.kind == "word" and token.text.upper() == "FROM":
            following = tokens[i + 1]
            if following.kind == "word" and following.text.upper() == "NAMED":
                named += [t.text for t in tokens[i + 2 : i + 3]]
            else:
                default.append(following.text)
    return tuple(default), tuple(named)
