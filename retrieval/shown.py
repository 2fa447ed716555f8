"""What retrieval found, as programs see it: one shape for the command line, HTTP, MCP and the other plugs.

Terms are N-Triples text. Times are seconds since 1970. The docstrings are the descriptions of the JSON schemas.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from dkg.page import cid_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.model import Absent, Context, Dropped, Fact, Origin, Snapshot

DROPPED_MAX: Final = 100
"""Most of what was left out that is shown one by one; `Found.dropped_count` has all."""

ORIGINS_MAX: Final = 16
"""Most places of a fact that are shown."""

_CONFIG: Final[dict[str, Any]] = {"use_attribute_docstrings": True}


@dataclass(frozen=True, slots=True)
class ShownOrigin:
    """Who says a fact, and where it was read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    publisher: str
    """did:pkh of the publisher whose signature was checked, or `local`."""
    graph: str
    """IRI of the graph: the UAL of an asset, where the publisher publishes assets."""
    root: str
    """CID of the dataset."""
    claim: str
    """`local`: nobody signed it. `L0`: signed. `L1`: signed, and all that the publisher says as of the block."""
    state: str | None
    """`final` or `pending`; null for data that no chain knows."""
    sequence: int | None
    """Number of the publisher's commit."""
    block: int | None
    """The block as of which the root is the publisher's latest."""
    time: int | None
    """When that block was made."""
    committed: int | None
    """When the commit was anchored, by the chain's clock."""


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact that was read from checked pages."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    n: int
    """Its number, as citations have it, from 1."""
    subject: str
    predicate: str
    object: str
    text: str
    """The same as a sentence, cleaned for prompts."""
    publishers: list[str]
    """Who says it, each once."""
    origins: list[ShownOrigin]
    score: float
    """How well it fits the question; comparable within one answer only."""
    why: list[str]
    """How it was found."""
    note: str | None
    """What one must know beside it, such as that another publisher says otherwise."""


@dataclass(frozen=True, slots=True)
class ShownAbsent:
    """Something that was looked for and is not in the context."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    kind: str
    """`absent`: provably not there. `cut`: left out by budget or policy. `not_asked`: nothing is known of it."""
    subject: str | None
    predicate: str | None
    object: str | None
    publishers: list[str]
    """Whose datasets were looked through."""
    block: int | None
    """The oldest block of them."""


@dataclass(frozen=True, slots=True)
class ShownDropped:
    """What was left out, and why."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    reason: str
    """Such as `conflict`, `publisher`, `unverified`: docs/retrieval.md lists them."""
    detail: str
    publishers: list[str]


@dataclass(frozen=True, slots=True)
class ShownDataset:
    """A dataset that was read."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    publisher: str
    root: str
    claim: str
    state: str | None
    block: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for a question: verified, with what is provably not there and what was left out."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    question: str
    facts: list[ShownFact]
    absent: list[ShownAbsent]
    dropped: list[ShownDropped]
    dropped_count: int
    """How much was left out; `dropped` has the first of it."""
    notes: list[str]
    """Sentences for whoever asked: no entity was found, the index is behind."""
    rows: list[list[str]]
    """The answer set of a question for a list or a number; else empty."""
    lines: list[str]
    """The same in sentences, cleaned for prompts."""
    query: str | None
    """The verified SPARQL query that gave `rows`."""
    datasets: list[ShownDataset]
    proof: str
    """Name of the proofs of all this (`get_proof`, `/v1/proofs/{id}`)."""


@dataclass(frozen=True, slots=True)
class ShownProof:
    """A query whose proof shows part of what was found: `dkg verify PROOF.car --root ROOT QUERY`."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    number: int
    publisher: str
    root: str
    """CID of the dataset: trust it if the chain says that it is the publisher's."""
    claim: str
    block: int | None
    query: str
    facts: list[int]
    """Numbers of the facts that its rows are."""
    absent: list[int]
    """Numbers of the absences that it shows, from 1."""


