"""Whatever bytes a peer sends in place of a proof, the verifier raises `ProofError` and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.errors import PageError, ProofError
from dkg.page import cid_of, decode
from dkg.proof import verify
from tests.mutation.subjects import car_of, cid, header, section, subject, varint

EMPTY = b"\xa1\x61k\x80"
ROOT = cid(EMPTY)
QUERY = "SELECT * { ?s ?p ?o }"
PLAIN = next(it for it in map(subject, range(50)) if len(it.blocks) > 4)

_INTEGERS = st.integers(0, 1 << 70)
_FRAMED = st.lists(
    st.one_of(
        st.binary(max_size=50),
        st.builds(varint, _INTEGERS, st.integers(0, 3)),
        st.binary(max_size=50).map(lambda raw: section(cid(raw), raw)),
        st.sampled_from([header(ROOT), header(PLAIN.root), *(section(*block) for block in PLAIN.blocks)]),
    ),
    max_size=8,
).map(b"".join)


def refused(proof: bytes, query: str = QUERY, root: bytes = ROOT) -> None:
    with pytest.raises(ProofError):
        verify(proof, query, root)


@given(st.binary(max_size=300))
def test_noise_is_refused(proof: bytes) -> None:
    refused(proof)


@given(_FRAMED)
@settings(max_examples=500)
def test_parts_of_files_in_any_order_are_refused(proof: bytes) -> None:
    if proof != PLAIN.car:
        refused(proof, PLAIN.made.text, PLAIN.root)


@given(st.binary(max_size=300))
def test_noise_after_the_right_header_is_refused(noise: bytes) -> None:
    refused(header(ROOT) + noise)


# Everything that CBOR can say, tags, floats and lengths that lie included: the first bytes of random items.
_HEADS = st.builds(
    lambda major, info, rest: bytes([major << 5 | info]) + rest,
    st.integers(0, 7),
    st.integers(0, 31),
    st.binary(max_size=9),
)
_CBOR = st.lists(st.one_of(_HEADS, st.sampled_from([b"\x61k", b"\x61c", b"\x61n", b"\x61t", b"\x61v"])), max_size=12)


@given(st.one_of(_CBOR.map(b"".join), _CBOR.map(lambda parts: b"\xa1\x61k" + b"".join(parts))))
@settings(max_examples=500)
def test_a_root_page_of_any_cbor_is_refused(page: bytes) -> None:
    if page != EMPTY:
        with pytest.raises(PageError):
            decode(ROOT, page)
    refused(car_of(cid(page), [(cid(page), page)]), root=cid(page))


@given(st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.binary(max_size=40), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.sampled_from(["k", "c", "n", "t", "v", "x"]), inner, max_size=4),
    ),
))  # fmt: skip
@settings(max_examples=500)
def test_a_page_of_any_structure_is_read_back_as_it_was_or_refused(value: object) -> None:
    raw = encoded(value)
    try:
        page = decode(cid_of(raw), raw)
    except PageError:
        return
    assert page.encode() == raw


def encoded(value: object) -> bytes:
    """Return canonical CBOR of plain values, without the code under test."""
    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return _head(0, value % (1 << 64)) if value >= 0 else _head(1, (-1 - value) % (1 << 64))
        case bytes():
            return _head(2, len(value)) + value
        case str():
            return _head(3, len(value.encode())) + value.encode()
        case list():
            return _head(4, len(value)) + b"".join(map(encoded, value))
        case dict():
            items = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
            return _head(5, len(items)) + b"".join(encoded(k) + encoded(v) for k, v in items)
    message = f"{value!r} is not plain"
    raise TypeError(message)


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    size = next(i for i in range(4) if argument < 1 << (8 << i))
    return bytes([major << 5 | 24 + size]) + argument.to_bytes(1 << size, "big")
