"""Answers over all publishers: a checkpoint's root and, beside it, the datasets of those who committed since.

What is asked is the union of the quads of the checkpoint's root, but for those in graphs of the publishers beside it,
and of their own quads in these publishers' datasets; keys over `KEY_MAX` bytes do not count there either. A proof is
the pages that the query read, of all these datasets, in one file (docs/formats.md, section 6). The verification steps,
in order, each with a negative test named after the attack (tests/dkg/checkpoints/test_answer.py):

1. The file is no longer than the limits allow; this is known before anything is parsed.
2. It is a CARv1 whose roots are those that the *caller* trusts, in order: the checkpoint's, then those of the
   publishers beside it in the order of their addresses. The rest is as in step 2 of `dkg.proof`.
3. The query is parsed by this side.
4. The query is evaluated over the pages of the file and no others, each checked as in step 4 of `dkg.proof`. Of each
   dataset only those keys count that may be in it: a publisher speaks in its own graphs, the checkpoint for the others.
5. Every block was read, in the order of the file. So a (query, parts) has one proof, and no byte can change.
6. Each quad that was looked at is in some publisher's graph. If `origins` are asked for, none came from the
   checkpoint's root: each was found in the dataset of the publisher whose graph it is in.
7. The answer is computed from what was read, by the engine here.

A checkpoint that is wrong and that nobody challenged can lack quads, and have quads that nobody signed. With `origins`
nothing is believed of it but what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dkg.answer import Answer, Results
from dkg.car import write_car
from dkg.chain.secp import ADDRESS_BYTES
from dkg.checkpoints.owners import owner_of_graph, prefix_of
from dkg.errors import InputError, ProofError
from dkg.evaluate import ALL_GRAPHS, Dataset, evaluate_gathering
from dkg.gather import Gather
from dkg.joint import Graphs, GraphsBeside, GraphsWithin, JointGather, Part, PartError
from dkg.limits import DEFAULT_BUDGET, KEY_MAX, Budget
from dkg.pages import KnownPages, Pages, ProvedPages, RecordedPages
from dkg.proof import blocks_of, check_all_read, root_bytes
from dkg.sparql.syntax import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dkg.chain.commit import Domain
    from dkg.sparql.algebra import Query

BESIDE_MAX: Final = 64
"""Most datasets of publishers beside a checkpoint: each costs a proof as long as its own."""


class TooManyError(InputError):
    """More publishers beside a checkpoint than an answer is computed from."""


class OriginsError(ProofError):
    """Quads of some publishers were looked at that only the checkpoint shows, and their origins were asked for."""

    def __init__(self, publishers: frozenset[bytes]) -> None:
        who = ", ".join("0x" + publisher.hex() for publisher in sorted(publishers))
        super().__init__(f"only the checkpoint shows what is said by {who}: ask for their datasets beside it")
        self.publishers = publishers


@dataclass(frozen=True, slots=True)
class Parts:
    """The datasets that an answer is computed from.

    Raises `TooManyError` over `BESIDE_MAX` datasets, and `InputError` for what is no address or no root.
    """

    domain: Domain
    union: bytes
    """CID of the checkpoint's root."""
    beside: Mapping[bytes, bytes | None]
    """For each publisher (20 bytes) that is asked beside it, the CID of its dataset's root; None: it has none."""

    def __post_init__(self) -> None:
        for root in self.roots:
            root_bytes(root)
        if any(len(publisher) != ADDRESS_BYTES for publisher in self.beside):
            raise InputError(f"a publisher's address has {ADDRESS_BYTES} bytes")
        if len(self.roots) > 1 + BESIDE_MAX:
            raise TooManyError(
                f"{len(self.roots) - 1} datasets would have to be asked beside the checkpoint, and {BESIDE_MAX} are "
                "the most: wait for a newer checkpoint, or take what the checkpoint has of some publishers"
            )

    @property
    def datasets(self) -> list[tuple[bytes, bytes]]:
        """The publishers that have a dataset beside the checkpoint, and its root, in the order of the addresses."""
        return [(publisher, root) for publisher, root in sorted(self.beside.items()) if root is not None]

    @property
    def roots(self) -> list[bytes]:
        """The roots of a proof, in order."""
        return [self.union, *(root for _, root in self.datasets)]


@dataclass(frozen=True, slots=True)
class JointProof:
    """An answer and the CAR file that proves it to whoever trusts the roots in `parts`."""

    answer: Answer
    parts: Parts
    car: bytes
    pages: int
    shown_by_checkpoint: frozenset[bytes]
    """See `VerifiedJointAnswer`."""


class VerifiedJointAnswer(Results):
    """An answer that was recomputed from proved pages: right for the union that `parts` says.

    Only `verify_joint` makes these.
    """

    def __init__(
        self, answer: Answer, parts: Parts, query: str, pages: int, proof_bytes: int, shown: frozenset[bytes]
    ) -> None:
        self.__dict__.update(vars(answer))
        self.parts = parts
        """The datasets that the answer is about."""
        self.query = query
        """The query as it was asked."""
        self.pages = pages
        """Pages of the proof."""
        self.proof_bytes = proof_bytes
        """Bytes of the proof, uncompressed."""
        self.shown_by_checkpoint = shown
        """Publishers of whom quads were looked at that only the checkpoint's root shows. Where a COUNT was answered
        from counts in pages, nothing was looked at."""

    @property
    def provably_nothing(self) -> bool:
        """Whether the proof shows that nothing in the union matches."""
        return self.nothing


