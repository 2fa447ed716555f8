"""RDF in, quads in normal form out: every syntax that pyoxigraph reads, and rdflib graphs.

N-Triples and N-Quads stream, line by line, and their plain lines take a path that looks at each distinct term once.
Other syntaxes go to the engine's parser, after a look at their nesting (`dkg.rdf_safety`). Blank nodes do not come
out: quads that mention one are kept back, labelled by RDFC-1.0 when the document ends, and skolemised
(docs/formats.md, section 5).
"""

from __future__ import annotations

import re
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyoxigraph

from dkg.canon import canonicalize, nquad
from dkg.errors import LimitError, RdfError
from dkg.limits import BLANK_QUADS_MAX, DOCUMENT_BYTES_MAX, IRI_BYTES_MAX, LINE_BYTES_MAX
from dkg.normal import normalize_all, shown
from dkg.rdf_safety import check_nesting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dkg.terms import Quad

FORMATS: Final = {
    "nt": pyoxigraph.RdfFormat.N_TRIPLES,
    "nq": pyoxigraph.RdfFormat.N_QUADS,
    "ttl": pyoxigraph.RdfFormat.TURTLE,
    "trig": pyoxigraph.RdfFormat.TRIG,
    "n3": pyoxigraph.RdfFormat.N3,
    "xml": pyoxigraph.RdfFormat.RDF_XML,
    "jsonld": pyoxigraph.RdfFormat.JSON_LD,
}
"""The names of formats."""

_GENID_BYTES_MAX: Final = 64  # `/.well-known/genid/`, 16 digits, `-c14n` and a number
_NEWLINE: Final = b"\n"
_BLOCK_BYTES: Final = 4 * 1024 * 1024
_BATCH_QUADS: Final = 20_000
_KNOWN_MAX: Final = 1_000_000  # distinct terms remembered while streaming; a new start beyond
_REST: Final = re.compile(
    rb'(<[^<>"{}|^`\\\x00-\x20]*>|"(?:[^"\\\n\r]|\\.)*"(?:@[A-Za-z0-9\-]+|\^\^<[^<>"{}|^`\\\x00-\x20]*>)?)'
    rb'(?: (<[^<>"{}|^`\\\x00-\x20]*>))? \.'
)

RawQuad = tuple[bytes, bytes, bytes, bytes]
"""Subject, predicate, object, graph as N-Triples text, blank nodes and all; no graph is empty."""


def parse_quads(
    data: bytes | BinaryIO,
    *,
    format: str,  # noqa: A002 - what rdflib and pyoxigraph call it
    base_iri: str | None = None,
    graph: bytes = b"<urn:dkg:default>",
) -> Iterator[list[Quad]]:
    """Batches of the quads of a document, in normal form.

    `format`: a name of `FORMATS`. `graph`: the graph of triples that are in none, as a term. Raises `RdfError`, which
    says where, and `LimitError`.
    """
    if format not in FORMATS:
        raise RdfError(f"{format!r} is not a format; choose one of {', '.join(FORMATS)}")
    stream = BytesIO(data) if isinstance(data, bytes) else data
    graph = _graph_name(graph)
    if format in {"nt", "nq"}:
        return _settled(_lines(stream, format, graph), graph)
    return _settled(((_normal_but_blank(batch), False) for batch in _document(stream, format, base_iri)), graph)


def quads_of_rdflib(source: Any, *, graph: bytes = b"<urn:dkg:default>") -> Iterator[list[Quad]]:  # noqa: ANN401
    """Batches of the quads of an rdflib Graph or Dataset, in normal form, as `parse_quads` gives them."""
    graph = _graph_name(graph)
    return _settled(((_normal_but_blank(batch), False) for batch in _batched(_of_rdflib(source))), graph)