@dataclass(frozen=True, slots=True)
class ShownCitation:
    """Words of an answer, and the fact that says them."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    start: int
    """Where the words begin, in characters."""
    end: int
    text: str
    fact: int | None
    """Number of the fact; null for an answer of the verified query."""
    role: str
    """Which part of the fact the words are: `object`, `subject` or `row`."""
    url: str
    """IRI of the graph that says it: the UAL of an asset."""
    title: str
    """The fact as a sentence."""
    publishers: list[str]
    block: int | None
    root: str
    path: list[int]
    """Numbers of the other facts that lead to it."""
    query: str | None
    """The verified query, where the words are of its answer."""
    proofs: list[int]
    """Numbers of the proofs that show it, from 1; none for a query over several datasets."""


@dataclass(frozen=True, slots=True)
class ShownAnswer(Found):
    """An answer that a language model wrote from verified facts. The facts are proved; the answer is the model's."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _CONFIG
    answer: str
    supported: bool
    """Whether words of the answer are those of a verified fact. It does not say that the answer is right."""
    by: str
    """`model`; `absence`: what was asked for is provably not there; `nothing`: nothing was found."""
    citations: list[ShownCitation]
    """Put in by this program and not by the model."""
    absences: list[str]
    """What is not there, in sentences."""
    proofs: list[ShownProof]
    model: str
    tokens: int
    """Tokens of the facts, as they stand in the prompt."""
    prompt_tokens: int
    answer_tokens: int | None


def shown(context: Context, texts: Sequence[str], proof: str) -> Found:
    """A context. `texts`: a sentence for each fact; `proof`: the name of its proofs."""
    return Found(
        question=context.question,
        facts=[fact_shown(n, fact, text) for n, (fact, text) in enumerate(zip(context.facts, texts, strict=True), 1)],
        absent=[absent_shown(one) for one in context.absent],
        dropped=[dropped_shown(one) for one in context.dropped[:DROPPED_MAX]],
        dropped_count=len(context.dropped),
        notes=list(context.notes),
        rows=[list(row) for row in context.rows],
        lines=list(context.lines),
        query=context.query,
        datasets=[dataset_shown(one) for one in context.snapshots],
        proof=proof,
    )


def fact_shown(n: int, fact: Fact, text: str) -> ShownFact:
    """A fact."""
    subject, predicate, object_ = (term.decode() for term in fact.statement)
    return ShownFact(
        n=n,
        subject=subject,
        predicate=predicate,
        object=object_,
        text=text,
        publishers=list(fact.publishers),
        origins=[origin_shown(one) for one in fact.origins[:ORIGINS_MAX]],
        score=round(fact.score, 6),
        why=[f"{one.how} {one.what}".strip() for one in fact.why],
        note=fact.note,
    )


def origin_shown(origin: Origin) -> ShownOrigin:
    """An origin."""
    return ShownOrigin(
        publisher=origin.publisher,
        graph=origin.graph_iri,
        root=cid_text(origin.root),
        claim=str(origin.claim),
        state=origin.state,
        sequence=origin.sequence,
        block=origin.block,
        time=origin.time,
        committed=origin.committed,
    )


def absent_shown(absent: Absent) -> ShownAbsent:
    """Something that is not there."""
    subject, predicate, object_ = (
        None if term is None else term.decode() for term in (absent.subject, absent.predicate, absent.object)
    )
    return ShownAbsent(str(absent.kind), subject, predicate, object_, list(absent.publishers), absent.block)


def dropped_shown(dropped: Dropped) -> ShownDropped:
    """What was left out; its terms are not shown, as they may be why."""
    return ShownDropped(str(dropped.reason), dropped.detail, list(dropped.publishers))


def dataset_shown(snapshot: Snapshot) -> ShownDataset:
    """A dataset."""
    return ShownDataset(
        snapshot.publisher, cid_text(snapshot.root), str(snapshot.claim), snapshot.state, snapshot.block
    )


def as_json(value: object) -> Any:  # noqa: ANN401 - JSON
    """One of the above as JSON."""
    return asdict(value)  # type: ignore[call-overload]  # dataclasses only
