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
from typing import TYPE_CHECKING, Final, NamedTuple

from dkg.errors import LimitError, QueryError
from dkg.limits import QUERY_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

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
    rf"|(?P<name>(?:[{_BASE}](?:[{_NAME}.]{{0,254}}[{_NAME}])?)?:"
    rf"(?:(?:[{_BASE}_:0-9]|{_ESCAPED})(?:(?:[{_NAME}:]|{_ESCAPED})|\.+(?=[{_NAME}:.%\\]))*)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?!:))"
    r"|(?P<string>'''(?:\\.|'(?!'')|[^'\\])*'''|\"\"\"(?:\\.|\"(?!\"\")|[^\"\\])*\"\"\""
    r"|'(?:\\.|[^'\\\n\r])*'|\"(?:\\.|[^\"\\\n\r])*\")"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][+\-]?[0-9]+|[0-9]*\.[0-9]+|[0-9]+)"
    rf"|(?P<blank>_:[{_BASE}_0-9](?:[{_NAME}]|\.+(?=[{_NAME}.]))*)"
    r"|(?P<language>@[A-Za-z]+(?:-[A-Za-z0-9]+)*(?:--[A-Za-z]+)?)"
    r"|(?P<sign>\|\||&&|\^\^|<<|>>|!=|<=|>=|[{}()\[\].;,*+\-/|^!=<>?~])",
    re.DOTALL,
)