def _graph_name(graph: bytes) -> bytes:
    """The name of a load's graph in normal form, short enough for the names of blank nodes that are made from it."""
    (normal,) = normalize_all([graph])
    if not normal.startswith(b"<"):
        raise RdfError(f"the name of a graph must be an IRI, not {shown(normal)}")
    if len(normal) > IRI_BYTES_MAX - _GENID_BYTES_MAX:
        raise LimitError(f"the name of a graph may have {IRI_BYTES_MAX - _GENID_BYTES_MAX} bytes, not {len(normal)}")
    return normal


def _of_rdflib(source: Any) -> Iterator[RawQuad]:  # noqa: ANN401 - rdflib is not a dependency of this module
    if getattr(source, "context_aware", False) and hasattr(source, "quads"):
        default = str(getattr(getattr(source, "default_graph", None), "identifier", "urn:x-rdflib:default"))
        for s, p, o, context in source.quads((None, None, None, None)):
            name = getattr(context, "identifier", context)
            where = b"" if name is None or str(name) == default else _n3(name)
            yield _n3(s), _n3(p), _n3(o), where
    elif hasattr(source, "triples"):
        for s, p, o in source.triples((None, None, None)):
            yield _n3(s), _n3(p), _n3(o), b""
    else:
        raise RdfError(f"{type(source).__name__} is neither bytes, nor a binary file, nor an rdflib graph")


def _n3(term: Any) -> bytes:  # noqa: ANN401 - an rdflib term
    kind = type(term).__name__
    if kind == "BNode":
        return b"_:" + str(term).encode()
    if kind == "URIRef":
        return str(_iri(str(term))).encode()
    if kind != "Literal":
        raise RdfError(f"a term of type {kind} cannot be stored: {term!r}")
    try:
        if term.language:
            return str(pyoxigraph.Literal(str(term), language=term.language)).encode()
        if term.datatype is not None:
            return str(pyoxigraph.Literal(str(term), datatype=_iri(str(term.datatype)))).encode()
        return str(pyoxigraph.Literal(str(term))).encode()
    except ValueError as error:
        raise RdfError(f"the literal {term!r} cannot be stored: {error}") from error


def _iri(text: str) -> pyoxigraph.NamedNode:
    try:
        return pyoxigraph.NamedNode(text)
    except ValueError as error:
        raise RdfError(f"<{text}> is not an absolute IRI: {error}") from error


# --- from raw to settled ---------------------------------------------------------------------------------------


def _settled(batches: Iterable[tuple[list[RawQuad], bool]], graph: bytes) -> Iterator[list[Quad]]:
    """Batches in normal form: the default graph named, quads with blank nodes kept back and skolemised at the end.

    A batch comes with whether that is already so.
    """
    kept: dict[RawQuad, None] = {}
    for batch, settled in batches:
        if settled:
            yield batch
            continue
        blank = {quad for quad in batch if b"_:" in {quad[0][:2], quad[2][:2], quad[3][:2]}}
        kept.update((quad, None) for quad in batch if quad in blank)
        if len(kept) > BLANK_QUADS_MAX:
            raise LimitError(f"more than {BLANK_QUADS_MAX} quads of one document mention blank nodes")
        rest = [(s, p, o, g or graph) for s, p, o, g in batch if (s, p, o, g) not in blank] if blank else batch
        if rest:
            yield rest if all(quad[3] for quad in rest) else [(s, p, o, g or graph) for s, p, o, g in rest]
    if kept:
        yield from _skolemised(list(kept), graph)


def _skolemised(quads: list[RawQuad], graph: bytes) -> Iterator[list[Quad]]:
    labels = canonicalize(quads)

    def relabelled(term: bytes) -> bytes:
        return b"_:" + labels[term[2:]] if term.startswith(b"_:") else term

    canonical = sorted(nquad((relabelled(s), p, relabelled(o), relabelled(g))) for s, p, o, g in quads)
    digest = sha256(b"".join(canonical)).hexdigest()[:16].encode()
    base = graph[:-1] + b"/.well-known/genid/" + digest + b"-"
    names = {b"_:" + old: base + new + b">" for old, new in labels.items()}
    for start in range(0, len(quads), _BATCH_QUADS):
        yield [
            (names.get(s, s), p, names.get(o, o), names.get(g, g) or graph)
            for s, p, o, g in quads[start : start + _BATCH_QUADS]
        ]


