"""JSON-LD of strangers to quads, by PyLD with a closed list of contexts: nothing is fetched, nothing is dropped.

JSON-LD says nothing about what it leaves out: a name that no context defines, an IRI that is relative or broken, a
text's direction. In a signed document that would be a part that the signature does not cover but a reader sees, so it
is an error here. The engine's own JSON-LD reader is not used: of a node with several types it applies the context of
one, and loses what only the others define (pyoxigraph 0.5.13; the W3C vector `employ` is such a document).
"""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import pyoxigraph as ox
from pyld import ContextResolver  # type: ignore[import-untyped]
from pyld.jsonld import JsonLdError, JsonLdProcessor  # type: ignore[import-untyped]

from node.assets.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dkg.canon import RawQuad

QUADS_BYTES_MAX: Final = 32 * 1024 * 1024
"""Most bytes of a document's quads, as N-Quads writes them."""

BUNDLED: Final = {
    "https://www.w3.org/2018/credentials/v1": "credentials-v1.jsonld",
    "https://www.w3.org/ns/credentials/v2": "credentials-v2.jsonld",
    "https://www.w3.org/ns/credentials/examples/v2": "credentials-examples-v2.jsonld",
    "https://www.w3.org/ns/credentials/undefined-terms/v2": "credentials-undefined-terms-v2.jsonld",
    "https://w3id.org/citizenship/v4rc1": "citizenship-v4rc1.jsonld",
    "https://w3id.org/security/data-integrity/v1": "data-integrity-v1.jsonld",
    "https://w3id.org/security/data-integrity/v2": "data-integrity-v2.jsonld",
}
"""The contexts that come with this package, and their files (`contexts/README.md`)."""

NO_BASE: Final = "x-no-base-iri://give.one/"
_STRING: Final = "http://www.w3.org/2001/XMLSchema#string"


@cache
def bundled_contexts() -> Mapping[str, bytes]:
    """The contexts that come with this package, by their URLs."""
    folder = files("node.assets") / "contexts"
    return {url: (folder / name).read_bytes() for url, name in BUNDLED.items()}


def quads_of(document: dict[str, Any], contexts: Mapping[str, bytes]) -> list[RawQuad]:
    """The quads of a JSON-LD object, blank nodes and all, literals as they are.

    `contexts`: what may be named as @context, by URL. Raises `IntegrityError` for other contexts, and for whatever
    JSON-LD would leave out.
    """
    return quads_of_expanded(expanded(document, contexts))


def expanded(document: dict[str, Any], contexts: Mapping[str, bytes], base: str | None = None) -> list[dict[str, Any]]:
    """A JSON-LD object in expanded form: its nodes, with IRIs written out. `base`: of its relative IRIs.

    Raises as `quads_of`.
    """
    dropped: list[str] = []
    loader = _Loader(contexts)
    resolver = ContextResolver({}, loader)  # with a cache of its own: what strangers write stays out of PyLD's
    options = {"documentLoader": loader, "contextResolver": resolver, "base": base or NO_BASE}
    processor = JsonLdProcessor(on_property_dropped=lambda name: dropped.append(str(name)))
    with _refused(loader):
        nodes: list[dict[str, Any]] = processor.expand(document, options)
        _check_expanded(nodes, dropped)
    return nodes


def quads_of_expanded(nodes: list[dict[str, Any]]) -> list[RawQuad]:
    """The quads of what `expanded` gave. Raises `IntegrityError`."""
    loader = _Loader({})
    options = {"documentLoader": loader, "contextResolver": ContextResolver({}, loader), "base": NO_BASE}
    with _refused(loader):
        dataset = JsonLdProcessor().to_rdf(nodes, options)
    return _within(_raw_quads(dataset))


@contextmanager
def _refused(loader: _Loader) -> Iterator[None]:
    """Whatever PyLD raises, and what it only warns of, as `IntegrityError`."""
    try:
        with warnings.catch_warnings():
            for kind in (SyntaxWarning, UserWarning):  # what PyLD ignores, it warns of in these
                warnings.simplefilter("error", kind)
            yield
    except IntegrityError:
        raise
    except Exception as error:  # PyLD raises what comes up where JSON is not what it expects
        raise IntegrityError(loader.refusal or f"the JSON-LD cannot be read: {_told(error)}") from error


