"""What `dkg publish` and `dkg retract` ask for, from files and options to an edit that can be applied.

A request has an identifier: a digest of the asset, its content and what is said about it, and not of the time. The
same command gives the same one, so that it can find its own unfinished work; whether anything is left to do, only the
edit knows.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from dkg.chain.ual import Ual
from dkg.client.files import read_input
from dkg.client.load import format_of
from dkg.errors import DkgError, InputError
from dkg.rdf import parse_quads
from node.assets.edits import Details, commit_private, content, put, retract
from node.assets.errors import AssetError
from node.imports.options import import_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dkg.chain.ual import Publisher
    from dkg.terms import Quad
    from node.assets.integrity import IntegrityChecked
    from node.assets.items import ItemsRecord
    from node.assets.report import ShapesReport
    from node.change import Edit
    from node.imports.options import ImportOptions
    from node.imports.run import Imports

STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What to publish, and as what.

    None: what was said about the asset before stays. Empty, or an empty name: it is said no more.
    """

    name: str
    """The asset's name, or its UAL."""
    files: tuple[str, ...]
    """Paths of RDF files; `-` is standard input. Together they are the asset's content."""
    format: str | None = None
    """A name of `dkg.rdf.FORMATS`, for all files; by default what their names tell."""
    base: str | None = None
    """What relative IRIs are relative to."""
    title: str | None = None
    authors: tuple[str, ...] | None = None
    """IRIs."""
    licence: str | None = None
    """An IRI."""
    derived_from: tuple[str, ...] | None = None
    """IRIs."""
    supersedes: tuple[str, ...] | None = None
    """Names or UALs of assets of the same publisher."""
    shapes: str | None = None
    """Path of a file of SHACL shapes, in the format that its name tells."""
    credential: bool = False
    """The one file is JSON-LD with a Data Integrity proof, which is checked; its statements are the content."""
    signer: str | None = None
    """The did:key that must have signed it, if that is known."""
    contexts: tuple[tuple[str, str], ...] = ()
    """JSON-LD contexts that it may name besides those that are known here: URLs, and paths of their files."""
    imports: ImportOptions | None = None
    """How files that are no RDF are imported (`node.imports`); None: every file is RDF."""
    private: str | None = None
    """The commitment to its private part (`dkg.private`); with one, there may be no file, and the content stays."""


@dataclass(frozen=True, slots=True)
class Request:
    """A change that somebody asked for. `id`: 32 bytes, see above. `label`: what to call it."""

    id: bytes
    label: str
    edit: Edit
    ual: Ual
    quads: int = 0
    """Quads of the content."""
    report: ShapesReport | None = None
    """What the shapes found, if there were any: warnings at most, or the request would have been refused."""
    signed: IntegrityChecked | None = None
    """Whose signature was checked."""
    left_out: tuple[str, ...] = ()
    """What imports left out, in sentences."""

    @property
    def warnings(self) -> list[str]:
        """What the publisher should know before it is published."""
        if self.report is None:
            return [*self.left_out]
        nothing = [] if self.report.nodes else ["the shapes have no target in this asset: nothing was checked"]
        return [*self.left_out, *nothing, *(f"{found.severity.lower()}: {found}" for found in self.report.others)]


def publish_request(publisher: Publisher, options: PublishOptions, now: int) -> Request:
    """Read the files, check them, and make the request. `now`: Unix seconds.

    Raises `InputError` for what cannot be read or published, `ShapesViolated` with the report of the shapes,
    `IntegrityError` for a proof that does not hold, `LimitError`. Errors in RDF files name the file.
    """
    ual = asset_of(options.name, publisher)
    older = _without_empty(options.supersedes)
    details = Details(
        options.title,
        _without_empty(options.authors),
        options.licence,
        _without_empty(options.derived_from),
        None if older is None else tuple(asset_of(name, publisher) for name in older),
    )
    if options.format is not None and options.imports is not None and options.imports.kind is not None:
        raise AssetError("a file is RDF of a format, or imported from something else: not both")
    if options.private is not None and not options.files:
        return _only_private(ual, options.private, now)
    checked = _credential(options, now) if options.credential else None
    if not options.credential and options.signer:
        raise AssetError("a signer is for a document with a Data Integrity proof, and none is given as one")
    imports = _Imported(ual, options)
    quads = content(_signed(checked, ual) if checked else _files(options, ual, imports), ual)
    items = imports.record()
    if items is None:
        _check_needed(options)
    report = _checked(quads, options.shapes) if options.shapes else None
    signed = checked.recorded(now) if checked else None
    said = {**details.given(), **({"signed": [signed.method, signed.proof_value, signed.source]} if signed else {})}
    if options.private is not None:
        said["private"] = options.private
    if items is not None:
        said["items"] = _digest("items", ual, {}, items.quads).hex()
    return Request(
        _digest("publish", ual, said, quads),
        f"publish {ual.name} ({len(quads)} quads)",
        put(ual, quads, details, now, signed, options.private, items=items),
        ual,
        len(quads),
        report,
        checked,
        tuple(imports.warnings),
    )


def _check_needed(options: PublishOptions) -> None:
    """Raise `AssetError` for what is said of imports where there is none."""
    if options.contexts and not options.credential:
        raise AssetError(
            "contexts are for imports and for documents with a Data Integrity proof, and none is given as one"
        )
    if options.imports and (options.imports.mapping is not None or options.imports.source is not None):
        raise AssetError("a mapping and a source are for imports, and no file is imported: say with --from what it is")


def _only_private(ual: Ual, commitment: str, now: int) -> Request:
    """The request to let an asset have a private part, and nothing else."""
    digest = _digest("private", ual, {"private": commitment}, ())
    return Request(digest, f"publish the private part of {ual.name}", commit_private(ual, commitment, now), ual)


