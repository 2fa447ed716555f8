"""Checking private answers (dkg.private): one test an attack, named after it and its step."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dkg
from dkg.chain.ual import Publisher, Ual
from dkg.errors import ProofError
from dkg.page import CID_PREFIX
from dkg.private import (
    COMMITMENT,
    COMMITMENT_BYTES,
    OPENING_BYTES,
    TAG,
    CommitmentError,
    Opening,
    OpeningError,
    commitment,
    commitment_iri,
    commitment_of_iri,
    commitment_query,
    opened,
    private_graph,
    verify_private,
)

PUBLISHER = Publisher(31337, b"\x5f" * 20, b"\x70" * 20)
AIR, WATER = Ual(PUBLISHER, "air"), Ual(PUBLISHER, "water")
QUERY = "SELECT ?o { ?s <https://example.org/secret> ?o }"


def salt(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


@dataclass
class Shown:
    """What an honest node shows of a private part."""

    public: dkg.VerifiedAnswer
    opening: Opening
    car: bytes


def private(ual: Ual, text: str) -> tuple[dkg.MemoryPageStore, bytes]:
    store = dkg.MemoryPageStore()
    quad = b"<https://example.org/s>", b"<https://example.org/secret>", b'"%b"' % text.encode(), private_graph(ual)
    return store, dkg.build([[quad]], store)


def public(statements: dict[Ual, list[bytes]], ual: Ual, query: str | None = None) -> dkg.VerifiedAnswer:
    """The verified answer to the question for a commitment, over a dataset with these."""
    store = dkg.MemoryPageStore()
    quads = [(one.graph, COMMITMENT, term, one.provenance_graph) for one, terms in statements.items() for term in terms]
    root = dkg.build([[*quads, (b"<urn:x>", b"<urn:x>", b"<urn:x>", b"<urn:x>")]], store)
    text = query or commitment_query(ual)
    return dkg.verify(dkg.prove(store, root, text).car, text, root)


def term_of(committed: bytes) -> bytes:
    return f"<{commitment_iri(committed)}>".encode()


def shown(ual: Ual = AIR, text: str = "here", number: int = 1) -> Shown:
    store, root = private(ual, text)
    opening = Opening(salt(number), root)
    said = public({ual: [term_of(commitment(ual, opening))]}, ual)
    return Shown(said, opening, dkg.prove(store, root, QUERY).car)


def test_an_honest_answer_is_verified() -> None:
    one = shown()
    found = verify_private(one.public, AIR, one.opening, one.car, QUERY)
    assert [row[0].value for row in found.answer.rows if row[0]] == ["here"]
    assert (found.claim, found.ual, found.commitment) == ("L1", AIR, commitment(AIR, one.opening))
    assert found.public_root == one.public.root
    assert found.answer.root == one.opening.root


def test_the_digest_is_that_of_the_documentation() -> None:
    opening = Opening(salt(1), CID_PREFIX + bytes(32))
    parts = [opening.salt, str(AIR).encode(), opening.root]
    data = b"dkg private asset 1\0" + b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    assert commitment(AIR, opening) == sha256(data).digest()
    assert commitment_iri(bytes(32)) == "ni:///sha-256;" + "A" * 43
    assert TAG == b"dkg private asset 1\0"


def test_step_1_the_answer_to_another_question_shows_no_commitment() -> None:
    one = shown()
    committed = term_of(commitment(AIR, one.opening))
    for query in (
        commitment_query(WATER),
        commitment_query(AIR) + " LIMIT 1",
        f"SELECT ?c {{ VALUES ?c {{ {committed.decode()} }} }}",
    ):
        said = public({AIR: [committed]}, AIR, query)
        with pytest.raises(CommitmentError, match="not to the question"):
            verify_private(said, AIR, one.opening, one.car, QUERY)


@pytest.mark.parametrize("numbers", [[], [1, 2]])
def test_step_2_none_and_two_commitments_are_no_commitment(numbers: list[int]) -> None:
    one = shown()
    terms = [term_of(commitment(AIR, Opening(salt(number), one.opening.root))) for number in numbers]
    with pytest.raises(CommitmentError, match=f"{len(numbers)} commitments"):
        verify_private(public({AIR: terms}, AIR), AIR, one.opening, one.car, QUERY)


@pytest.mark.parametrize(
    "term",
    [
        b'"ni:///sha-256;AAAA"',
        b"<ni:///sha-256;AAAA>",
        b"<ni:///sha-256;%b>" % (b"A" * 44),
        b"<ni:///sha-256;%b>" % (b"A" * 42 + b"B"),  # bits that no digest has
        b"<ni:///sha-512;%b>" % (b"A" * 43),
        b"<https://example.org/>",
    ],
)
def test_step_2_what_has_not_the_form_of_a_commitment_is_none(term: bytes) -> None:
    one = shown()
    with pytest.raises(CommitmentError):
        verify_private(public({AIR: [term]}, AIR), AIR, one.opening, one.car, QUERY)


def test_step_3_a_wrong_opening_opens_nothing() -> None:
    one = shown()
    for opening in (Opening(salt(2), one.opening.root), Opening(one.opening.salt, CID_PREFIX + salt(3))):
        with pytest.raises(OpeningError, match="does not open"):
            verify_private(one.public, AIR, opening, one.car, QUERY)


def test_step_3_salts_that_were_swapped_between_assets_open_nothing() -> None:
    air, water = shown(AIR, number=1), shown(WATER, number=2)
    swapped = Opening(water.opening.salt, air.opening.root)
    with pytest.raises(OpeningError):
        verify_private(air.public, AIR, swapped, air.car, QUERY)
    with pytest.raises(OpeningError):  # the whole opening, and the whole proof, of another asset
        verify_private(air.public, AIR, water.opening, water.car, QUERY)


def test_step_3_the_opening_of_an_old_version_opens_nothing() -> None:
    old, new = shown(text="old", number=1), shown(text="new", number=2)
    with pytest.raises(OpeningError):
        verify_private(new.public, AIR, old.opening, old.car, QUERY)
    assert verify_private(old.public, AIR, old.opening, old.car, QUERY).answer.rows


def test_step_3_a_commitment_that_was_copied_to_another_asset_opens_nothing_there() -> None:
    one = shown()
    copied = public({WATER: [term_of(commitment(AIR, one.opening))]}, WATER)
    with pytest.raises(OpeningError):
        verify_private(copied, WATER, one.opening, one.car, QUERY)


def test_step_4_a_proof_under_another_root_is_refused() -> None:
    one, other = shown(text="here"), shown(text="there")
    with pytest.raises(ProofError, match="for root"):
        verify_private(one.public, AIR, one.opening, other.car, QUERY)


def test_step_4_every_changed_byte_of_the_proof_is_noticed() -> None:
    one = shown()
    for at in range(0, len(one.car), 7):
        evil = one.car[:at] + bytes([one.car[at] ^ 1]) + one.car[at + 1 :]
        with pytest.raises(ProofError):
            verify_private(one.public, AIR, one.opening, evil, QUERY)


def test_equal_content_has_unequal_commitments_of_one_length() -> None:
    found = {commitment(ual, Opening(salt(n), CID_PREFIX + bytes(32))) for ual in (AIR, WATER) for n in range(50)}
    assert len(found) == 100
    assert {len(one) for one in found} == {COMMITMENT_BYTES}


def test_an_opening_is_not_in_its_repr() -> None:
    opening = Opening(salt(1), CID_PREFIX + bytes(32))
    assert opening.salt.hex() not in repr(opening)
    assert repr(opening) == "Opening(...)"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_an_opening_has_one_text(salt: bytes, digest: bytes) -> None:
    opening = Opening(salt, CID_PREFIX + digest)
    assert Opening.parse(opening.text) == opening
    assert opened(commitment(AIR, opening), AIR, opening) == opening.root


@given(st.text(max_size=120))
def test_whatever_is_given_as_an_opening_is_one_or_an_opening_error(text: str) -> None:
    try:
        assert Opening.parse(text).text == text
    except OpeningError:
        pass
    else:
        assert len(text) == -(-OPENING_BYTES * 4 // 3)


@given(st.text(max_size=80))
def test_whatever_is_given_as_a_commitment_is_one_or_a_commitment_error(text: str) -> None:
    try:
        found = commitment_of_iri(text)
    except CommitmentError:
        found = None
    assert found is None or commitment_iri(found) == text


@pytest.mark.parametrize("size", [OPENING_BYTES - 1, OPENING_BYTES + 1, 0])
def test_an_opening_has_one_length(size: int) -> None:
    with pytest.raises(OpeningError, match=f"{OPENING_BYTES} bytes"):
        Opening.decode((salt(1) * 3)[:size])
    with pytest.raises(OpeningError, match="not the CID"):
        Opening.decode((salt(1) * 3)[:OPENING_BYTES])
    with pytest.raises(OpeningError, match="32 bytes"):
        opened(bytes(31), AIR, Opening(salt(1), CID_PREFIX + bytes(32)))
