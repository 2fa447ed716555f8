"""Proofs of a context: of each dataset it was read from, queries and the proofs of their answers.

`dkg verify PROOF.car --root ROOT QUERY` checks one of them anywhere, without this package, a store or an index:

- All facts of a dataset are one SELECT: `?n` is the number of a fact in the context, `?g` a graph that has it.
- What is provably not there is an ASK, which is false.
- A list or a count that a query answered is that query (`Context.query`).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from dkg.errors import InputError
from dkg.page import cid_text
from dkg.proof import prove
from retrieval.model import ASIDE, AbsentKind
from retrieval.reading import Reader, normal_term

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.model import Absent, Context, Fact, Snapshot

FACTS_MAX: Final = 256
"""Most facts of one context that are proved."""

ABSENT_MAX: Final = 32
"""Most absences of one context that are proved."""

_ID_BYTES: Final = 16


class NoProofError(InputError):
    """An answer that no query over the whole dataset proves."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A query over one dataset, whose proof shows something of a context."""

    snapshot: Snapshot
    query: str
    facts: tuple[int, ...] = ()
    """Numbers of the facts that its rows are, from 1."""
    absent: tuple[int, ...] = ()
    """Numbers of the absences that it shows, from 1."""


@dataclass(frozen=True, slots=True)
class Proved:
    """A query and the proof of its answer."""

    claimed: Claimed
    car: bytes


def proof_id(context: Context) -> str:
    """The name of a context's proofs: a hash of what was asked, of what was found, and of the roots."""
    digest = sha256()
    for one in claims(context):
        for part in (context.question.encode(errors="replace"), one.snapshot.root, one.query.encode()):
            digest.update(len(part).to_bytes(8))
            digest.update(part)
    if not context.facts and not context.absent:
        digest.update(context.question.encode(errors="replace"))
    return digest.hexdigest()[: 2 * _ID_BYTES]


def claims(context: Context) -> list[Claimed]:
    """The queries whose proofs show a context, by publisher, in a fixed order."""
    found: list[Claimed] = []
    for snapshot in context.snapshots:
        numbered = [(n, fact) for n, fact in enumerate(context.facts[:FACTS_MAX], 1) if _is_of(fact, snapshot)]
        if numbered:
            found.append(Claimed(snapshot, _rows(numbered, snapshot), facts=tuple(n for n, _ in numbered)))
        for number, absent in enumerate(context.absent[:ABSENT_MAX], 1):
            if absent.kind is AbsentKind.EMPTY and _looked(absent, snapshot):
                found.append(Claimed(snapshot, _ask(absent, snapshot), absent=(number,)))
        if context.query is not None and len(context.snapshots) == 1:
            found.append(Claimed(snapshot, context.query))
    return found


def prove_claim(claimed: Claimed) -> Proved:
    """The proof. Reads pages, so it is for one thread at a time. Raises `StoreError` when they are there no more.

    Raises `NoProofError` for a query that graphs which do not count would answer otherwise: it has no such condition.
    """
    snapshot = claimed.snapshot
    made = prove(snapshot.pages, snapshot.root, claimed.query)
    if not claimed.facts and not claimed.absent:
        rows = Reader([snapshot]).select(claimed.query).rows
        if sorted(map(str, rows)) != sorted(str(tuple(map(normal_term, row))) for row in made.answer.rows):
            raise NoProofError(
                "the dataset also has graphs that do not count, in which this query finds more: it proves the facts, "
                "and not this answer"
            )
    return Proved(claimed, made.car)


def proofs(context: Context) -> Iterator[Proved]:
    """All proofs of a context."""
    return map(prove_claim, claims(context))


def root_of(claimed: Claimed) -> str:
    """The root, as `dkg verify --root` takes it."""
    return cid_text(claimed.snapshot.root)


def _is_of(fact: Fact, snapshot: Snapshot) -> bool:
    return any((one.publisher, one.root) == (snapshot.publisher, snapshot.root) for one in fact.origins)


def _looked(absent: Absent, snapshot: Snapshot) -> bool:
    return not absent.publishers or snapshot.publisher in absent.publishers


def _rows(numbered: list[tuple[int, Fact]], snapshot: Snapshot) -> str:
    """Terms in N-Triples are terms in SPARQL as they stand: normal form escapes what could end them early."""
    values = " ".join(
        f"({n} {b' '.join(fact.statement).decode()})"  # the three terms, between spaces
        for n, fact in numbered
    )
    return f"SELECT ?n ?g ?s ?p ?o {{ VALUES (?n ?s ?p ?o) {{ {values} }} GRAPH ?g {{ ?s ?p ?o }}{_own(snapshot)} }}"


def _ask(absent: Absent, snapshot: Snapshot) -> str:
    """Whether there is what was looked for, in any graph that counts."""
    parts = zip(("?s", "?p", "?o"), (absent.subject, absent.predicate, absent.object), strict=True)
    pattern = " ".join(name if term is None else term.decode() for name, term in parts)
    return f"ASK {{ GRAPH ?g {{ {pattern} }}{_own(snapshot)} }}"


def _own(snapshot: Snapshot) -> str:
    """The condition that a graph counts (`Snapshot.counts`)."""
    counts = [f'!STRENDS(STR(?g), "{end[:-1].decode()}")' for end in ASIDE]
    if snapshot.only is not None:
        counts.insert(0, f'STRSTARTS(STR(?g), "{snapshot.only[1:].decode()}")')
    return f" FILTER ({' && '.join(counts)})"


def describe(claimed: Claimed, number: int) -> dict[str, Any]:
    """What a proof shows and how to check it, as JSON. `number`: which one of its answer's it is, from 1."""
    return {
        "number": number,
        "publisher": claimed.snapshot.publisher,
        "root": root_of(claimed),
        "claim": str(claimed.snapshot.claim),
        "block": claimed.snapshot.block,
        "query": claimed.query,
        "facts": list(claimed.facts),
        "absent": list(claimed.absent),
    }