def _normal_but_blank(quads: list[RawQuad]) -> list[RawQuad]:
    terms = list(dict.fromkeys(term for quad in quads for term in quad if term and not term.startswith(b"_:")))
    normal = dict(zip(terms, normalize_all(terms), strict=True))
    get = normal.get
    return [(get(s, s), normal[p], get(o, o), get(g, g)) for s, p, o, g in quads]


# --- whole documents -------------------------------------------------------------------------------------------


def _document(stream: BinaryIO, name: str, base_iri: str | None) -> Iterator[list[RawQuad]]:
    data = stream.read(DOCUMENT_BYTES_MAX + 1)
    if len(data) > DOCUMENT_BYTES_MAX:
        raise LimitError(
            f"a document in format {name!r} may have {DOCUMENT_BYTES_MAX} bytes, and this one has more; "
            "N-Triples and N-Quads have no such limit"
        )
    _check_text(data[:4], name)
    check_nesting(data, name)
    try:
        quads = pyoxigraph.parse(data, format=FORMATS[name], base_iri=base_iri)
        yield from _batched(_raw(quad) for quad in quads)
    except SyntaxError as error:
        raise RdfError(_told(error, 0)) from error
    except ValueError as error:
        raise RdfError(f"the document does not parse: {error}") from error
    except MemoryError as error:  # the engine's own bound on one token, 16 MiB
        raise LimitError(f"a term of the document is too long: {error}") from error


def _check_text(start: bytes, name: str) -> None:
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RdfError("the document is in UTF-16; RDF is UTF-8: convert it")
    if start.startswith(b"\xef\xbb\xbf") and name not in {"xml", "jsonld"}:
        raise RdfError("the document starts with a byte order mark (EF BB BF): remove these three bytes")
    if start.startswith(b"\x1f\x8b"):
        raise RdfError("the document is compressed (gzip): unpack it, or give its name an ending in .gz")


def _told(error: SyntaxError, before: int) -> str:
    where = f" at line {error.lineno + before}" if error.lineno is not None else ""
    return f"the document does not parse{where}: {error.msg}"


def _raw(quad: pyoxigraph.Quad) -> RawQuad:
    for term in (quad.subject, quad.object):
        if isinstance(term, pyoxigraph.Triple):
            raise RdfError(f"a triple term cannot be stored (RDF 1.2): {term}")
    graph = quad.graph_name
    name = b"" if isinstance(graph, pyoxigraph.DefaultGraph) else str(graph).encode()
    return str(quad.subject).encode(), str(quad.predicate).encode(), str(quad.object).encode(), name


def _batched(quads: Iterable[RawQuad]) -> Iterator[list[RawQuad]]:
    batch: list[RawQuad] = []
    for quad in quads:
        batch.append(quad)
        if len(batch) >= _BATCH_QUADS:
            yield batch
            batch = []
    if batch:
        yield batch


# --- lines -----------------------------------------------------------------------------------------------------


def _lines(stream: BinaryIO, name: str, graph: bytes) -> Iterator[tuple[list[RawQuad], bool]]:
    """N-Triples and N-Quads. Plain lines are split at their spaces; others go to the engine, one by one."""
    reader = _LineReader(name, graph)
    rest, first = b"", True
    while block := stream.read(_BLOCK_BYTES):
        if first:
            _check_text(block[:4], name)
            first = False
        block = rest + block
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if len(rest) > LINE_BYTES_MAX:
            raise LimitError(f"line {reader.line + block.count(_NEWLINE) + 1} has over {LINE_BYTES_MAX} bytes")
        yield from reader.read(block[:end])
    yield from reader.read(rest)


