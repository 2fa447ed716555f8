"""JSON-LD documents to items, by PyLD as signed documents are read: nothing fetched, nothing dropped in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from node.assets.errors import IntegrityError
from node.assets.jsonld import NO_BASE, bundled_contexts, expanded, quads_of_expanded
from node.imports.errors import SourceError
from node.imports.item import Item, required_iri
from node.imports.lexical import is_lexical
from node.imports.schema_org import CONTEXT_NAMES, context_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ValueRefusedError(SourceError):
    """A value that its datatype does not have. `predicate`: of which property, as an IRI."""

    def __init__(self, predicate: str, value: str, datatype: str) -> None:
        super().__init__(f"{value[:80]!r} is no {_short(datatype)}, which a value of {predicate} should be")
        self.predicate = predicate


def known_contexts(given: Mapping[str, bytes]) -> dict[str, bytes]:
    """The contexts that a document or a mapping may name, by URL: those that are given, ours, and schema.org's."""
    return {**bundled_contexts(), **dict.fromkeys(CONTEXT_NAMES, context_document()), **given}


def read_document(document: dict[str, Any], contexts: Mapping[str, bytes], base: str | None) -> list[dict[str, Any]]:
    """A JSON-LD object in expanded form, every typed value checked. `contexts`: what it may name, by URL.

    Raises `SourceError`, and `ValueRefusedError` for a text that its datatype does not have.
    """
    try:
        nodes = expanded(document, contexts, base)
    except IntegrityError as error:
        raise SourceError(_plain(str(error))) from error
    for predicate, value in _values(nodes):
        datatype, text = value.get("@type"), _written(value["@value"])
        if isinstance(datatype, str) and text is not None and not is_lexical(datatype, text):
            raise ValueRefusedError(predicate, text, datatype)
    return nodes


def _written(value: object) -> str | None:
    """A value as it stands in a literal; None for JSON that is kept as such."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.15E}"
    return str(value if isinstance(value, str) else int(value)) if isinstance(value, str | int | float) else None


def item_of(nodes: list[dict[str, Any]], place: str, key: str | None, minted: str) -> Item:
    """Expanded nodes as one item. `minted`: what the IRIs of nodes without a name begin with. Raises `SourceError`."""
    names: dict[str, str] = {}
    for number, node in enumerate(nodes):
        own = node.get("@id")
        if own is None or own.startswith("_:"):
            name = minted if len(nodes) == 1 else f"{minted}-{number + 1}"
            names[own or ""] = name
            node["@id"] = name
    if any(names):
        _rename(nodes, names)
    try:
        quads = quads_of_expanded(nodes)
    except IntegrityError as error:
        raise SourceError(_plain(str(error))) from error
    if not quads:
        raise SourceError("it says nothing: there is no property in it")
    if any(graph for _, _, _, graph in quads):
        raise SourceError("it has named graphs; an asset is one graph: write @included, or publish them apart")
    subjects = dict.fromkeys(required_iri(str(node["@id"])) for node in nodes)
    return Item(tuple(subjects), place, key, tuple((s, p, o) for s, p, o, _ in quads))


def _values(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """All value objects, with the property whose value they are."""
    pending: list[tuple[str, Any]] = [("", node) for node in nodes]
    while pending:
        predicate, found = pending.pop()
        if isinstance(found, list):
            pending += [(predicate, part) for part in found]
        elif isinstance(found, dict):
            if "@value" in found:
                yield predicate, found
            else:
                pending += [(predicate if name.startswith("@") else name, part) for name, part in found.items()]


def _rename(nodes: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Give nodes with blank names that are items the names that were made for them, wherever they are mentioned."""
    pending: list[Any] = list(nodes)
    while pending:
        found = pending.pop()
        if isinstance(found, list):
            pending += found
        elif isinstance(found, dict) and "@value" not in found:
            if found.get("@id") in names:
                found["@id"] = names[found["@id"]]
            pending += found.values()


_SIGNED: Final = ", so no signature can cover it"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"


def _plain(told: str) -> str:
    """What is said of signed documents, without what only concerns those."""
    told = told.replace(_SIGNED, ": it would be left out").replace(", which RDF as it is signed here cannot hold", "")
    return told.replace("(@base)", "(--base)").replace(NO_BASE, "")


def _short(datatype: str) -> str:
    return datatype.replace(_XSD, "xsd:")
