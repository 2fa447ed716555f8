"""Answering from a view: an Oxigraph directory that holds one root's quads and that nobody writes to.

The engine takes a default graph of several graphs for a bag, so that a triple in two of them counts twice, and ours is
a set (docs/adr/0005). So a view has each quad once in the default graph besides, and what asks for a default graph of
several graphs goes to the pages.

Which graphs a query sees is settled here, before the engine has a word: what the request or the query names, and of
that what is allowed. Where not every graph is allowed, the engine gets both lists, always: with one alone it shows all
graphs through the other door (RELIABILITY 1.6).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyoxigraph

from dkg.answer import GRAPH_FORMATS, TABLE_FORMATS
from dkg.errors import BudgetError, InputError, QueryError, StoreError
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.page import cid_text
from dkg.sparql._syntax_text import plain
from dkg.sparql.scanner import scan_query
from dkg.sparql.syntax import PARSED_KEPT, parse
from dkg.terms import to_oxigraph
from node.viewfiles import ENGINE_ERRORS, require_whole
from node.workers.errors import ResultTooLargeError, UnacceptableError
from node.workers.jobs import EVERY_GRAPH

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

    from dkg.answer import Raw
    from dkg.sparql.scanner import Scanned
    from node.workers.jobs import Graphs, Plain

    Names = tuple[bytes, ...] | None
    """Names of graphs; None for all graphs."""

TABULAR = frozenset({"SELECT", "ASK"})
"""Forms whose results are tables."""


@dataclass(frozen=True, slots=True)
class Viewed:
    """An answer from a view."""

    body: bytes
    form: str
    format: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class Unread:
    """A view that the engine cannot read, or a query that it cannot evaluate: it raises the same for both.

    The pages tell which it is. `dataset`: the graphs that the query sees.
    """

    dataset: Dataset
    why: str


class _Asked(NamedTuple):
    """A query as the engine gets it."""

    text: str
    form: str
    default: list[Any] | None
    """None: the engine's own default graph."""
    named: list[Any] | None
    format: str


@dataclass(frozen=True, slots=True)
class _View:
    store: pyoxigraph.Store
    whole: bool
    """Whether the default graph holds what the others hold."""


class Views:
    """The views that were used last, open."""

    def __init__(self, most: int, result_bytes: int) -> None:
        self._most = most
        self._result_bytes = result_bytes
        self._open: OrderedDict[str, _View] = OrderedDict()

    @property
    def any_open(self) -> bool:
        """Whether any is open."""
        return bool(self._open)

    def close(self) -> None:
        """Close all of them."""
        self._open.clear()

    def answer(self, job: Plain) -> Viewed | Dataset | Unread:
        """The answer, or which graphs the query sees if the pages have to answer it."""
        scanned = _scanned(job.text, job.now)
        text, seen = scanned.text, Dataset()
        if scanned.ordered or scanned.default_graphs or scanned.named_graphs:
            query = parse(job.text, now=job.now, base_iri=job.base_iri)
            text, seen = query.text, Dataset(query.default_graphs, query.named_graphs)
        default, named = _seen(job, seen)
        format_ = format_for(scanned.form, job.table, job.graph)
        dataset = Dataset(default, named)
        try:
            view = None if job.view is None else self._view(job.view)
            if view is None or (not view.whole if default is None else len(default) > 1):
                return dataset
            graphs = None if named is None else _terms(named)
            if graphs is None and (scanned.default_graphs or scanned.named_graphs):
                graphs = list(view.store.named_graphs())  # else its FROM would count, which something overrides
            terms = None if default is None else _terms(default)
            return self._viewed(view, job, _Asked(text, scanned.form, terms, graphs, format_))
        except StoreError as error:
            return Unread(dataset, f"the view of {cid_text(job.root)} cannot be read: {error}")

    def _viewed(self, view: _View, job: Plain, asked: _Asked) -> Viewed:
        """The answer from a view. Raises `StoreError` when the engine cannot read it, or cannot evaluate the query."""

        def ask() -> Raw:
            return view.store.query(
                asked.text,
                base_iri=job.base_iri,
                default_graph=pyoxigraph.DefaultGraph() if asked.default is None else asked.default,
                named_graphs=asked.named,
            )

        body, rows = _told(ask, lambda raw: _serialized(raw, asked.format, self._result_bytes, job.budget.rows))
        return Viewed(body, asked.form, asked.format, rows)

    def _view(self, path: str) -> _View | None:
        """An open view; None if it is there no more. Raises `StoreError` for one that is damaged."""
        view = self._open.pop(path, None)
        if view is None:
            if not Path(path).exists():
                return None
            require_whole(Path(path))
            try:
                store = pyoxigraph.Store.read_only(path)
                whole = _any(store, pyoxigraph.DefaultGraph()) or not _any(store, None)
            except ENGINE_ERRORS as error:
                raise StoreError(str(error)) from error
            view = _View(store, whole)
        self._open[path] = view
        while len(self._open) > self._most:
            self._open.popitem(last=False)
        return view


