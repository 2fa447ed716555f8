"""A query in one spelling, so that every parser after this sees the same words.

The engine reads keywords without looking at what follows them: `{SERVICEe:x{}}` asks a server for it, and so does
`trueSERVICE e:x{}`; our grammar takes what follows a carriage return for a comment's rest, and the engine for a
pattern; `?x<RAND()&&?y>1` has an IRI in it for one reader and a function for another (all measured with pyoxigraph
0.5.13 and tree-sitter-sparql 0.1.0). So the text is cut into the tokens of SPARQL 1.1 section 19.8 here, once: words
must be SPARQL's, comments go, escapes of code points are decoded, and a space parts tokens that could be read as one.
Lines stay where they are, so that the positions in error messages do.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from dkg.errors import LimitError, QueryError
from dkg.limits import QUERY_BYTES_MAX, QUERY_HEADS_MAX

_BASE: Final = (
    r"A-Za-z\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C-\u200D\u2070-\u218F"
    r"\u2C00-\u2FEF\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
)
_MARKS: Final = r"0-9\u00B7\u0300-\u036F\u203F-\u2040"
_NAME: Final = rf"{_BASE}_{_MARKS}\-"
_ESCAPED: Final = r"%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?#@%]"
_CODE: Final = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_IN_IRI: Final = r"[^<>\"{}|^`\\\x00-\x20]"

# A prefix is at most 255 characters long, which keeps the search for its colon linear.
_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<comment>\#[^\r\n]*)"
    rf"|(?P<variable>[?$][{_BASE}_0-9][{_BASE}_{_MARKS}]*)"
    rf"|(?P<iri><(?:{_IN_IRI}|{_CODE})*>)"
    rf"|(?P<blank>_:[{_BASE}_0-9](?:[{_NAME}]|\.+(?=[{_NAME}]))*)"
    rf"|(?P<name>(?:[{_BASE}](?:[{_NAME}.]{{0,254}}[{_NAME}])?)?:"
    rf"(?:(?:[{_BASE}_:0-9]|{_ESCAPED})(?:(?:[{_NAME}:]|{_ESCAPED})|\.+(?=[{_NAME}:%\\]))*)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<string>'''(?:\\.|'(?!'')|[^'\\])*'''|\"\"\"(?:\\.|\"(?!\"\")|[^\"\\])*\"\"\""
    r"|'(?:\\.|[^'\\\n\r])*'|\"(?:\\.|[^\"\\\n\r])*\")"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][+\-]?[0-9]+|[0-9]*\.[0-9]+|[0-9]+)"
    r"|(?P<language>@[A-Za-z]+(?:-[A-Za-z0-9]+)*(?:--[A-Za-z]+)?)"
    r"|(?P<sign>\|\||&&|\^\^|<<|>>|!=|<=|>=|[{}()\[\].;,*+\-/|^!=<>?~])",
    re.DOTALL,
)

_OTHER_CASE: Final = ("a", "true", "false", "isBLANK", "isIRI", "isLITERAL", "isNUMERIC", "isURI", "sameTerm")
_UPPER_CASE: Final = """
    ABS ADJUST AS ASC ASK AVG BASE BIND BNODE BOUND BY CEIL COALESCE CONCAT CONSTRUCT CONTAINS COUNT DATATYPE DAY DESC
    DESCRIBE DISTINCT ENCODE_FOR_URI EXISTS FILTER FLOOR FROM GRAPH GROUP GROUP_CONCAT HASLANG HASLANGDIR HAVING HOURS
    IF IN IRI ISTRIPLE LANG LANGDIR LANGMATCHES LATERAL LCASE LIMIT MAX MD5 MIN MINUS MINUTES MONTH NAMED NOT NOW
    OBJECT OFFSET OPTIONAL ORDER PREDICATE PREFIX RAND REDUCED REGEX REPLACE ROUND SAMPLE SECONDS SELECT SEPARATOR
    SERVICE SHA1 SHA256 SHA384 SHA512 SILENT STR STRAFTER STRBEFORE STRDT STRENDS STRLANG STRLANGDIR STRLEN STRSTARTS
    STRUUID SUBJECT SUBSTR SUM TIMEZONE TRIPLE TZ UCASE UNDEF UNION URI UUID VALUES VERSION WHERE YEAR
    ADD ALL CLEAR COPY CREATE DATA DEFAULT DELETE DROP INSERT INTO LOAD MOVE TO USING WITH
