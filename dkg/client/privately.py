"""Answers over private assets, checked against a publisher's head on the chain.

    public = client.verify(public_car, commitment_query(ual))
    found = verify_anchored(public, ual, Opening.parse(field), private_car, query)

Both proofs come from a node that may lie: `GET /sparql` of the publisher's dataset for the first, with the parameters
`private` and `scope=private` for the second, whose header field `DKG-Opening` has the opening (docs/private.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.errors import InputError
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.private import VerifiedPrivateAnswer, verify_private

if TYPE_CHECKING:
    from dkg.chain.ual import Ual
    from dkg.client.anchored import AnchoredAnswer, ClientHead
    from dkg.private import Opening


@dataclass(frozen=True, slots=True)
class AnchoredPrivateAnswer:
    """A verified answer over one private asset, and the head that its commitment was checked against."""

    private: VerifiedPrivateAnswer
    head: ClientHead

    def describe(self) -> dict[str, object]:
        """See `ClientHead.describe`; what is private is not in it."""
        return self.head.describe()


def verify_anchored(  # noqa: PLR0913 - what is shown, and the arguments of `dkg.verify`
    public: AnchoredAnswer,
    ual: Ual,
    opening: Opening,
    proof: bytes,
    query: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    budget: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> AnchoredPrivateAnswer:
    """Check a proof over an asset's private quads. `public`: the anchored answer to `commitment_query(ual)`.

    Raises `InputError` if that was learned of another publisher, registry or chain than the asset's, and what
    `dkg.private.verify_private` raises.
    """
    anchored, publisher = public.head.anchored, ual.publisher
    if (anchored.domain.chain_id, anchored.domain.registry, anchored.head.publisher) != (
        publisher.chain_id,
        publisher.registry,
        publisher.address,
    ):
        raise InputError(f"the public answer is of another publisher, registry or chain than {ual}")
    found = verify_private(
        public.answer, ual, opening, proof, query, dataset=dataset, limits=budget, base_iri=base_iri, now=now
    )
    return AnchoredPrivateAnswer(found, public.head)
