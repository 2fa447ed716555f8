"""What can be asked of a worker, what comes back, and who runs it.

| job     | does                                                        | result                                      |
|---------|-------------------------------------------------------------|---------------------------------------------|
| `Query` | answers from the pages of a root                            | results in the format that was asked for    |
| `Plain` | the same from a view of that root: no pages are read        | results in the format that was asked for    |
| `Prove` | answers and keeps the pages it read                         | a CAR, compressed with zstd if wanted       |
| `Check` | verifies a CAR (`dkg.proof.verify`)                         | results in the format that was asked for    |
| `Parse` | reads a document                                            | its quads: sorted N-Quads in normal form    |

`Query` and `Prove` may ask a checkpoint and the datasets beside it as one (`dkg.checkpoints.answer`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.limits import DEFAULT_BUDGET, QUERY_BYTES_MAX, Budget

if TYPE_CHECKING:
    from dkg.checkpoints.answer import Parts
    from node.workers.settings import Settings

from dkg.errors import LimitError


class Scope(Enum):
    """A set of graphs that cannot be listed."""

    EVERY_GRAPH = "every graph"
    """Whatever graphs there are."""


EVERY_GRAPH: Final = Scope.EVERY_GRAPH

Graphs = Scope | frozenset[bytes]
"""Which graphs may be seen, as terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What every question has.

    `table`: the format of results of SELECT and ASK, `graph`: of CONSTRUCT and DESCRIBE; None where none is taken.
    """

    root: bytes
    text: str
    dataset: Dataset = ALL_GRAPHS
    now: str | None = None
    base_iri: str | None = None
    budget: Budget = DEFAULT_BUDGET
    table: str | None = "json"
    graph: str | None = "ttl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(_Asked):
    """Answer a query over the dataset `root`; arguments as for `dkg.query`.

    `parts`: what is asked in place of one dataset; `root` is the checkpoint's.
    """

    parts: Parts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prove(_Asked):
    """Answer a query and prove the answer; the formats play no part.

    `overlay`: as for `Plain`. `parts`: as for `Query`; `origins`: as for `dkg.checkpoints.answer.prove_joint`.
    """

    compressed: bool = False
    overlay: bytes = b""
    parts: Parts | None = None
    origins: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(_Asked):
    """Verify a proof against the root; `car` as it came: a CAR, or one zstd frame around it."""

    car: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(_Asked):
    """Answer a query from a view of the dataset `root`: an Oxigraph directory that nobody writes to.

    `allowed`: the graphs that whoever asks may see, whatever the query and `dataset` say; it is for the caller to say
    that it is every graph. The view holds each quad in its graph and, once, in the default graph. Without a view, and
    for what it cannot answer rightly, the pages are read. `overlay`: a CAR under `root` of pages that are in no store,
    because they are private. A worker that was given such is replaced.
    """

    allowed: Graphs
    view: str | None
    overlay: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parse:
    """Read a document. `graph`: the IRI of the graph of triples that are in none; other arguments as for `dkg.load`.

    `private`: a worker that read it is replaced.
    """

    data: bytes
    format: str
    graph: str
    base_iri: str | None = None
    private: bool = False


Job = Query | Plain | Prove | Check | Parse


@dataclass(frozen=True, slots=True)
class Facts:
    """What a job was like."""

    form: str
    """SELECT, ASK, CONSTRUCT or DESCRIBE; for `Parse` the format."""
    format: str
    """The format of the body: one of the job's, `car`, `car.zst` or `nq`."""
    rows: int | None
    """Rows, distinct triples or quads; None where nobody counted: SELECT from a view."""
    pages: int | None
    """Pages that were read; None where none were: a view, a document."""
    seconds: float
    """How long the worker took."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a job gave."""

    body: bytes
    facts: Facts


class Runner(Protocol):
    """Runs jobs for clients: `Workers` in a node, `InProcess` in a simulation or on a device for one user.

    Both raise what evaluation raises (`InputError`, `ProofError`, `StoreError` and their kinds, with their sentences)
    and `WorkerError` (`node.workers.errors`).
    """

    isolated: bool
    """Whether jobs run in processes of their own, so that none can harm the node."""

    async def run(self, job: Job, *, client: str) -> Result:
        """Run one job. `client`: whose it is; fairness and quotas go by it."""

    def run_sync(self, job: Job, *, client: str) -> Result:
        """The same, waiting: not for the thread of the event loop."""


def payload_of(job: Job) -> bytes:
    """The document, the proof or the private pages of a job."""
    match job:
        case Parse():
            return job.data
        case Check():
            return job.car
        case Plain() | Prove():
            return job.overlay
    return b""


def is_private(job: Job) -> bool:
    """Whether a job holds what only some may see, so that nothing of it may stay in a worker."""
    match job:
        case Parse():
            return job.private
        case Plain() | Prove():
            return bool(job.overlay)
    return False


def check_size(job: Job, settings: Settings) -> None:
    """Refuse a job that is larger than any can be, before anybody works for it. Raises `LimitError`."""
    payload = len(payload_of(job))
    if payload > settings.input_bytes:
        what = "document" if isinstance(job, Parse) else "proof" if isinstance(job, Check) else "private part"
        raise LimitError(f"the {what} has {payload} bytes, over the limit of {settings.input_bytes} bytes")
    if not isinstance(job, Parse):
        size = len(job.text.encode("utf-8", "surrogatepass"))
        if size > QUERY_BYTES_MAX:
            raise LimitError(f"the query has {size} bytes, over the limit of {QUERY_BYTES_MAX} bytes")