@lru_cache(maxsize=PARSED_KEPT)
def _scanned(text: str, now: str | None) -> Scanned:
    return scan_query(plain(text).text, now)


def _any(store: pyoxigraph.Store, graph: pyoxigraph.DefaultGraph | None) -> bool:
    return next(iter(store.quads_for_pattern(None, None, None, graph)), None) is not None


def _seen(job: Plain, named_by_query: Dataset) -> tuple[Names, Names]:
    """The graphs that a query sees, default and named; None for all, which is only where every graph is allowed."""
    asked = job.dataset if job.dataset != ALL_GRAPHS else named_by_query
    return _within(asked.default_graphs, job.allowed), _within(asked.named_graphs, job.allowed)


def _within(graphs: Names, allowed: Graphs) -> Names:
    if allowed is EVERY_GRAPH:
        return None if graphs is None else tuple(dict.fromkeys(graphs))
    return tuple(sorted(allowed)) if graphs is None else tuple(g for g in dict.fromkeys(graphs) if g in allowed)


def _terms(graphs: tuple[bytes, ...]) -> list[Any]:
    return [to_oxigraph(graph) for graph in graphs]


def format_for(form: str, table: str | None, graph: str | None) -> str:
    """The format of the results of a form of query. Raises `UnacceptableError` and `InputError`."""
    wanted, formats = (table, TABLE_FORMATS) if form in TABULAR else (graph, GRAPH_FORMATS)
    if wanted is None:
        raise UnacceptableError(f"{form} has results in {', '.join(formats)}, and the request accepts none of them")
    if wanted not in formats:
        raise InputError(f"{form} has no results in format {wanted!r}; choose one of {', '.join(formats)}")
    return wanted


def _told(ask: Callable[[], Raw], then: Callable[[Raw], tuple[bytes, int | None]]) -> tuple[bytes, int | None]:
    """What the engine raises, in our words."""
    try:
        return then(ask())
    except (SyntaxError, ValueError) as error:
        raise QueryError(f"the query does not parse: {error}") from error
    except (RuntimeError, OSError) as error:
        raise StoreError(str(error)) from error


def _serialized(raw: Raw, name: str, bytes_max: int, rows_max: int) -> tuple[bytes, int | None]:
    if isinstance(raw, pyoxigraph.QueryBoolean):
        if name in {"csv", "tsv"}:
            return b"true\n" if raw else b"false\n", 1
        return raw.serialize(format=TABLE_FORMATS[name]) or b"", 1
    out = Bounded(bytes_max)
    if isinstance(raw, pyoxigraph.QueryTriples):
        triples = list(dict.fromkeys(islice(raw, rows_max + 1)))
        if len(triples) > rows_max:
            raise BudgetError(f"the query has more than the {rows_max} triples that its budget allows; add a LIMIT")
        pyoxigraph.serialize(triples, out, format=GRAPH_FORMATS[name])
        return out.getvalue(), len(triples)
    raw.serialize(out, format=TABLE_FORMATS[name])
    return out.getvalue(), None


class Bounded(BytesIO):
    """A file in memory that refuses to grow over a limit, which ends whoever writes to it early."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self._most = bytes_max

    def write(self, data: ReadableBuffer) -> int:
        """Keep some bytes. Raises `ResultTooLargeError`."""
        written = super().write(data)
        if self.tell() > self._most:
            raise too_large(self._most)
        return written


def too_large(bytes_max: int) -> ResultTooLargeError:
    """The error for a result over its limit."""
    return ResultTooLargeError(
        f"the result has more than the {bytes_max} bytes that are allowed; add a LIMIT, or ask for fewer variables"
    )