def evaluate_joint(
    pages: Pages,
    parts: Parts,
    query: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> Answer:
    """Answer a query over all publishers. Arguments and errors as for `prove_joint`."""
    parsed = parse(query, now=now, base_iri=base_iri)
    return _evaluated(pages, parts, parsed, origins=False, dataset=dataset, budget=budget, base_iri=base_iri)[0]


def prove_joint(
    pages: Pages,
    parts: Parts,
    query: str,
    *,
    origins: bool = False,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> JointProof:
    """Answer a query over all publishers and keep the pages it read. `pages`: of all datasets.

    `origins`: see `verify_joint`; the proof may show quads that only the checkpoint has, and says of whom. The others
    as for `dkg.prove`. Raises what that raises, and `ProofError` if a quad is in nobody's graph.
    """
    recorded = RecordedPages(pages, budget.pages, budget.proof_bytes)
    parsed = parse(query, now=now, base_iri=base_iri)
    answer, shown = _evaluated(
        recorded, parts, parsed, origins=origins, dataset=dataset, budget=budget, base_iri=base_iri
    )
    car = write_car(parts.union, recorded.blocks(), parts.roots[1:])
    return JointProof(answer, parts, car, len(recorded.read), shown)


def prove_origins(
    pages: Pages,
    parts: Parts,
    query: str,
    root_of: Callable[[bytes], bytes | None],
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> JointProof:
    """Like `prove_joint`, with every publisher beside the checkpoint whose quads are looked at: `JointProof.parts`.

    `root_of`: the root of the dataset of a publisher that counts. Raises `TooManyError` if they are too many.
    """
    while True:
        proof = prove_joint(
            pages, parts, query, origins=True, dataset=dataset, budget=budget, base_iri=base_iri, now=now
        )
        if not proof.shown_by_checkpoint:
            return proof
        more = {publisher: root_of(publisher) for publisher in proof.shown_by_checkpoint}
        parts = replace(parts, beside={**parts.beside, **more})


def verify_joint(  # noqa: PLR0913 - what is accepted, and the arguments of `dkg.verify`
    proof: bytes,
    query: str,
    parts: Parts,
    *,
    origins: bool = False,
    dataset: Dataset = ALL_GRAPHS,
    limits: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
    known: KnownPages | None = None,
) -> VerifiedJointAnswer:
    """The answer that `proof` proves for `query` over the union that `parts` says; the steps are above.

    `parts`: what the caller trusts. `origins`: nothing is taken from the checkpoint's root but that there is no more;
    it must be as it was when the proof was made. The others as for `dkg.verify`. Raises what that raises, and
    `OriginsError` with `origins`.
    """
    blocks = blocks_of(proof, parts.union, limits, parts.roots[1:])  # steps 1 and 2
    parsed: Query = parse(query, now=now, base_iri=base_iri)  # step 3
    pages = ProvedPages(blocks, known)
    answer, shown = _evaluated(  # steps 4, 6 and 7
        pages, parts, parsed, origins=origins, dataset=dataset, budget=limits, base_iri=base_iri
    )
    check_all_read(pages, blocks)  # step 5
    if origins and shown:  # step 6
        raise OriginsError(shown)
    return VerifiedJointAnswer(answer, parts, query, len(blocks), len(proof), shown)


def _evaluated(
    pages: Pages,
    parts: Parts,
    query: Query,
    *,
    origins: bool,
    dataset: Dataset,
    budget: Budget,
    base_iri: str | None,
) -> tuple[Answer, frozenset[bytes]]:
    """The answer, and the publishers whose quads came from the checkpoint's root."""
    try:
        gather = _gather(pages, parts, budget.quads, counts=not (origins or parts.beside))
        answer = evaluate_gathering(gather, query, dataset, budget, base_iri)
    except PartError as error:  # what is wrong with a part is wrong with the whole
        raise error.reason from error
    owners = set()
    for graph in gather.graphs_gathered():
        owner = owner_of_graph(graph, parts.domain)
        if owner is None:
            name = graph.decode(errors="replace")
            raise ProofError(f"the checkpoint is wrong: it has a quad in {name}, which is no publisher's graph")
        owners.add(owner)
    return answer, frozenset(owners - parts.beside.keys())


def _gather(pages: Pages, parts: Parts, keys_max: int, *, counts: bool) -> Gather:
    """What evaluation reads through. `counts`: where there is one dataset, the counts in its pages may answer COUNT."""
    union = Gather(pages, parts.union, keys_max)
    if counts:
        return union
    prefixes = {publisher: prefix_of(parts.domain, publisher) for publisher in parts.beside}
    joint = [Part(union, GraphsBeside(prefixes.values()) if prefixes else Graphs())]
    for publisher, root in parts.datasets:
        joint.append(Part(Gather(pages, root, keys_max), GraphsWithin(prefixes[publisher]), KEY_MAX))
    return JointGather(joint, keys_max)
