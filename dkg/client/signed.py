"""Answers verified against a signed commit alone, without a chain: claim L0 of DESIGN, section 5.

Such an answer is *authentic*: its publisher's key signed the root that it is complete for. Whether that commit was
ever anchored, whether the key was still the publisher's, and whether there are newer commits, only a chain can tell
(`dkg.client.anchored`). Pure: nothing is asked, and no clock is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dkg.chain.commit import VerifiedCommit, verify_commit
from dkg.chain.secp import SignatureError, checksum
from dkg.client.anchored import Claim
from dkg.evaluate import ALL_GRAPHS
from dkg.limits import DEFAULT_BUDGET
from dkg.page import CID_PREFIX
from dkg.proof import VerifiedAnswer, verify

if TYPE_CHECKING:
    from dkg.chain.commit import Domain, SignedCommit
    from dkg.evaluate import Dataset
    from dkg.limits import Budget


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A root that its publisher signed. Made by `verify_head` alone."""

    verified: VerifiedCommit

    @property
    def root(self) -> bytes:
        """CID of the dataset's root."""
        return CID_PREFIX + self.verified.commit.root

    def describe(self) -> dict[str, object]:
        """Claim, publisher and commit, for programs; what only a chain could say is None."""
        commit, domain = self.verified.commit, self.verified.domain
        return {
            "claim": str(Claim.AUTHENTIC),
            "state": None,
            "chain_id": domain.chain_id,
            "registry": checksum(domain.registry),
            "publisher": checksum(commit.publisher),
            "signer": checksum(self.verified.signer),
            "seq": commit.seq,
            "created": commit.created,
            "block": None,
            "age_seconds": None,
        }

    def sentence(self) -> str:
        """The same for people."""
        commit, signer = self.verified.commit, self.verified.signer
        by = "" if signer == commit.publisher else f" by {checksum(signer)}"
        return (
            f"signed for {checksum(commit.publisher)}{by} as commit {commit.seq}; not checked against a chain: "
            "there may be newer commits"
        )


@dataclass(frozen=True, slots=True)
class SignedAnswer:
    """A verified answer, and the signed root it was checked against."""

    answer: VerifiedAnswer
    head: SignedHead

    def describe(self) -> dict[str, object]:
        """See `SignedHead.describe`."""
        return self.head.describe()

    def sentence(self) -> str:
        """See `SignedHead.sentence`."""
        return self.head.sentence()


def verify_head(signed: SignedCommit, domain: Domain, publisher: bytes, *, signer: bytes | None = None) -> SignedHead:
    """Check that a commit is of the publisher whom the caller trusts, and signed by who may sign for it.

    `signer`: the address that signs for the publisher, where it is not the publisher's own. Raises `SignatureError`.
    """
    if signed.commit.publisher != publisher:
        found = checksum(signed.commit.publisher)
        raise SignatureError(f"the commit is of the publisher {found}, not {checksum(publisher)}")
    return SignedHead(verify_commit(signed, domain, publisher if signer is None else signer))


def verify_signed(
    proof: bytes,
    query: str,
    head: SignedHead,
    *,
    dataset: Dataset = ALL_GRAPHS,
    base_iri: str | None = None,
    now: str | None = None,
    budget: Budget = DEFAULT_BUDGET,
) -> SignedAnswer:
    """Check a proof (a CAR file) against a signed root; arguments and errors as for `dkg.verify`."""
    answer = verify(proof, query, head.root, limits=budget, dataset=dataset, base_iri=base_iri, now=now)
    return SignedAnswer(answer, head)