def retract_request(publisher: Publisher, name: str, now: int, reason: str | None = None) -> Request:
    """The request to take an asset's content back. `name`: its name or UAL. `now`: Unix seconds."""
    ual = asset_of(name, publisher)
    said: dict[str, object] = {} if reason is None else {"reason": reason}
    return Request(_digest("retract", ual, said, ()), f"retract {ual.name}", retract(ual, now, reason), ual)


def asset_of(name: str, publisher: Publisher) -> Ual:
    """The asset of a publisher with a name, which may be given as its UAL. Raises `AssetError`."""
    if not name.startswith("did:"):
        return Ual(publisher, name)
    ual = Ual.parse(name)
    if ual.publisher != publisher:
        raise AssetError(
            f"{name} is not an asset of {publisher.did} in this registry, whose assets {publisher.prefix}*"
        )
    return ual


def _without_empty(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """On a command line, one empty name is how to say that there are none."""
    return None if names is None else tuple(name for name in names if name)


def _digest(what: str, ual: Ual, said: dict[str, object], quads: Iterable[Quad]) -> bytes:
    head = json.dumps([f"dkg {what} 1", str(ual), said], sort_keys=True, separators=(",", ":"))
    digest = sha256(head.encode() + b"\n")
    for quad in sorted(quads):
        digest.update(b"%b %b %b %b .\n" % quad)
    return digest.digest()


# --- files ---------------------------------------------------------------------------------------------------


class _Imported:
    """The imports of a request, which are there from the first file on that needs one."""

    def __init__(self, ual: Ual, options: PublishOptions) -> None:
        self._ual = ual
        self._options = options
        self._imports: Imports | None = None

    def quads(self, name: str) -> Callable[[BinaryIO], Iterator[list[Quad]]] | None:
        """What imports a file; None if it is RDF."""
        options = self._options.imports
        if options is None or self._options.format is not None:
            return None
        kind = import_of(name, options.kind, mapping=options.mapping is not None)
        if kind is None:
            return None
        if self._imports is None:
            from node.assets.strict_json import DOCUMENT_BYTES_MAX  # noqa: PLC0415 - few need it
            from node.imports.run import Imports  # noqa: PLC0415 - as above, and PyLD takes 0.1 s to import

            contexts = {url: _context(path, DOCUMENT_BYTES_MAX) for url, path in self._options.contexts}
            self._imports = Imports(self._ual, options, contexts)
        return partial(self._imports.quads, kind, name)

    def record(self) -> ItemsRecord | None:
        """Where the items are from; None if nothing was imported."""
        return self._imports.record() if self._imports else None

    @property
    def warnings(self) -> list[str]:
        """What was left out."""
        return self._imports.warnings if self._imports else []


def _files(options: PublishOptions, ual: Ual, imports: _Imported) -> Iterator[list[Quad]]:
    if not options.files:
        raise AssetError(f"there is no file to publish as {ual.name!r}")
    for name in options.files:
        with _named(name):
            quads = imports.quads(name)
        if quads is not None:
            with _named(name), _opened(name) as file:
                yield from quads(file)
            continue
        form = options.format or (None if name == STANDARD_INPUT else format_of(Path(name)))
        if form is None:
            raise AssetError("standard input has no name that tells its format: say it")
        with _named(name), _opened(name) as file:
            yield from parse_quads(file, format=form, base_iri=options.base, graph=ual.graph)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Every error about what is in a file names it."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} does not decompress: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    except DkgError as error:
        raise type(error)(f"{name}: {error}") from error


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        if name.lower().endswith(".gz"):
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked)
        else:
            yield file


def _credential(options: PublishOptions, now: int) -> IntegrityChecked:
    from node.assets.integrity import verify  # noqa: PLC0415 - PyLD takes 0.1 s to import, and few need it
    from node.assets.jsonld import bundled_contexts  # noqa: PLC0415 - as above
    from node.assets.strict_json import DOCUMENT_BYTES_MAX  # noqa: PLC0415 - as above

    if len(options.files) != 1:
        raise AssetError(f"a signed document is one file, not {len(options.files)}")
    if options.format or options.base:
        raise AssetError("a signed document is JSON-LD and says itself what its IRIs are: give neither format nor base")
    (name,) = options.files
    own = {url: _context(path, DOCUMENT_BYTES_MAX) for url, path in options.contexts}
    document = read_input(name, DOCUMENT_BYTES_MAX, "signed document")
    with _named(name):
        return verify(document, now, signer=options.signer, contexts={**bundled_contexts(), **own})


def _context(path: str, bytes_max: int) -> bytes:
    data = read_input(path, bytes_max, "context")
    try:
        if "@context" in json.loads(data):
            return data
    except (ValueError, TypeError) as error:
        raise AssetError(f"{path} is no JSON-LD context: {error}") from error
    raise AssetError(f"{path} is no JSON-LD context: it has no member @context")


def _signed(checked: IntegrityChecked, ual: Ual) -> Iterator[list[Quad]]:
    return parse_quads(checked.canonical, format="nq", graph=ual.graph)


def _checked(quads: frozenset[Quad], shapes: str) -> ShapesReport:
    from node.assets.shapes import check_shapes  # noqa: PLC0415 - pySHACL takes 0.3 s to import, and few need it
    from node.assets.shapes_graph import SHAPES_BYTES_MAX  # noqa: PLC0415 - as above

    path = Path(shapes)
    with _named(shapes), _opened(shapes) as file:
        form, data = format_of(path), file.read(SHAPES_BYTES_MAX + 1)
    return check_shapes(quads, data, form, base_iri=path.resolve().as_uri())
