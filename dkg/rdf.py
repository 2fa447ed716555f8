"""RDF in, quads in normal form out: every syntax that pyoxigraph reads, and rdflib graphs.

N-Triples and N-Quads stream, block by block (`dkg._rdf_lines`). Other syntaxes go to the engine's parser, after a
look at their nesting (`dkg.rdf_safety`). Blank nodes do not come out: quads that mention one are kept back, labelled
by RDFC-1.0 when the document ends, and skolemised (docs/formats.md, section 5).
"""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO
from itertools import starmap
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import pyoxigraph

from dkg._rdf_lines import LineParser, blocks
from dkg.canon import canonicalize, nquad
from dkg.errors import LimitError, RdfError
from dkg.limits import BLANK_QUADS_MAX, DOCUMENT_BYTES_MAX, IRI_BYTES_MAX
from dkg.normal import normalize_all, shown
from dkg.rdf_safety import check_nesting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
# JSON-LD drops statements with relative IRIs and says nothing; with a base of ours they can be seen and refused.
_NO_BASE: Final = "x-no-base-iri://give.one/"
_RELATIVE: Final = b"<" + _NO_BASE.encode()
_BLOCK_BYTES: Final = 4 * 1024 * 1024
_BATCH_QUADS: Final = 20_000
RawQuad = tuple[bytes, bytes, bytes, bytes]
"""Subject, predicate, object, graph as N-Triples text, blank nodes and all; no graph is empty."""

Batch = tuple[list[RawQuad], bool]
"""Quads, and whether they are in normal form, without blank nodes and with a graph."""


class LinesRunner(Protocol):
    """Parses blocks of lines, one after the other or side by side (`dkg.client.parsing`)."""

    def __call__(self, parse: Callable[[bytes, int], Batch], blocks: Iterator[tuple[bytes, int]]) -> Iterator[Batch]:
        """What `parse` gives for each block, in their order. A block comes with the number of lines before it."""


def parse_in_turn(parse: Callable[[bytes, int], Batch], blocks: Iterator[tuple[bytes, int]]) -> Iterator[Batch]:
    """The `LinesRunner` that parses one block after the other, here."""
    return starmap(parse, blocks)


def parse_quads(
    data: bytes | BinaryIO,
    *,
    format: str,  # noqa: A002 - what rdflib and pyoxigraph call it
    base_iri: str | None = None,
    graph: bytes = b"<urn:dkg:default>",
    run: LinesRunner = parse_in_turn,
) -> Iterator[list[Quad]]:
    """Batches of the quads of a document, in normal form.

    `format`: a name of `FORMATS`. `graph`: the graph of triples that are in none, as a term. `run` is for the formats
    that are read block by block, N-Triples and N-Quads. Raises `RdfError`, which
    says where, and `LimitError`.
    """
    if format not in FORMATS:
        raise RdfError(f"{format!r} is not a format; choose one of {', '.join(FORMATS)}")
    stream = BytesIO(data) if isinstance(data, bytes) else data
    graph = _graph_name(graph)
    if format in {"nt", "nq"}:
        return _settled(_lines(stream, format, graph, run), graph)
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


def _settled(batches: Iterable[Batch], graph: bytes) -> Iterator[list[Quad]]:
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
    parts: list[bytes] = []
    size = 0
    while size <= DOCUMENT_BYTES_MAX and (part := stream.read(min(_BLOCK_BYTES, DOCUMENT_BYTES_MAX + 1 - size))):
        parts.append(part)  # a pipe gives what it has: one read is not all
        size += len(part)
    data = b"".join(parts)
    if len(data) > DOCUMENT_BYTES_MAX:
        raise LimitError(
            f"a document in format {name!r} may have {DOCUMENT_BYTES_MAX} bytes, and this one has more; "
            "N-Triples and N-Quads have no such limit"
        )
    _check_text(data[:4], name)
    check_nesting(data, name)
    try:
        base = _NO_BASE if base_iri is None and name == "jsonld" else base_iri
        for batch in _batched(_raw(quad) for quad in pyoxigraph.parse(data, format=FORMATS[name], base_iri=base)):
            if base is _NO_BASE and any(term.startswith(_RELATIVE) for quad in batch for term in quad):
                raise RdfError("the document has relative IRIs: give a base IRI that they are relative to")
            yield batch
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


def _lines(stream: BinaryIO, name: str, graph: bytes, run: LinesRunner) -> Iterator[Batch]:
    """N-Triples and N-Quads, block by block. Only where blank nodes may be is the default graph still to be named."""
    named, unnamed = (LineParser(default, quads=name == "nq") for default in (graph, b""))

    def parse(block: bytes, lines_before: int) -> Batch:
        blank = b"_:" in block
        return (unnamed if blank else named).parse(block, lines_before), not blank

    return run(parse, _numbered(stream, name))


def _numbered(stream: BinaryIO, name: str) -> Iterator[tuple[bytes, int]]:
    lines = 0
    for block in blocks(stream):
        if not lines:
            _check_text(block[:4], name)
        yield block, lines
        lines += block.count(b"\n")
