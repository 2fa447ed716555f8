"""Private assets: what is public of them, and how a reader checks what it was shown (docs/formats.md, section 10).

The quads of a private asset are a dataset of their own, with a root like any other, which nobody but its readers ever
sees. The publisher's public dataset holds one statement about it, in the asset's provenance:

    <UAL> <urn:dkg:term:privateCommitment> <ni:///sha-256;...>

The digest is SHA-256 of `TAG`, and of the salt, the UAL and the root, each behind its length in eight bytes. The salt
is 32 random bytes, new for each version, so that the digest shows neither the root nor how much is below it, and equal
content has unequal digests. Whoever is shown the *opening*, salt and root, can check both against the public statement,
for which there is an ordinary proof; and then an answer against the root.

The verification steps, in order (`verify_private`). Each has negative tests that name it (tests/dkg/test_private.py).

1. The public answer is a verified one, to the question for the commitment of this very asset (`commitment_query`).
2. It has exactly one row, whose one value is a digest in the one form that there is.
3. The opening has the right length, and its digest for this asset is that one.
4. The proof is verified under the root of the opening, and under no other (`dkg.proof.verify`).

That the public root is the publisher's is for the caller to know: `dkg.client.privately` takes it from the chain.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import pyoxigraph

from dkg.errors import ProofError
from dkg.evaluate import ALL_GRAPHS, Dataset
from dkg.limits import DEFAULT_BUDGET, Budget
from dkg.page import CID_LENGTH, CID_PREFIX
from dkg.proof import VerifiedAnswer, verify

if TYPE_CHECKING:
    from dkg.chain.ual import Ual
    from dkg.terms import Term

TAG: Final = b"dkg private asset 1\0"
"""What the hashed bytes begin with, and nothing else that is hashed or signed here."""

SALT_BYTES: Final = 32
COMMITMENT_BYTES: Final = 32

OPENING_BYTES: Final = SALT_BYTES + CID_LENGTH
"""An encoded opening: the salt, then the CID of the root."""

COMMITMENT: Final = b"<urn:dkg:term:privateCommitment>"
"""The predicate of the public statement, as a term."""

PRIVATE: Final = "#private"
"""What the name of the graph with the private quads adds to the UAL."""

_NI: Final = "ni:///sha-256;"
_DIGEST: Final = re.compile(re.escape(_NI) + r"([A-Za-z0-9_-]{43})")
_LENGTH_BYTES: Final = 8


class OpeningError(ProofError):
    """An opening that is none, or that does not open the commitment: of another asset, version or publisher."""


class CommitmentError(ProofError):
    """A public answer that does not show which commitment an asset has."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a commitment. It is as secret as the root: with it, whoever has a guess can check it."""

    salt: bytes
    """32 random bytes."""
    root: bytes
    """Binary CID of the private dataset."""

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise OpeningError(f"the salt of an opening has {SALT_BYTES} bytes, not {len(self.salt)}")
        if len(self.root) != CID_LENGTH or not self.root.startswith(CID_PREFIX):
            raise OpeningError("the root of an opening is not the CID of a page")

    def __repr__(self) -> str:
        return "Opening(...)"

    def encode(self) -> bytes:
        """As bytes: the salt, then the root."""
        return self.salt + self.root

    @classmethod
    def decode(cls, data: bytes) -> Opening:
        """From bytes. Raises `OpeningError`."""
        if len(data) != OPENING_BYTES:
            raise OpeningError(f"an opening has {OPENING_BYTES} bytes; this has {len(data)}")
        return cls(data[:SALT_BYTES], data[SALT_BYTES:])

    @property
    def text(self) -> str:
        """As the header field `DKG-Opening` has it: base64url without padding."""
        return _text(self.encode())

    @classmethod
    def parse(cls, text: str) -> Opening:
        """From a text. Raises `OpeningError` for every other form than that of `text`."""
        data = _bytes(text)
        if data is None:
            raise OpeningError("an opening is written in base64url without padding")
        return cls.decode(data)


