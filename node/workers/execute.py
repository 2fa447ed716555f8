"""Doing a job: the same code in a worker process and in `node.workers.inprocess`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from dkg.api import load
from dkg.canon import nquad
from dkg.car import read_car
from dkg.checkpoints.answer import evaluate_joint, prove_joint
from dkg.client.files import ZSTD_MAGIC, compress, decompress, proof_file_bytes_max
from dkg.errors import StoreError
from dkg.evaluate import evaluate
from dkg.page import decode
from dkg.pages import Pages, RecordedPages, StoredPages
from dkg.proof import prove, root_bytes, verify
from node.workers.errors import ViewFailedError
from node.workers.jobs import Check, Facts, Parse, Plain, Prove, Query, Result
from node.workers.views import Unread, Viewed, Views, format_for, too_large

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from dkg.answer import Results
    from dkg.checkpoints.answer import JointProof
    from dkg.page import Page
    from dkg.pages import PageStore
    from dkg.proof import Proof
    from node.workers.jobs import Job
    from node.workers.settings import Settings

    OpenStore = Callable[[], AbstractContextManager[PageStore]]
    """Gives the store of pages, to be left when it is no longer needed."""

    Done = tuple[bytes, str, str, int | None, int | None]
    """Body, form, format, rows, pages."""


OVERLAY_PAGES_MAX: Final = 1_000_000
"""Most pages that come with a job; how many bytes they may have, the limit of a job's document says."""


class Executor:
    """Does jobs, one at a time, and keeps pages and views between them.

    Stores and views are opened at the first job that needs them. When one fails, all are opened anew for one more try:
    a reader may have held on to what a writer has tidied away.
    """

    def __init__(self, open_store: OpenStore, settings: Settings) -> None:
        self._open_store = open_store
        self._settings = settings
        self._stored: StoredPages | None = None
        self._opened = ExitStack()
        self._views = Views(settings.views, settings.result_bytes)

    def run(self, job: Job) -> Result:
        """The result of a job. Raises what evaluation raises, `UnacceptableError` and `ResultTooLargeError`."""
        start = time.perf_counter()
        had_opened = self._stored is not None or self._views.any_open
        try:
            done = self._done(job)
        except StoreError:
            if not had_opened:
                raise
            self._reopen()
            done = self._done(job)
        body, form, format_, rows, pages = done
        if len(body) > self._settings.result_bytes:
            raise too_large(self._settings.result_bytes)
        return Result(body, Facts(form, format_, rows, pages, time.perf_counter() - start))

    def close(self) -> None:
        """Let go of the store and of the views; the next job opens them again."""
        self._views.close()
        self._stored = None
        self._opened.close()

    def _pages(self) -> Pages:
        if self._stored is None:
            store = self._opened.enter_context(self._open_store())
            self._stored = StoredPages(store, self._settings.cache_pages)
        return self._stored

    def _reopen(self) -> None:
        """Open the store anew. Pages that were read stay: they are what their names say."""
        self._views.close()
        self._opened.close()
        if self._stored is not None:
            self._stored.store = self._opened.enter_context(self._open_store())

    def _done(self, job: Job) -> Done:
        match job:
            case Query():
                return self._query(job)
            case Plain():
                return self._plain(job)
            case Prove():
                return self._prove(job)
            case Check():
                return _check(job)
            case Parse():
                return _parse(job, self._settings.result_bytes)

    def _with(self, overlay: bytes, root: bytes) -> Pages:
        """The pages of the store, and before them those of a CAR that came with the job."""
        return Overlaid(read_car(overlay, root, OVERLAY_PAGES_MAX), self._pages) if overlay else self._pages()

    def _query(self, job: Query, overlay: bytes = b"") -> Done:
        budget = job.budget
        pages = RecordedPages(self._with(overlay, job.root), budget.pages, budget.proof_bytes)
        asked = _asked(job)
        if job.parts is not None:
            answer = evaluate_joint(pages, job.parts, job.text, **asked)
        else:
            answer = evaluate(pages, root_bytes(job.root), job.text, **asked)
        return *_results(answer, job), len(answer), len(pages.read)

    def _plain(self, job: Plain) -> Done:
        found = self._views.answer(job)
        if isinstance(found, Viewed):
            return found.body, found.form, found.format, found.rows, None
        failure, dataset = (found.why, found.dataset) if isinstance(found, Unread) else ("", found)
        done = self._query(
            Query(
                root=job.root,
                text=job.text,
                dataset=dataset,
                now=job.now,
                base_iri=job.base_iri,
                budget=job.budget,
                table=job.table,
                graph=job.graph,
            ),
            job.overlay,
        )
        if failure:  # of the view, for a query that the pages can answer
            raise ViewFailedError(failure)
        return done

    def _prove(self, job: Prove) -> Done:
        pages = self._with(job.overlay, job.root)
        asked = _asked(job)
        proof: Proof | JointProof
        if job.parts is not None:
            proof = prove_joint(pages, job.parts, job.text, origins=job.origins, **asked)
        else:
            proof = prove(pages, job.root, job.text, **asked)
        form, rows = proof.answer.form.value, len(proof.answer)
        if job.compressed:
            return compress(proof.car), form, "car.zst", rows, proof.pages
        return proof.car, form, "car", rows, proof.pages


class Overlaid(Pages):
    """Pages of a CAR, which nobody keeps, and behind them those of a store, which is opened if it is needed."""

    def __init__(self, blocks: dict[bytes, bytes], store: Callable[[], Pages]) -> None:
        self._blocks = blocks
        self._store = store
        self._read: dict[bytes, Page] = {}

    def page(self, cid: bytes) -> Page:
        """See `Pages.page`."""
        page = self._read.get(cid)
        if page is None:
            raw = self._blocks.get(cid)
            if raw is None:
                return self._store().page(cid)
            page = self._read[cid] = decode(cid, raw)
        return page


def _asked(job: Query | Prove) -> dict[str, Any]:
    """The keyword arguments that all evaluation shares."""
    return {"dataset": job.dataset, "budget": job.budget, "base_iri": job.base_iri, "now": job.now}


def _check(job: Check) -> Done:
    car = job.car
    if car.startswith(ZSTD_MAGIC):
        car = decompress(car, proof_file_bytes_max(job.budget))
    answer = verify(car, job.text, job.root, dataset=job.dataset, limits=job.budget, base_iri=job.base_iri, now=job.now)
    return *_results(answer, job), len(answer), answer.pages


def _results(answer: Results, job: Query | Check) -> tuple[bytes, str, str]:
    form = answer.form.value
    format_ = format_for(form, job.table, job.graph)
    return answer.serialize(format_), form, format_


def _parse(job: Parse, bytes_max: int) -> Done:
    lines: set[bytes] = set()
    size = 0
    for batch in load(job.data, format=job.format, graph=job.graph, base_iri=job.base_iri):
        fresh = set(map(nquad, batch)) - lines
        lines.update(fresh)
        size += sum(map(len, fresh))
        if size > bytes_max:
            raise too_large(bytes_max)
    return b"".join(sorted(lines)), job.format, "nq", len(lines), None
