"""Evidence of equivocation: what is evidence, and each thing that only looks like it (row C7, invariant I10)."""

from __future__ import annotations

from dataclasses import replace

import libipld
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.chain.commit import Commit, Domain, SignedCommit
from dkg.chain.evidence import EVIDENCE_BYTES_MAX, check_evidence, encode_evidence
from dkg.chain.secp import ORDER, address_of
from dkg.errors import ProofError

KEY, OTHER_KEY = b"\x11" * 32, b"\x12" * 32
PUBLISHER = address_of(KEY)
DOMAIN = Domain(31337, b"\xaa" * 20)
COMMIT = Commit(PUBLISHER, 2, b"\1" * 32, 1, b"\2" * 32, 9)
ONE = SignedCommit.make(DOMAIN, COMMIT, KEY)
TWO = SignedCommit.make(DOMAIN, replace(COMMIT, root=b"\3" * 32), KEY)
EVIDENCE = encode_evidence(ONE, TWO)


def test_two_commits_with_one_number_are_evidence_whichever_comes_first() -> None:
    found = check_evidence(EVIDENCE)
    assert encode_evidence(TWO, ONE) == EVIDENCE
    assert found.signer == PUBLISHER
    assert {found.first, found.second} == {ONE.commit, TWO.commit}
    assert "two commits number 2" in str(found)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (ONE, "say the same"),
        (SignedCommit.make(DOMAIN, replace(COMMIT, seq=3, root=b"\3" * 32), KEY), "different numbers"),
        (SignedCommit.make(DOMAIN, replace(COMMIT, publisher=b"\7" * 20), KEY), "different publishers"),
        (SignedCommit.make(replace(DOMAIN, chain_id=1), replace(COMMIT, root=b"\3" * 32), KEY), "different chains"),
        (SignedCommit.make(replace(DOMAIN, registry=b"\1" * 20), TWO.commit, KEY), "registries"),
        (SignedCommit.make(DOMAIN, TWO.commit, OTHER_KEY), "different keys"),
        (replace(TWO, signature=ONE.signature), "different keys"),
    ],
    ids=["same", "seq", "publisher", "chain", "registry", "signer", "signature of the other"],
)
def test_what_is_no_lie_is_no_evidence(other: SignedCommit, reason: str) -> None:
    with pytest.raises(ProofError, match=reason):
        encode_evidence(ONE, other)


def test_a_malleated_signature_makes_no_second_statement() -> None:
    s = int.from_bytes(ONE.signature[32:64])
    twin = replace(ONE, signature=ONE.signature[:32] + (ORDER - s).to_bytes(32) + bytes([55 - ONE.signature[64]]))
    with pytest.raises(ProofError, match="say the same"):
        encode_evidence(ONE, twin)


@given(st.integers(0, len(EVIDENCE) - 1), st.integers(1, 255))
def test_altered_evidence_accuses_nobody_else(at: int, mask: int) -> None:
    data = bytearray(EVIDENCE)
    data[at] ^= mask
    with pytest.raises(ProofError):
        check_evidence(bytes(data))


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_no_evidence(data: bytes) -> None:
    with pytest.raises(ProofError):
        check_evidence(data)


@pytest.mark.parametrize(
    "found",
    [
        {"evidence": sorted((ONE.encode(), TWO.encode()), reverse=True), "v": 1},
        {"evidence": [ONE.encode()], "v": 1},
        {"evidence": [1, 2], "v": 1},
        {"evidence": ONE.encode(), "v": 1},
        {"evidence": sorted((ONE.encode(), TWO.encode())), "v": 2},
        {"evidence": sorted((ONE.encode(), TWO.encode())), "v": 1, "x": 0},
        [],
    ],
    ids=range(7),
)
def test_other_encodings_are_refused(found: object) -> None:
    with pytest.raises(ProofError):
        check_evidence(libipld.encode_dag_cbor(found))


def test_evidence_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProofError, match="bytes at most"):
        check_evidence(EVIDENCE.ljust(EVIDENCE_BYTES_MAX + 1, b"\0"))
