"""What the tools of the MCP server give: their docstrings are the descriptions of the schemas that clients see."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What all have."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class FactLine(Shape):
    """A fact."""

    n: int
    """Its number in this search."""
    text: str
    publishers: list[str]
    """Who says it: did:pkh, or `local` for data that nobody signed."""
    asset: str
    """IRI of the asset or graph that says it."""
    block: int | None
    """As of which block of the chain; null for local data."""
    note: str | None = None
    """What one must know beside it."""


class Search(Shape):
    """What was found."""

    facts: list[FactLine]
    absent: list[str]
    """What was looked for, and is provably not there or was left out."""
    left_out: dict[str, int]
    """How much was left out, by reason."""
    notes: list[str]
    rows: list[list[str]]
    """The answer set of a question for a list or a number."""
    lines: list[str]
    """The same in sentences: the answer."""
    proof: str
    """For `get_proof`."""
    next: str | None
    """Call again with this `cursor` for more; null: that is all."""


class Entity(Shape):
    """What is said of an entity."""

    iri: str
    facts: list[FactLine]
    total: int
    """How many statements there are, with those of several graphs counted each."""
    left_out: dict[str, int]
    next: str | None


class Verdict(Shape):
    """Whether a triple is stated."""

    stated: bool
    """Whether some publisher that the policy trusts states exactly this. False: provably none does, or `left_out`."""
    publishers: list[str]
    asset: str | None
    block: int | None
    others: list[FactLine]
    """What is stated of the same subject and predicate instead: at most five."""
    left_out: dict[str, int]
    proof: str


class ProofPart(Shape):
    """A proof, and how to check it: `dkg verify FILE --root ROOT QUERY`."""

    number: int
    root: str
    """CID of the dataset: trust it if the chain says that it is the publisher's."""
    publisher: str
    query: str | None
    """The query; null where it is long or quotes data that is not shown to models: read `query_uri`."""
    facts: list[int]
    """Numbers of the facts that it proves."""
    car_bytes: int
    uri: str
    """The resource that is the proof itself, a CAR file."""
    query_uri: str
    """The resource that is the query, as it is."""


class Proofs(Shape):
    """The proofs of an answer."""

    proof: ProofPart
    parts: int
    """How many there are: one for each dataset and absence."""
    next: int | None
    """The number of the next one."""
