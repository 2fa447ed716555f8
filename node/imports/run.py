"""Files to items to quads: which import a file is for, and what all of them have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError, LimitError
from dkg.rdf import parse_quads
from node.imports.documents import known_contexts
from node.imports.errors import MappingError, SourceError
from node.imports.item import Bounded, quads_of, required_iri
from node.imports.mapping import Mapping
from node.imports.record import Record, trace
from node.imports.tables import TableImport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Mapping as Dict
    from typing import BinaryIO

    from dkg.canon import RawQuad
    from dkg.chain.ual import Ual
    from dkg.terms import Quad
    from node.assets.items import ItemsRecord
    from node.imports.item import Import, Item
    from node.imports.options import ImportOptions

_BATCH_BYTES: Final = 1024 * 1024  # triples that are brought to normal form together


class Imports:
    """The imports of one asset. `contexts`: JSON-LD contexts that may be named besides those that are known, by URL.

    `warnings`: what was left out, in sentences.
    """

    def __init__(self, ual: Ual, options: ImportOptions, contexts: Dict[str, bytes]) -> None:
        self._ual = ual
        self._options = options
        self._mapping = None if options.mapping is None else Mapping.parse(options.mapping)
        self._contexts = known_contexts(contexts)
        self._record = Record(ual)
        if options.source is not None:
            required_iri(options.source)
        self._files = 0
        self.count = 0
        self.warnings: list[str] = []

    def quads(self, kind: str, name: str, stream: BinaryIO) -> Iterator[list[Quad]]:
        """The quads of a file's items, in the graph of the asset. `name`: of the file.

        Raises `SourceError` that says where, `MappingError`, `LimitError`.
        """
        if self._options.source is not None and self._files:
            raise SourceError("a source is that of one file: publish the files one by one, or leave it out")
        self._files += 1
        reader, source, traces = self._reader(kind, name), Bounded(stream), []
        for items in _batches(reader.items(source)):
            yield from _settled(items, self._ual.graph)
            traces += [trace(item) for item in items]
            self.count += len(items)
            if self._options.progress is not None:
                self._options.progress(len(items))
        mapping = self._mapping.digest if self._mapping and kind in {"csv", "json"} else None
        self._record.read(kind, name, source.digest(), self._options.source, mapping)
        self._record.items(source.digest(), traces)
        self.warnings += [f"{name}: {warning}" for warning in reader.warnings]

    def record(self) -> ItemsRecord | None:
        """Where the items are from; None if nothing was imported."""
        return self._record.made() if self.count else None

    def _reader(self, kind: str, name: str) -> Import:
        names = f"{self._ual}/items/"
        base = self._options.base or self._options.source
        if kind in {"csv", "json"}:
            return self._mapped(kind, name, base, names)
        if self._mapping is not None:
            raise MappingError(f"a mapping is for CSV and JSON, not for {kind}")
        if kind == "html":
            from node.imports.webpages import WebPageImport  # noqa: PLC0415 - only what is used is imported

            return WebPageImport(self._contexts, base, names)
        try:
            if kind == "bibtex":
                from node.imports.bibliographies import BibliographyImport  # noqa: PLC0415 - as above

                return BibliographyImport(self._options.base or names, names)
            from node.imports.feeds import FeedImport  # noqa: PLC0415 - as above

            return FeedImport(base, names)
        except ModuleNotFoundError as error:
            raise InputError(f"importing {kind} needs the package {error.name}: pip install 'dkg[imports]'") from error

    def _mapped(self, kind: str, name: str, base: str | None, names: str) -> Import:
        if self._mapping is None:
            raise MappingError(f"what the {kind} means is for a mapping to say: give --mapping FILE")
        if kind == "json":
            from node.imports.objects import ObjectImport  # noqa: PLC0415 - as above

            return ObjectImport(self._mapping, self._contexts, base, names)
        tabs = Path(name.lower().removesuffix(".gz")).suffix == ".tsv"
        return TableImport(self._mapping, self._contexts, base, names, "\t" if tabs else ",")


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        batch.append(item)
        size += sum(len(term) for triple in item.triples for term in triple)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _settled(items: list[Item], graph: bytes) -> Iterator[list[Quad]]:
    """The items' quads in normal form. Blank nodes get their names item by item: none depends on another item."""
    plain = [item for item in items if not _has_blank(item)]
    try:
        yield from _parsed([quad for item in plain for quad in quads_of(item)], graph)
    except InputError as error:
        for item in plain:
            _check_one(item, graph)
        raise SourceError(str(error)) from error  # pragma: no cover - one of the items was the reason
    for item in items:
        if _has_blank(item):
            yield from _check_one(item, graph)


def _check_one(item: Item, graph: bytes) -> list[list[Quad]]:
    try:
        return list(_parsed(quads_of(item), graph))
    except LimitError as error:
        raise LimitError(f"{item.place}: {error}") from error
    except InputError as error:
        raise SourceError(f"{item.place}: {error}") from error


def _parsed(quads: list[RawQuad], graph: bytes) -> Iterator[list[Quad]]:
    lines = b"".join(b"%b %b %b .\n" % quad[:3] for quad in quads)
    yield from parse_quads(lines, format="nt", graph=graph)


def _has_blank(item: Item) -> bool:
    return any(term.startswith(b"_:") for triple in item.triples for term in triple)
