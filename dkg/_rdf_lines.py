"""N-Triples and N-Quads, line by line, at the speed of one regular expression; the engine reads what that does not.

Three passes over a block of lines. Lines as every serialiser writes them, with terms that are seen to be in normal
form, are done with the first. Of the others, those that are laid out plainly have each distinct term normalised.
What is left (comments, escapes in IRIs, errors) the engine's strict parser reads. So what is accepted, and as what, is
what the engine accepts; `tests/dkg/test_rdf.py` holds the one against the other.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pyoxigraph as ox

from dkg.errors import LimitError, RdfError
from dkg.limits import IRI_BYTES_MAX, LINE_BYTES_MAX
from dkg.normal import _TYPED, IRI, LITERAL, normalize, normalize_all, shown
from dkg.rdf_safety import check_nesting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    RawQuad = tuple[bytes, bytes, bytes, bytes]
    """Subject, predicate, object, graph: in normal form, or `_:label`."""

BLOCK_BYTES: Final = 1024 * 1024

_KNOWN_MAX: Final = 100_000
_KNOWN_BYTES_MAX: Final = 256  # longer terms are not remembered, so that what is stays below 60 MB


def _bytes_pattern(pattern: str) -> bytes:
    """A pattern of `dkg.normal` for UTF-8: in IRIs without the characters beyond ASCII, which other passes read."""
    ascii_only = re.sub("[^\x00-\x7f](?:-[^\x00-\x7f])?", "", pattern)
    return ascii_only.replace(r"\ufffe\uffff", "").encode("ascii")


_BLANK: Final = rb"_:[A-Za-z0-9_][A-Za-z0-9_\-]*+"
_IRI: Final = _bytes_pattern(IRI)
_OBJECT: Final = rb"%b|%b|%b|%b" % (_IRI, _bytes_pattern(_TYPED), _bytes_pattern(LITERAL), _BLANK)
_GRAPH: Final = rb"(?: (%b|%b))?" % (_IRI, _BLANK)
_PLAIN: Final = rb"^(?:(%b|%b) (%b) (%b)%b \.\r?|(.*))\n"  # whatever else a line is comes last

_REFERENCE: Final = rb'<[^\x00-\x20<>"{}|^`\\]*+>'
_ANY_LITERAL: Final = rb'"[^"\\\n\r]*+(?:\\.[^"\\\n\r]*+)*"(?:@[A-Za-z]++(?:-[A-Za-z0-9]++)*|\^\^' + _REFERENCE + rb")?"
_LOOSE: Final = rb"^[ \t]*+(%b|%b)[ \t]++(%b)[ \t]++(%b|%b|%b)%b[ \t]*+\.[ \t]*+\r?\n"
_LOOSE_GRAPH: Final = rb"(?:[ \t]++(%b|%b))?" % (_REFERENCE, _BLANK)


def _patterns(graph: bytes, loose_graph: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    plain = _PLAIN % (_IRI, _BLANK, _IRI, _OBJECT, graph)
    loose = _LOOSE % (_REFERENCE, _BLANK, _REFERENCE, _REFERENCE, _ANY_LITERAL, _BLANK, loose_graph)
    return re.compile(plain, re.MULTILINE), re.compile(loose, re.MULTILINE)


_TRIPLES: Final = _patterns(b"", b"")
_QUADS: Final = _patterns(_GRAPH, _LOOSE_GRAPH)
_FORMATS: Final = {False: ox.RdfFormat.N_TRIPLES, True: ox.RdfFormat.N_QUADS}
_WINDOW: Final = IRI_BYTES_MAX // 2
_NOT_NORMAL: Final = b"\xef\xbf"  # starts U+FFFE and U+FFFF, which normal form escapes


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """Blocks of whole lines, each ended by a line feed. Raises `LimitError` for a line over LINE_BYTES_MAX."""
    rest = b""
    line = 1
    while chunk := stream.read(BLOCK_BYTES):
        end = chunk.rfind(b"\n") + 1
        if end:
            block = rest + chunk[:end]
            yield block
            line += block.count(b"\n")
            rest = chunk[end:]
        else:
            rest += chunk
        if len(rest) > LINE_BYTES_MAX:
            raise LimitError(f"line {line} has over {LINE_BYTES_MAX} bytes (LINE_BYTES_MAX)")
    if rest:
        yield rest + b"\n"


class LineParser:
    """Reads blocks of lines. `graph`: what stands for the default graph in the quads that come out."""

    def __init__(self, graph: bytes, *, quads: bool) -> None:
        self._graph = graph
        self._is_quads = quads
        self._plain, self._loose = _QUADS if quads else _TRIPLES
        self._known: dict[bytes, bytes] = {}

    def parse(self, text: bytes, lines_before: int = 0) -> list[RawQuad]:
        """The quads of a block of lines. Raises `RdfError` and `LimitError`, which name the line."""
        if not text.endswith(b"\n"):
            text += b"\n"
        quads, rest = self._surely_normal(text)
        if rest:
            try:
                quads += self._others(rest)
            except (SyntaxError, ValueError, RdfError, LimitError) as error:
                raise self._located(error, text, lines_before) from error
        return quads

    def _surely_normal(self, text: bytes) -> tuple[list[RawQuad], bytes]:
        """The quads that the first pattern finds, and the lines where it finds none."""
        if not _is_plain_text(text):
            return [], text
        graph = self._graph
        found = self._plain.findall(text)
        if self._is_quads:
            quads = [(s, p, o, g or graph) for s, p, o, g, _ in found if s]
        else:
            quads = [(s, p, o, graph) for s, p, o, _ in found if s]
        if len(quads) == len(found):
            return quads, b""
        return quads, b"".join(other[-1] + b"\n" for other in found if not other[0])

    def _named(self, found: list[tuple[bytes, ...]]) -> list[RawQuad]:
        graph = self._graph
        if self._is_quads:
            return [(s, p, o, g or graph) for s, p, o, g in found]
        return [(s, p, o, graph) for s, p, o in found]

    def _others(self, text: bytes) -> list[RawQuad]:
        try:
            text.decode()
        except UnicodeDecodeError:
            return self._asked(text)  # which says where
        found = self._loose.findall(text)
        quads = self._named(found)
        normal = self._normal({term for quad in quads for term in quad if term})
        normal[b""] = b""
        settled = [(normal[s], normal[p], normal[o], normal[g]) for s, p, o, g in quads]
        if len(found) < text.count(b"\n"):
            settled += self._asked(self._loose.sub(b"", text))
        return settled

    def _normal(self, terms: set[bytes]) -> dict[bytes, bytes]:
        """Terms and their normal forms; blank nodes stay what they are."""
        known = self._known
        if len(known) > _KNOWN_MAX:
            known.clear()
        fresh = [term for term in terms if term not in known and term[:1] != b"_"]
        made = dict(zip(fresh, normalize_all(fresh), strict=True))
        known.update(item for item in made.items() if len(item[0]) <= _KNOWN_BYTES_MAX)
        return {term: made.get(term) or known.get(term, term) for term in terms}

    def _asked(self, text: bytes) -> list[RawQuad]:
        """What the engine reads. Raises what it raises, besides our errors."""
        check_nesting(text, "nq" if self._is_quads else "nt")
        return [self._settled(quad) for quad in list(ox.parse(text, _FORMATS[self._is_quads]))]

    def _settled(self, quad: ox.Quad | ox.Triple) -> RawQuad:
        graph = quad.graph_name if isinstance(quad, ox.Quad) else ox.DefaultGraph()
        name = self._graph if isinstance(graph, ox.DefaultGraph) else _term(graph)
        return _term(quad.subject), _term(quad.predicate), _term(quad.object), name

    def _located(self, error: Exception, text: bytes, before: int) -> Exception:
        """The error of the first line that the engine, or this format, refuses, with its number."""
        for number, line in enumerate(text.split(b"\n"), before + 1):
            found = self._plain.fullmatch(line + b"\n")
            if found is None or found[1] is None or not _is_plain_text(line + b"\n"):
                try:
                    self._asked(line)
                except SyntaxError as refused:
                    return RdfError(f"the document does not parse at line {number}: {refused.msg}")
                except (RdfError, LimitError) as refused:
                    return type(refused)(f"line {number}: {refused}")
        return error


def _is_plain_text(text: bytes) -> bool:
    """Whether `text` is UTF-8, has no line that may hold a term over its limit, and no character to be escaped."""
    if not all(text.find(b"\n", at, at + _WINDOW) >= 0 for at in range(0, len(text) - _WINDOW, _WINDOW)):
        return False
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return _NOT_NORMAL not in text


def _term(term: ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple) -> bytes:
    """The bytes of a term from the engine: in normal form, or `_:label`."""
    if isinstance(term, ox.Triple):
        raise RdfError(f"a triple term cannot be stored (RDF 1.2): {shown(str(term).encode())}")
    text = str(term).encode()
    return text if isinstance(term, ox.BlankNode) else normalize(text)
