"""Proofs: the pages a query read, as a CAR file, and their verification.

The verification steps, in order. Each has a negative test named after the attack (tests/dkg/test_proof.py).

1. The file is no longer than the limits allow; this is known before anything is parsed.
2. It is a CARv1 whose one root is the dataset root that the *caller* trusts: minimal lengths, only CIDs of pages, no
   block twice, no trailing byte, no more pages than the limits allow.
3. The query is parsed by this side, within its own limits; nothing of the query comes from the proof.
4. The query is evaluated over the pages of the file and no others. Each page, when it is first read, must hash to
   its CID, be canonical DAG-CBOR of a known shape, with keys in order, counts and bounds as its parent says, and be
   of the kind that the link to it wants. A page that is needed and not there is a `MissingPageError`.
5. Every block was read, in the order of the file. So a (query, root) has one proof, and no byte can change.
6. The answer is computed from what was read, by the engine here. No result row comes from the proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.answer import Answer, Results
from dkg.car import BLOCK_OVERHEAD, read_car, write_car
from dkg.errors import InputError, ProofError
from dkg.evaluate import ALL_GRAPHS, Dataset, evaluate
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.page import cid_bytes, cid_text
from dkg.pages import KnownPages, Pages, ProvedPages, RecordedPages
from dkg.sparql.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg.sparql.algebra import Query

_HEADER_BYTES = 128


@dataclass(frozen=True, slots=True)
class Proof:
    """An answer and the CAR file that proves it to whoever trusts `root`."""

    answer: Answer
    root: bytes
    car: bytes
    pages: int


class VerifiedAnswer(Results):
    """An answer that was recomputed from proved pages: correct and complete for the dataset `root`.

    "Nothing" here means *provably nothing*. What could not be proved is a `ProofError`, never an empty answer.
    Only `verify` makes these.
    """

    def __init__(self, answer: Answer, root: bytes, query: str, pages: int, proof_bytes: int) -> None:
        self.__dict__.update(vars(answer))
        self.root = root
        """Binary CID of the dataset the answer is about."""
        self.query = query
        """The query as it was asked."""
        self.pages = pages
        """Pages of the proof."""
        self.proof_bytes = proof_bytes
        """Bytes of the proof, uncompressed."""

    @property
    def provably_nothing(self) -> bool:
        """Whether the proof shows that nothing in the dataset matches."""
        return self.nothing


def prove(
    pages: Pages,
    root: bytes | str,
    query: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> Proof:
    """Answer a query and keep the pages it read. Arguments as for `evaluate`."""
    cid = root_bytes(root)
    recorded = RecordedPages(pages, budget.pages, budget.proof_bytes)
    answer = evaluate(recorded, cid, query, dataset=dataset, budget=budget, base_iri=base_iri, now=now)
    return Proof(answer, cid, write_car(cid, recorded.blocks()), len(recorded.read))


def verify(
    proof: bytes,
    query: str,
    root: bytes | str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    limits: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
    known: KnownPages | None = None,
) -> VerifiedAnswer:
    """The answer that `proof` proves for `query` over the dataset `root`, recomputed here; the steps are above.

    `root` is what the caller trusts: binary or text CID. `dataset`, `base_iri` and `now` must be what they were when
    the proof was made. `known`: pages of proofs that this caller verified before, of any root; it only saves time.

    Raises `ProofError` when the proof is not exactly the right one, `QueryError` for a query
    that is refused whatever the proof, and `BudgetError` when the answer is larger than `limits` allow.
    """
    cid = root_bytes(root)
    blocks = blocks_of(proof, cid, limits)  # steps 1 and 2
    parsed: Query = parse(query, now=now, base_iri=base_iri)  # step 3
    pages = ProvedPages(blocks, known)
    answer = evaluate(pages, cid, parsed, dataset=dataset, budget=limits, base_iri=base_iri)  # steps 4 and 6
    check_all_read(pages, blocks)  # step 5
    return VerifiedAnswer(answer, cid, query, len(blocks), len(proof))


def blocks_of(proof: bytes, root: bytes, limits: Budget, others: Sequence[bytes] = ()) -> dict[bytes, bytes]:
    """The blocks of a proof that must have these roots (steps 1 and 2)."""
    most = _HEADER_BYTES * (1 + len(others)) + limits.proof_bytes + limits.pages * BLOCK_OVERHEAD
    if len(proof) > most:
        raise ProofError(f"the proof has {len(proof)} bytes, over the limit of {most}")
    return read_car(proof, root, limits.pages, others)


def check_all_read(pages: ProvedPages, blocks: Mapping[bytes, bytes]) -> None:
    """Check that evaluation read all blocks of a proof, in their order (step 5)."""
    if list(pages.used) != list(blocks):
        unused = [block for block in blocks if block not in pages.used]
        what = f"page {cid_text(unused[0])} is not needed" if unused else "its pages are not in the order of reading"
        raise ProofError(f"this is not the proof of this query: {what}")


def root_bytes(root: bytes | str) -> bytes:
    """The binary CID of a root given in either form. Raises `InputError` for what is not the CID of a page."""
    try:
        found = cid_bytes(root if isinstance(root, str) else cid_text(root))
    except ValueError as error:
        raise InputError(f"not a root: {error}") from error
    if isinstance(root, bytes) and root != found:
        raise InputError(f"not a root: {len(root)} bytes, and a root has {len(found)}")
    return found