class _Loader:
    """PyLD's access to contexts: those of a closed list."""

    def __init__(self, contexts: Mapping[str, bytes]) -> None:
        self._contexts = contexts
        self.refusal = ""

    def __call__(self, url: str, _: object) -> dict[str, Any]:
        if url not in self._contexts:
            self.refusal = (
                f"the context {url[:200]!r} is not among the {len(self._contexts)} that are known here, and is never "
                "fetched: give its file, or write the names out as IRIs"
            )
            raise IntegrityError(self.refusal)
        document = json.loads(self._contexts[url])
        return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": document}


def _told(error: Exception) -> str:
    said = error.args[0] if isinstance(error, JsonLdError) and error.args else f"{type(error).__name__}: {error}"
    return repr(str(said)[:300])[1:-1]  # what it quotes may hold anything


def _check_expanded(expanded: object, dropped: list[str]) -> None:
    """Refuse what has no place in RDF, and would be left out. `dropped`: names that were left out already."""
    if dropped:
        raise IntegrityError(f"no context says what {dropped[0][:200]!r} means, so no signature can cover it")
    pending = [expanded]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict) and "@value" in node:
            _check_value(node)
        elif isinstance(node, dict):
            pending += [value for name, value in node.items() if name not in {"@id", "@type", "@index"}]
            _check_node(node)


def _check_node(node: dict[str, Any]) -> None:
    for name, value in node.items():
        if name in {"@id", "@type"}:
            for iri in value if isinstance(value, list) else [value]:
                if not (isinstance(iri, str) and iri.startswith("_:")):
                    _iri(iri)
        elif not name.startswith("@"):
            _iri(name)


def _check_value(value: dict[str, Any]) -> None:
    if "@direction" in value:
        raise IntegrityError("a text has a @direction, which RDF as it is signed here cannot hold")
    if value.get("@type") not in {None, "@json"}:
        _iri(value["@type"])
    if "@language" in value:
        try:
            ox.Literal("", language=value["@language"])
        except ValueError as error:
            raise IntegrityError(f"{value['@language']!r} is no language tag") from error


def _iri(name: object) -> bytes:
    try:
        iri = str(ox.NamedNode(name)).encode()  # type: ignore[arg-type]  # it raises for other types
    except (TypeError, ValueError) as error:
        raise IntegrityError(f"{str(name)[:200]!r} is no absolute IRI") from error
    if iri.startswith(b"<" + NO_BASE.encode()):
        relative = str(name).removeprefix(NO_BASE)
        raise IntegrityError(f"the IRI {relative[:200]!r} is relative, and the document does not say to what (@base)")
    return iri


def _raw_quads(dataset: dict[str, list[dict[str, Any]]]) -> Iterator[RawQuad]:
    for name, triples in dataset.items():
        graph = b"" if name == "@default" else _node(name)
        for triple in triples:
            s, p, o = triple["subject"], triple["predicate"], triple["object"]
            if o is None:
                raise IntegrityError("a list holds a value that RDF cannot")
            yield (
                _node(s["value"]),
                _iri(p["value"]),
                _literal(o) if o["type"] == "literal" else _node(o["value"]),
                graph,
            )


def _node(name: str) -> bytes:
    return name.encode() if name.startswith("_:") else _iri(name)


def _literal(literal: dict[str, Any]) -> bytes:
    """A literal as canonical N-Quads writes it, whatever its datatype: it is signed as it is."""
    if not isinstance(literal["value"], str):
        raise IntegrityError(f"{literal['value']!r} is no text, and is said to be one")
    quoted = str(ox.Literal(literal["value"])).encode()
    if "language" in literal:
        return quoted + f"@{literal['language']}".encode()
    return quoted if literal["datatype"] == _STRING else quoted + b"^^" + _iri(literal["datatype"])


def _within(quads: Iterator[RawQuad]) -> list[RawQuad]:
    found: list[RawQuad] = []
    size = 0
    for quad in quads:
        size += sum(map(len, quad))
        if size > QUADS_BYTES_MAX:
            raise IntegrityError(f"the document's quads have over {QUADS_BYTES_MAX} bytes (QUADS_BYTES_MAX)")
        found.append(quad)
    return found