class _LineReader:
    """Reads blocks of lines. What it has met before it knows by sight."""

    def __init__(self, name: str, graph: bytes) -> None:
        self._name = name
        self._graph = graph
        self._names: dict[bytes, bytes] = {}  # a subject or predicate that is an IRI in normal form -> itself
        self._rests: dict[bytes, tuple[bytes, bytes]] = {}  # the rest of a line -> object and graph in normal form
        self.line = 0

    def read(self, block: bytes) -> Iterator[tuple[list[RawQuad], bool]]:
        """The quads of some whole lines: those of the plain ones, then those of the others."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        parts = [line.split(b" ", 2) for line in lines]
        if len(self._names) + len(self._rests) > _KNOWN_MAX:
            self._names.clear()
            self._rests.clear()
        whole = [part for part in parts if len(part) == 3]  # noqa: PLR2004 - subject, predicate, rest
        self._learn_names({part[0] for part in whole} | {part[1] for part in whole})
        self._learn_rests({part[2] for part in whole})
        names, rests = self._names, self._rests
        try:
            plain = [(names[s], names[p], *rests[o]) for s, p, o in whole]
            odd = len(whole) < len(parts)
        except KeyError:
            plain = [(s, p, *rests[o]) for s, p, o in whole if s in names and p in names and o in rests]
            odd = True
        yield plain, True
        if odd:
            yield (
                self._asked(
                    [
                        (line, number)
                        for number, (line, part) in enumerate(zip(lines, parts, strict=True), self.line + 1)
                        if len(part) < 3 or part[0] not in names or part[1] not in names or part[2] not in rests  # noqa: PLR2004
                    ]
                ),
                False,
            )
        self.line += len(lines)

    def _learn_names(self, met: set[bytes]) -> None:
        fresh = _normal(name for name in met.difference(self._names) if name[:1] == b"<")
        self._names.update((name, name) for name, normal in fresh if name == normal)

    def _learn_rests(self, met: set[bytes]) -> None:
        found: list[tuple[bytes, bytes, bytes]] = []
        match, quads = _REST.fullmatch, self._name == "nq"
        for rest in met.difference(self._rests):
            parts = match(rest)
            if parts is not None and (parts[2] is None or quads):
                found.append((rest, parts[1], parts[2] or self._graph))
        normal = dict(_normal({term for _, o, g in found for term in (o, g)}))
        for rest, o, g in found:
            if o in normal and g in normal:
                self._rests[rest] = (normal[o], normal[g])

    def _asked(self, lines: list[tuple[bytes, int]]) -> list[RawQuad]:
        """The quads of lines that the engine must be asked about, given with their numbers."""
        for line, number in lines:
            if len(line) > LINE_BYTES_MAX:
                raise LimitError(f"line {number} has over {LINE_BYTES_MAX} bytes (LINE_BYTES_MAX)")
        try:
            return self._parsed(b"\n".join(line for line, _ in lines))
        except (SyntaxError, ValueError, RdfError, LimitError):
            return [quad for line, number in lines for quad in self._parsed_alone(line, number)]  # to name the line

    def _parsed(self, text: bytes) -> list[RawQuad]:
        check_nesting(text, self._name)
        return _normal_but_blank([_raw(quad) for quad in pyoxigraph.parse(text, format=FORMATS[self._name])])

    def _parsed_alone(self, line: bytes, number: int) -> list[RawQuad]:
        try:
            return self._parsed(line)
        except SyntaxError as error:
            raise RdfError(f"the document does not parse at line {number}: {error.msg}") from error
        except ValueError as error:
            raise RdfError(f"the document does not parse at line {number}: {error}") from error
        except (RdfError, LimitError) as error:
            raise type(error)(f"line {number}: {error}") from error


def _normal(terms: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """Terms and their normal forms, without those that have none: their lines will be told of by the engine."""
    given = list(terms)
    try:
        return list(zip(given, normalize_all(given), strict=True))
    except (RdfError, LimitError):
        if len(given) == 1:
            return []
        half = len(given) // 2
        return _normal(given[:half]) + _normal(given[half:])
