"""Contexts to make prompts of, read from datasets like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dkg.pages import StoredPages
from retrieval.model import Claim, Context, Snapshot
from retrieval.reading import Reader, noted, scored
from tests.datasets import iri, stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from retrieval.model import Absent

GRAPH = b"<did:dkg:eip155:31337:0x01/0x02/people>"
CLINIC, LAB = (f"did:pkh:eip155:31337:0x{n:040x}" for n in (2, 3))

Triple = tuple[str, str | bytes, str | bytes]


def quad(subject: str, relation: str | bytes, value: str | bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Short names are IRIs; bytes are terms as they stand."""
    return iri(subject), term(relation), term(value), GRAPH


def term(name: str | bytes) -> bytes:
    """A term, by a short name or as it stands."""
    return iri(name) if isinstance(name, str) else name


def snapshot(publisher: str, triples: Iterable[Triple], block: int | None = 12) -> Snapshot:
    """What a publisher says."""
    store, root = stored([quad(*triple) for triple in triples])
    return Snapshot(publisher, root, StoredPages(store), Claim.COMPLETE_FOR_PUBLISHER, state="final", block=block)


def reader_of(*triples: Triple) -> Reader:
    """A reader of what one publisher says."""
    return Reader([snapshot(CLINIC, triples)])


def context_of(
    reader: Reader,
    *triples: Triple,
    question: str = "Who is it?",
    paths: Mapping[int, int] | None = None,
    notes: Mapping[int, str] | None = None,
    absent: Iterable[Absent] = (),
    labels: Mapping[str, str] | None = None,
) -> Context:
    """A context of these triples, in this order. `paths`, `notes`: by the place of a fact, from 0."""
    facts = []
    for at, (subject, relation, value, _) in enumerate(quad(*triple) for triple in triples):
        (fact,) = reader.about(subject, relation, value, most=1)
        fact = scored(fact, 1.0 / (at + 1), path=(paths or {}).get(at))
        facts.append(noted(fact, (notes or {}).get(at)))
    shown = {iri(name): text for name, text in (labels or {}).items()}
    return Context(question, tuple(facts), tuple(absent), snapshots=reader.snapshots, labels=shown)


def asking(context: Context, question: str) -> Context:
    """The same context for another question."""
    return replace(context, question=question)