"""
# The engine knows the first three in lower case only. Our grammar knows each of the others as written here.
_WORDS: Final = {word: word for word in (*_OTHER_CASE, *_UPPER_CASE.split())}
_FOLDED: Final = {word.upper(): word for word in _WORDS if word not in _OTHER_CASE[:3]}

_TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_SPELLED: Final = frozenset({"variable", "iri", "name", "word", "string", "number", "blank"})
_TERMS: Final = frozenset({"variable", "iri", "name", "string", "number", "blank"})
_OPERANDS: Final = _TERMS | {"language", ")", "}", "true", "false"}
_PARTED: Final = frozenset({"<", ">", "<=", ">=", "."})
_NO_CALL: Final = frozenset({"VALUES", "UNDEF", "a", "true", "false"})
_HEADS: Final = frozenset({"SELECT", "GROUP", "HAVING", "ORDER"})
_SERVICE: Final = re.compile("SERVICE((?:SILENT)?(.*))", re.DOTALL | re.IGNORECASE)
_CODES: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ECHARS: Final = {"\t": "\\t", "\b": "\\b", "\n": "\\n", "\r": "\\r", "\f": "\\f", "\\": "\\\\", '"': '\\"', "'": "\\'"}


class Plain(NamedTuple):
    """A query in plain spelling."""

    text: str
    """The query."""
    terms: int
    """Variables, names, literals and opening brackets in it: about as many as it has triple patterns, or more."""


def plain(text: str) -> Plain:
    """A query in plain spelling. Raises `QueryError` for what is not made of SPARQL's tokens, and `LimitError`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > QUERY_BYTES_MAX:
        raise LimitError(f"the query has {size} bytes, over the limit of {QUERY_BYTES_MAX} bytes")
    return _Speller(text.removeprefix("\ufeff")).spelled()


