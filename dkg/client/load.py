"""`load_files`: RDF files into a store, all of them or nothing.

The whole load is one transaction of the store: an error in the last file, a full disk, a kill at any point leave
the store as it was.
"""

from __future__ import annotations

import gc
import gzip
import time
import zlib
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, cast

from dkg.client.parallel import TreeBuilder
from dkg.client.parsing import LineWorkers
from dkg.client.spill import FileSpill
from dkg.dataset import REBUILD_FROM, build_dataset, update_dataset, update_pays
from dkg.errors import DkgError, InputError, RdfError
from dkg.pages import StoredPages
from dkg.rdf import parse_quads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dkg.client.store import SqliteStore
    from dkg.dataset import Progress
    from dkg.terms import Quad

DEFAULT_GRAPH: Final = "urn:dkg:default"
"""The graph of triples that are loaded without one."""

FORMATS: Final = {
    ".nt": "nt",
    ".ntriples": "nt",
    ".nq": "nq",
    ".nquads": "nq",
    ".ttl": "ttl",
    ".turtle": "ttl",
    ".trig": "trig",
    ".n3": "n3",
    ".rdf": "xml",
    ".xml": "xml",
    ".owl": "xml",
    ".jsonld": "jsonld",
    ".json": "jsonld",
}
"""Formats by the ending of a file's name; `.gz` may follow it."""


class LoadReport(NamedTuple):
    """What a load did."""

    root: bytes
    added: int
    """Quads that were not there before."""
    total: int
    """Quads in the dataset now."""
    seconds: float


def format_of(path: Path) -> str:
    """The RDF format that a file's name tells. Raises `InputError` when it tells none."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    found = FORMATS.get(name.suffix.lower())
    if found is None:
        raise InputError(
            f"the name of {path} does not tell its format: say it, or use an ending of {', '.join(FORMATS)}"
        )
    return found


def load_files(
    paths: Sequence[Path | str],
    store: SqliteStore,
    graph: str = DEFAULT_GRAPH,
    *,
    rdf_format: str | None = None,
    base_iri: str | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> LoadReport:
    """Add the quads of some files to the store's current dataset, and make the result the current one.

    `graph`: the graph of triples that have none. `rdf_format`: of all files; without it, what their names tell.
    Raises `InputError` for a file that cannot be read, `RdfError` and `LimitError` for what is in it, `StoreError`;
    nothing is changed then.
    """
    start = time.monotonic()
    files = [Path(path) for path in paths]
    formats = [rdf_format or format_of(path) for path in files]
    for path in files:
        _require_file(path)
    batches = chain.from_iterable(
        _quads_of(path, form, graph, base_iri) for path, form in zip(files, formats, strict=True)
    )
    with _without_collector(), store.writing():
        old = store.head()
        pages = StoredPages(store)
        before = pages.root(old).count if old else 0
        root = _loaded(batches, store, pages, old, progress)
        if root != old:
            store.set_head(root)
        total = pages.root(root).count
    return LoadReport(root, total - before, total, time.monotonic() - start)


def _loaded(
    batches: Iterator[list[Quad]],
    store: SqliteStore,
    pages: StoredPages,
    old: bytes | None,
    progress: Callable[[Progress], None] | None,
) -> bytes:
    """The root of the dataset `old` with the quads of `batches`."""
    onto = None
    if old is not None:
        count = pages.root(old).count
        few: list[list[Quad]] = []
        taken = 0
        for batch in batches:
            few.append(batch)
            taken += len(batch)
            if not update_pays(count, taken) and taken > REBUILD_FROM:
                break
        else:
            if update_pays(count, taken):
                return update_dataset(pages, old, chain.from_iterable(few), (), store)
        batches = chain(few, batches)
        onto = pages, old
    run = TreeBuilder(store)
    with FileSpill(store.directory) as spill:
        return build_dataset(batches, store, onto=onto, normal=True, spill=spill, run=run, progress=progress)


@contextmanager
def _without_collector() -> Iterator[None]:
    """No garbage collection: a load makes many objects and no cycles, and collections would visit them all."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a directory; name the files in it that are to be loaded")
    try:
        if S_ISREG(path.stat().st_mode):  # whoever writes to a pipe stops when it is closed, so that is opened once
            _open(path).close()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def _quads_of(path: Path, rdf_format: str, graph: str, base_iri: str | None) -> Iterator[list[Quad]]:
    """The quads of one file; every error names it."""
    try:
        with _open(path) as file:
            name = f"<{graph}>".encode()
            yield from parse_quads(file, format=rdf_format, base_iri=base_iri, graph=name, run=LineWorkers())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RdfError(f"{path} does not decompress: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except DkgError as error:
        raise type(error)(f"{path}: {error}") from error
