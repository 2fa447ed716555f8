"""The values that the parts of retrieval pass to each other, and which of them are verified.

| value       | verified? | made by                   | what it is                                                  |
|-------------|-----------|---------------------------|-------------------------------------------------------------|
| `Candidate` | no        | an index                  | a triple that may be worth reading: a hint, and no more     |
| `Fact`      | yes       | `retrieval.reading` alone | a triple that was read from checked pages, with who says it |
| `Absent`    | yes       | `retrieval.reading` alone | a triple that was looked for, and is provably not there     |
| `Dropped`   | -         | every step                | what does not go into the context, and why                  |
| `Context`   | yes       | `retrieval.pipeline`      | what a prompt is made of                                    |

A test holds the tree to the third column. Terms are N-Triples in normal form, as bytes (docs/formats.md, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from dkg.pages import Pages

LOCAL = "local"
"""Who says what stands in a store of one's own, which nobody signed."""

ASIDE: Final = (b"#provenance>", b"#items>")
"""How the names of graphs end that are about assets and say nothing of the world (docs/assets.md): who published one,
under which licence, where its items are from. Retrieval leaves them out; SPARQL elsewhere asks and proves them."""


def is_aside(graph: bytes) -> bool:
    """Whether a graph, as a term, is about an asset."""
    return graph.endswith(ASIDE)


class Claim(StrEnum):
    """What is known of a snapshot (DESIGN, section 5)."""

    LOCAL = "local"
    """It is the caller's own data: its pages are checked against its root, and nobody signed that."""
    AUTHENTIC = "L0"
    """The publisher signed it; whether it is the latest is not said."""
    COMPLETE_FOR_PUBLISHER = "L1"
    """And it is all that the publisher says, as of a block."""


class Statement(NamedTuple):
    """A triple."""

    subject: bytes
    predicate: bytes
    object: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One publisher's dataset at one root that the caller has verified: what retrieval reads, and all that it reads.

    Whoever makes one vouches for `root`: it is the caller's own, or a commit whose signature and anchor were checked
    and whose key is not revoked (`retrieval.sources`). The pages need no trust: each is checked against its CID.
    """

    publisher: str
    """The publisher as did:pkh, or `LOCAL`."""
    root: bytes
    """CID of the dataset's root."""
    pages: Pages
    claim: Claim
    state: str | None = None
    """`final` or `pending` where the claim comes from a chain."""
    sequence: int | None = None
    """Number of the publisher's commit."""
    block: int | None = None
    """The block as of which the root is the publisher's latest."""
    time: int | None = None
    """When that block was made, in seconds since 1970. Dates that publishers write into data are not this."""
    committed: int | None = None
    """When the publisher's commit was anchored, in seconds since 1970: by the chain's clock, not the publisher's."""
    only: bytes | None = None
    """What the names of the publisher's own graphs begin with, as terms. Quads in other graphs are not read: nobody
    speaks in another's name (DESIGN, section 5). None where all graphs count."""

    def counts(self, graph: bytes) -> bool:
        """Whether what stands in a graph is read: it is the publisher's own, and not about an asset."""
        return (self.only is None or graph.startswith(self.only)) and not is_aside(graph)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fact was read: who says it, in which graph, at which root."""

    publisher: str
    graph: bytes
    root: bytes
    claim: Claim
    state: str | None
    sequence: int | None
    block: int | None
    time: int | None
    committed: int | None

    @property
    def graph_iri(self) -> str:
        """The graph's IRI: the UAL of an asset, where the publisher publishes assets."""
        return self.graph[1:-1].decode()


class Why(NamedTuple):
    """Why a triple is a candidate, for people: the way of finding it and what it hangs on."""

    how: str
    """Such as `linked`, `text`, `vector`, `path`, `query`."""
    what: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A triple that an index proposes. Nothing about it is trusted."""

    statement: Statement
    score: float
    """Higher is better; comparable within one question only."""
    why: tuple[Why, ...] = ()
    path: int | None = None
    """Candidates of one number form one path: leaving one out makes the others pointless."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A triple that was read from checked pages. Made by `retrieval.reading` alone."""

    statement: Statement
    origins: tuple[Origin, ...]
    """Who says it and where, at least one; ordered by publisher and graph."""
    score: float = 0.0
    why: tuple[Why, ...] = ()
    path: int | None = None
    note: str | None = None
    """What the reader must know beside it, such as that another publisher says otherwise."""

    @property
    def publishers(self) -> tuple[str, ...]:
        """Who says it, each once: copies by one publisher count once."""
        return tuple(dict.fromkeys(origin.publisher for origin in self.origins))


class AbsentKind(StrEnum):
    """What is known of something that was looked for."""

    EMPTY = "absent"
    """It was looked for and is provably not there, as of the block."""
    CUT = "cut"
    """There is something, and the budget or the policy left it out."""
    NOT_ASKED = "not_asked"
    """It was not looked for: the budget of work was used up before. Nothing is known."""


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that was looked for and did not come into the context. Made by `retrieval.reading` alone."""

    kind: AbsentKind
    subject: bytes | None
    predicate: bytes | None
    object: bytes | None = None
    publishers: tuple[str, ...] = ()
    """Whose datasets were looked through."""
    block: int | None = None
    """The oldest block of them, None for local data."""


class Reason(StrEnum):
    """Why something was left out. The names are part of the interface (docs/retrieval.md)."""

    UNVERIFIED = "unverified"
    """Proposed by the index and not in any snapshot, or its pages are wrong or missing."""
    PUBLISHER = "publisher"
    """The policy denies the publisher, or allows only others."""
    CORROBORATION = "corroboration"
    """Fewer independent publishers say it than the policy asks for."""
    CONFLICT = "conflict"
    """It contradicts a better-supported fact, or nothing decides between them."""
    SHAPE = "shape"
    """Its value does not have the type or range that the policy's shapes ask for."""
    RECENCY = "recency"
    """Anchored too long ago, or by its own date in the future."""
    QUOTA = "quota"
    """The publisher has used up its share of the context."""
    UNWANTED = "unwanted"
    """A concept or text that must not enter a prompt."""
    INSTRUCTION = "instruction"
    """Its text looks like instructions to a model."""
    BUDGET = "budget"
    """There was no room for it."""
    RELEVANCE = "relevance"
    """It scored too low beside what answers the question."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was left out, and why."""

    statement: Statement
    reason: Reason
    detail: str
    """A sentence for people. Never quotes text that was dropped for what it says."""
    publishers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What a prompt is made of. Everything in it was verified."""

    question: str
    facts: tuple[Fact, ...]
    absent: tuple[Absent, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    """What was read, with roots and blocks: the state that the answer is of."""
    notes: tuple[str, ...] = ()
    """What the caller should know, in sentences: no entity found, a language the embedder does not know."""
    rows: tuple[tuple[str, ...], ...] = ()
    """The answer set of an aggregate or list question, as terms, from a verified query; empty otherwise."""
    query: str | None = None
    """That query."""
    labels: dict[bytes, str] = field(default_factory=dict)
    """Verified labels of the terms of the facts, for sentences; a term without one is shown by its IRI's last part."""
    lines: tuple[str, ...] = ()
    """The answer of `query` in sentences, for prompts: made from verified rows, verified labels and the words of
    templates, with all text from the graph cleaned. Empty where there is no such answer, or no sentence may name it."""