class _Speller:
    """Goes through a text once. Brackets are kept to know where `<` is an operator: after an operand in an expression.

    `_open` has an entry for each open bracket: "(" for those of expressions and their arguments, "[" or "list" for
    other brackets, "{" for groups and "" for the outermost level, followed by "head" while in its SELECT, GROUP BY,
    HAVING or ORDER BY.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._out: list[str] = []
        self._open = [""]
        self._before = ""
        """What the token before is: a word or sign itself, for others their kind."""
        self._second = ""
        """The same of the token before that."""
        self._terms = 0
        self._heads = 0
        self._declared: set[str] = set()

    def spelled(self) -> Plain:
        text, out, match = self._text, self._out, _TOKEN.match
        at, end, glued = 0, len(text), ""
        while at < end:
            found = match(text, at)
            if found is None:
                raise QueryError(f"what begins with {text[at : at + 10]!r} at {self._place(at)} is no part of SPARQL")
            kind, token, start = found.lastgroup or "", found.group(), at
            at = found.end()
            if kind == "space":
                out.append(token.replace("\r\n", "\n").replace("\r", "\n") if "\r" in token else token)
                glued = ""
                continue
            if kind == "comment":
                continue
            if kind == "iri" and self._open[-1] == "(" and self._before in _OPERANDS:
                kind, token, at = "sign", "<", start + 1
            token = self._token(kind, token, start)
            if glued and _run_together(glued, kind, token):
                out.append(" ")
            out.append(token)
            glued = token if kind == "sign" else "spelled" if kind in _SPELLED else kind
            self._second, self._before = self._before, token if kind in {"sign", "word"} else kind
        if self._heads > QUERY_HEADS_MAX:
            raise LimitError(
                f"SELECT, GROUP BY, HAVING and ORDER BY have {self._heads} expressions; the limit is {QUERY_HEADS_MAX}"
            )
        return Plain("".join(out), self._terms)

    def _token(self, kind: str, token: str, at: int) -> str:
        """A token as it is to be written."""
        if kind == "sign":
            self._bracket(token)
            return token
        if kind == "word":
            word = _WORDS.get(token) or _FOLDED.get(token.upper())
            if word is None:
                raise QueryError(f"{token!r} at {self._place(at)} is no word of SPARQL")
            if word == "a" and self._open[-1] == "[" and self._before in {"[", ";"}:
                return _TYPE  # our grammar reads the letter in some of these places only
            if word in _HEADS and self._open[-1] in {"", "{"}:
                self._open[-1] = "head" if len(self._open) == 1 else "{head"
            return word
        if kind in _TERMS:
            self._terms += 1
        if kind == "name":
            self._prefix(token[: token.index(":")], at)
        elif "\\" in token and kind in {"iri", "string"}:
            return self._decoded(kind, token, at)
        return token

    def _bracket(self, sign: str) -> None:
        still = self._open
        if sign in "([{":
            self._terms += 1
            if sign == "(" and self._calls():
                self._heads += still[-1].endswith("head")
                still.append("(")
            elif sign == "{":
                if still[-1].endswith("head"):
                    still[-1] = still[-1].removesuffix("head")
                still.append("{")
            else:
                still.append("[" if sign == "[" else "list")
        elif sign in ")]}" and len(still) > 1:
            still.pop()

    def _calls(self) -> bool:
        """Whether a parenthesis here opens an expression or arguments, and not a list, a path or a row."""
        before, top = self._before, self._open[-1]
        if top == "(" or (before in _WORDS and before not in _NO_CALL):
            return True
        if top.endswith("head") and before != "VALUES":
            return True
        return before in {"name", "iri"} and self._second == "FILTER"

    def _prefix(self, prefix: str, at: int) -> None:
        if self._before == "PREFIX":
            self._declared.add(prefix)
        elif prefix not in self._declared:
            raise QueryError(f"the prefix {prefix}: at {self._place(at)} is not declared: add a PREFIX line for it")
        elif (found := _SERVICE.search(prefix)) and not self._declared.isdisjoint(found.groups()):
            # The engine may take SERVICEx:y for the keyword SERVICE and the name x:y.
            raise QueryError(f"the prefix {prefix}: at {self._place(at)} may be read as SERVICE: use another prefix")

    def _decoded(self, kind: str, token: str, at: int) -> str:
        def decode(found: re.Match[str]) -> str:
            code = found[1] or found[2]
            if code is None:
                return found[0]
            value = int(code, 16)
            if value == 0 or 0xD800 <= value <= 0xDFFF or value > 0x10FFFF:  # noqa: PLR2004 - limits of Unicode
                raise QueryError(f"the escape {found[0]} at {self._place(at)} stands for no character")
            return _ECHARS.get(chr(value), chr(value)) if kind == "string" else chr(value)

        text = _CODES.sub(decode, token)
        if kind == "iri" and _TOKEN.fullmatch(text) is None:
            raise QueryError(f"the IRI at {self._place(at)} has an escape for a character that IRIs cannot have")
        return text

    def _place(self, at: int) -> str:
        line = self._text.count("\n", 0, at)
        return f"line {line + 1}, column {at - self._text.rfind(chr(10), 0, at)}"


def _run_together(last: str, kind: str, text: str) -> bool:
    """Whether a token that follows another with nothing between them needs a space before it."""
    if last in _PARTED:
        return True
    if kind == "sign":
        return text in _PARTED and (text != "." or last == "spelled")
    return kind in _SPELLED and last in {"spelled", "language"}
