"""Facts as the documents that other frameworks pass around: a text, an id, and flat metadata."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.page import cid_text
from retrieval.prompt.sentences import absence
from retrieval.shown import absent_shown, fact_shown

if TYPE_CHECKING:
    from retrieval.results import Result


@dataclass(frozen=True, slots=True)
class Passage:
    """One fact, one sentence of a query's answer, or one absence."""

    id: str
    """The same for the same triple from the same datasets."""
    text: str
    score: float
    metadata: dict[str, Any]
    """Strings, numbers and lists of them: `kind` (`fact`, `query`, `absent`, `cut`, `not_asked`), `subject`,
    `predicate`, `object`, `publishers`, `asset`, `root`, `block`, `state`, `claim`, `note`, `n`, of a query's answer
    `query` and `roots`, and `proof`, the name of the answer's proofs."""


def documents_of(result: Result, *, absent: bool) -> list[Passage]:
    """The answer of a query, the facts of a result, best first, and what is not there after them."""
    found = [_of_query(result, line) for line in result.context.lines]
    found += [_of_fact(result, n) for n in range(1, len(result.context.facts) + 1)]
    if absent:
        found += [_of_absent(result, n) for n in range(len(result.context.absent))]
    return found


def _of_query(result: Result, line: str) -> Passage:
    read = result.context.snapshots
    metadata = {
        "kind": "query",
        "query": result.context.query,
        "publishers": list(dict.fromkeys(one.publisher for one in read)),
        "roots": [cid_text(one.root) for one in read],
        "proof": result.proof,
    }
    named = b"\0".join([line.encode(errors="replace"), *(one.root for one in read)])
    return Passage(sha256(named).hexdigest()[:32], line, 1.0, metadata)


def _of_fact(result: Result, n: int) -> Passage:
    fact = result.context.facts[n - 1]
    one = fact_shown(n, fact, result.texts[n - 1])
    origin = one.origins[0]
    metadata = {
        "kind": "fact",
        "n": n,
        "subject": one.subject,
        "predicate": one.predicate,
        "object": one.object,
        "publishers": one.publishers,
        "asset": origin.graph,
        "root": origin.root,
        "claim": origin.claim,
        "state": origin.state,
        "block": origin.block,
        "note": one.note,
        "proof": result.proof,
    }
    named = b"\0".join([*fact.statement, *(where.root for where in fact.origins)])
    return Passage(sha256(named).hexdigest()[:32], one.text, one.score, metadata)


def _of_absent(result: Result, at: int) -> Passage:
    absent = result.context.absent[at]
    one = absent_shown(absent)
    metadata = {
        "kind": one.kind,
        "subject": one.subject,
        "predicate": one.predicate,
        "object": one.object,
        "publishers": one.publishers,
        "block": one.block,
        "proof": result.proof,
    }
    text = absence(absent, result.context.labels)
    return Passage(sha256(text.encode(errors="replace")).hexdigest()[:32], text, 0.0, metadata)
