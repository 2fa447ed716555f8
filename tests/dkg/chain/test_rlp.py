"""RLP: the same as another implementation's, one encoding for each value, and bounds."""

from __future__ import annotations

import pytest
import rlp as other  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from dkg.chain.rlp import BYTES_MAX, DEPTH_MAX, Item, RlpError, decode, encode, number, number_of

LENGTHS = st.sampled_from([0, 1, 2, 54, 55, 56, 57, 255, 256, 257, 1000])
TEXTS = st.binary(max_size=3) | LENGTHS.flatmap(lambda size: st.binary(min_size=size, max_size=size))
ITEMS: st.SearchStrategy[Item] = st.recursive(
    TEXTS, lambda inner: st.lists(inner, max_size=5) | st.lists(st.just(b"x"), min_size=54, max_size=58), max_leaves=20
)


def nested(depth: int) -> Item:
    """Lists in lists, around nothing."""
    item: Item = []
    for _ in range(depth):
        item = [item]
    return item


def depth_of(item: Item) -> int:
    return 1 + max(map(depth_of, item), default=0) if isinstance(item, list) else 0


@given(ITEMS.filter(lambda item: depth_of(item) <= DEPTH_MAX))
def test_items_are_encoded_as_elsewhere_and_read_back(item: Item) -> None:
    data = encode(item)
    assert data == other.encode(item)
    assert decode(data) == item


def agrees(data: bytes) -> None:
    """What the other implementation reads, this one reads as the same, and nothing else."""
    try:
        expected = other.decode(data, strict=True)
    except (RLPException, IndexError):  # it takes some bytes that are cut off for an error of its own
        with pytest.raises(RlpError):
            decode(data)
        return
    found = decode(data)
    assert found == expected
    assert encode(found) == data


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_read_as_elsewhere_or_refused(data: bytes) -> None:
    agrees(data)


@given(ITEMS.filter(lambda item: depth_of(item) < DEPTH_MAX - 1), st.data())
def test_bytes_altered_left_out_or_added_are_read_as_elsewhere_or_refused(item: Item, data: st.DataObject) -> None:
    raw = bytearray(encode(item))
    at = data.draw(st.integers(0, len(raw) - 1))
    how = data.draw(st.sampled_from(["alter", "drop", "add"]))
    if how == "alter":
        raw[at] ^= data.draw(st.integers(1, 255))
    elif how == "drop":
        del raw[at]
    else:
        raw.insert(at, data.draw(st.integers(0, 255)))
    agrees(bytes(raw))


@pytest.mark.parametrize(
    "data",
    [
        "",
        "8100",  # a byte below 0x80 with a length
        "817f",
        "b800",  # a long form of a short length
        "b837" + "61" * 55,
        "b90038" + "61" * 56,  # a length with a leading zero
        "f800",
        "f837" + "61" * 55,
        "f90038" + "61" * 56,
        "c28100",  # inside a list
        "c2820061",  # an item longer than its list
        "c1",  # cut off
        "83aabb",
        "b8",
        "b9ff",
        "bf" + "ff" * 8,
        "ff" + "ff" * 8,
        "c0c0",  # more than one item
        "8000",
    ],
)
def test_what_is_not_the_one_encoding_is_refused(data: str) -> None:
    with pytest.raises(RlpError):
        decode(bytes.fromhex(data))


def test_lists_are_nested_up_to_the_limit_and_not_once_more() -> None:
    assert decode(encode(nested(DEPTH_MAX))) == nested(DEPTH_MAX)
    with pytest.raises(RlpError, match=f"more than {DEPTH_MAX} deep"):
        decode(encode(nested(DEPTH_MAX + 1)))


def test_lists_without_end_do_not_exhaust_the_stack() -> None:
    with pytest.raises(RlpError, match="deep"):
        decode(encode(nested(300)))


def test_an_encoding_is_read_up_to_the_limit_and_not_one_byte_more() -> None:
    text = b"x" * (BYTES_MAX - 3)
    assert len(encode(text)) == BYTES_MAX
    assert decode(encode(text)) == text
    with pytest.raises(RlpError, match=f"{BYTES_MAX} are the most"):
        decode(encode(text + b"x"))


@given(st.integers(0, 2**256))
def test_numbers_have_no_leading_zeros(value: int) -> None:
    assert number(value) == (b"" if value == 0 else value.to_bytes(40).lstrip(b"\0"))
    assert number_of(number(value), "it") == value
    with pytest.raises(RlpError, match="it is no number"):
        number_of(b"\0" + number(value), "it")


def test_a_list_is_no_number() -> None:
    with pytest.raises(RlpError, match="it is no number"):
        number_of([], "it")