def commitment(ual: Ual, opening: Opening) -> bytes:
    """The digest, of 32 bytes, that is public."""
    digest = sha256(TAG)
    for part in (opening.salt, str(ual).encode(), opening.root):
        digest.update(len(part).to_bytes(_LENGTH_BYTES))
        digest.update(part)
    return digest.digest()


def opened(committed: bytes, ual: Ual, opening: Opening) -> bytes:
    """The root that a commitment of an asset is of (step 3). Raises `OpeningError` if the opening is another's."""
    if len(committed) != COMMITMENT_BYTES:
        raise OpeningError(f"a commitment has {COMMITMENT_BYTES} bytes; this has {len(committed)}")
    if commitment(ual, opening) != committed:
        raise OpeningError(f"this does not open the commitment of {ual}: it is of another asset or another version")
    return opening.root


def commitment_iri(committed: bytes) -> str:
    """A commitment as the public statement has it (RFC 6920)."""
    return _NI + _text(committed)


def commitment_of_iri(iri: str) -> bytes:
    """The commitment of a public statement. Raises `CommitmentError`."""
    match = _DIGEST.fullmatch(iri)
    data = None if match is None else _bytes(match[1])
    if data is None:
        raise CommitmentError(f"{iri[:100]!r} is no commitment: it should look like {_NI}...")
    return data


def private_graph(ual: Ual) -> Term:
    """The term of the graph with an asset's private quads."""
    return f"<{ual}{PRIVATE}>".encode()


def commitment_query(ual: Ual) -> str:
    """The question for an asset's commitment, over its publisher's public dataset."""
    return f"SELECT ?c WHERE {{ GRAPH <{ual}#provenance> {{ <{ual}> {COMMITMENT.decode()} ?c }} }}"


@dataclass(frozen=True, slots=True)
class VerifiedPrivateAnswer:
    """A verified answer over the private quads of one asset: complete for its publisher alone (L1).

    Only `verify_private` makes these.
    """

    answer: VerifiedAnswer
    ual: Ual
    commitment: bytes
    public_root: bytes
    """Binary CID of the public dataset whose commitment it was checked against."""

    @property
    def claim(self) -> str:
        """What is claimed."""
        return "L1"


def committed_in(public: VerifiedAnswer, ual: Ual) -> bytes:
    """The commitment that a verified public answer shows (steps 1 and 2). Raises `CommitmentError`."""
    if public.query != commitment_query(ual):  # step 1
        raise CommitmentError(f"the public answer is not to the question for the commitment of {ual}")
    if len(public.rows) != 1:  # step 2
        raise CommitmentError(f"there are {len(public.rows)} commitments of {ual}, and a private part has one")
    ((value,),) = public.rows
    if not isinstance(value, pyoxigraph.NamedNode):
        raise CommitmentError(f"the commitment of {ual} is no IRI")
    return commitment_of_iri(value.value)


def verify_private(  # noqa: PLR0913 - what is shown, and the arguments of `dkg.verify`
    public: VerifiedAnswer,
    ual: Ual,
    opening: Opening,
    proof: bytes,
    query: str,
    *,
    dataset: Dataset = ALL_GRAPHS,
    limits: Budget = DEFAULT_BUDGET,
    base_iri: str | None = None,
    now: str | None = None,
) -> VerifiedPrivateAnswer:
    """The answer that `proof` proves for `query` over the private quads of an asset; the steps are above.

    `public`: the verified answer to `commitment_query(ual)`, over the publisher's dataset. Other arguments as for
    `dkg.verify`. Raises `CommitmentError`, `OpeningError`, and what `dkg.verify` raises.
    """
    committed = committed_in(public, ual)  # steps 1 and 2
    root = opened(committed, ual, opening)  # step 3
    answer = verify(proof, query, root, limits=limits, dataset=dataset, base_iri=base_iri, now=now)  # step 4
    return VerifiedPrivateAnswer(answer, ual, committed, public.root)


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes | None:
    """What a text in base64url is of; None if it is not in its one form."""
    try:
        data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if _text(data) == text else None
