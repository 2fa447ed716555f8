"""Pages: the DAG-CBOR blocks that trees are made of, and their CIDs (docs/formats.md, section 3).

A leaf is `{"k": [key, ...]}`. An inner page is `{"c": [link, ...], "k": [separator, ...], "n": [count, ...]}`
with one separator fewer than children: separator i stands between child i and child i + 1. A dataset root
is `{"n": quads, "t": [link of spog, posg, ospg, gspo], "v": 1}`. A page is its canonical bytes and nothing else:
decoding refuses whatever does not encode back to the same bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import sha256
from itertools import pairwise
from operator import lt
from typing import Any, Final

import libipld

from dkg.errors import PageError
from dkg.limits import CHILDREN_MAX, LEAF_KEYS_MAX

CID_PREFIX: Final = b"\x01\x71\x12\x20"
"""CIDv1, codec dag-cbor (0x71), multihash sha2-256 (0x12) of 32 bytes (0x20)."""

CID_LENGTH: Final = len(CID_PREFIX) + 32
"""Bytes of a binary CID."""

PAGE_BYTES_MAX: Final = 48 * 1024 * 1024
"""Largest page that is decoded, in bytes: a leaf holds at most 40 keys of `KEY_BYTES_MAX`."""

FLAT_BYTES: Final = 8 * 1024
"""Bytes of a page from which its nesting is looked at before it is decoded: shorter ones cannot nest too deep."""

FORMAT_VERSION: Final = 1

ORDERS: Final = ("spog", "posg", "ospg", "gspo")
"""The four indexes, in the order of the dataset root's links."""


_LENGTH_FOLLOWS: Final = 24  # RFC 8949, section 3
_DEPTH_MAX: Final = 4  # a map of lists of tagged links, and the item that is the page
_ITEMS_MAX: Final = 4 * LEAF_KEYS_MAX

_BYTES: Final = {bytes}
_INTEGERS: Final = {int}


class Leaf:
    """A page of keys, strictly ascending. `count` is their number."""

    __slots__ = ("checked_order", "count", "hashes", "keys")

    def __init__(self, keys: list[bytes]) -> None:
        self.keys = keys
        self.count = len(keys)
        self.hashes: list[int] | None = None  # filled by dkg.update, which needs them again and again
        self.checked_order = ""  # the index order for which all keys were found to be quads (dkg.gather)

    def encode(self) -> bytes:
        """The page's canonical bytes."""
        if _like_links(self.keys):
            return b"\xa1\x61k" + _byte_strings(self.keys)
        return _encode({"k": self.keys})


class Inner:
    """A page of children. `count` is the number of keys below it."""

    __slots__ = ("children", "count", "counts", "separators")

    def __init__(self, children: list[bytes], separators: list[bytes], counts: list[int]) -> None:
        self.children = children
        self.separators = separators
        self.counts = counts
        self.count = sum(counts)

    def encode(self) -> bytes:
        """The page's canonical bytes."""
        if _like_links(self.separators):
            children, counts = libipld.encode_dag_cbor(self.children), libipld.encode_dag_cbor(self.counts)
            return b"".join([b"\xa3\x61c", children, b"\x61k", _byte_strings(self.separators), b"\x61n", counts])
        return _encode({"c": self.children, "k": self.separators, "n": self.counts})


class DatasetRoot:
    """The page that a dataset's root CID names: its four index roots and the number of its quads."""

    __slots__ = ("count", "trees")

    def __init__(self, trees: list[bytes], count: int) -> None:
        self.trees = trees
        self.count = count

    def encode(self) -> bytes:
        """The page's canonical bytes."""
        return _encode({"n": self.count, "t": self.trees, "v": FORMAT_VERSION})


Page = Leaf | Inner | DatasetRoot


def _encode(value: dict[str, Any]) -> bytes:
    encoded: bytes = libipld.encode_dag_cbor(value)
    return encoded


def _like_links(keys: list[bytes]) -> bool:
    """Whether libipld may take one of these, which ascend, for a link: it writes bytes that begin as a CID does as one.

    And it reads links as bytes, so that what encodes back to the same bytes had none.
    """
    return bool(keys) and (keys[0][:1] <= b"\x01" or bisect_left(keys, b"\x12") != bisect_left(keys, b"\x13"))


def _byte_strings(values: list[bytes]) -> bytes:
    """A list of byte strings in DAG-CBOR, whatever is in them."""
    parts = [_head(4, len(values))]
    for value in values:
        parts += [_head(2, len(value)), value]
    return b"".join(parts)


def _head(major: int, length: int) -> bytes:
    """The first bytes of an item (RFC 8949, section 3), in its shortest form."""
    if length < _LENGTH_FOLLOWS:
        return bytes([major << 5 | length])
    size = next(size for size in range(4) if length < 1 << (8 << size))
    return bytes([major << 5 | _LENGTH_FOLLOWS + size]) + length.to_bytes(1 << size)


def cid_of(raw: bytes) -> bytes:
    """The binary CID of a page's bytes."""
    return CID_PREFIX + sha256(raw).digest()


def cid_text(cid: bytes) -> str:
    """A CID in its usual text form (multibase base32, `bafyrei...`)."""
    text: str = libipld.encode_cid(cid)
    return text


def cid_bytes(text: str) -> bytes:
    """The binary CID of a text form. Raises `ValueError` when it is not the CID of a page."""
    try:
        decoded = libipld.decode_cid(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a CID") from error
    cid: bytes = CID_PREFIX + decoded["hash"]["digest"]
    if len(cid) != CID_LENGTH or cid_text(cid) != text:
        raise ValueError(f"{text!r} is not the CID of a page (CIDv1, dag-cbor, sha2-256, in base32)")
    return cid


def _is_cid(value: object) -> bool:
    return type(value) is bytes and len(value) == CID_LENGTH and value.startswith(CID_PREFIX)


def _all_cids(links: object) -> bool:
    if type(links) is not list or set(map(type, links)) != _BYTES or set(map(len, links)) != {CID_LENGTH}:
        return False
    return {link[: len(CID_PREFIX)] for link in links} == {CID_PREFIX}


def decode(cid: bytes, raw: bytes) -> Page:
    """The page whose CID is `cid`, from `raw`, checked in full.

    1. `raw` is no longer than `PAGE_BYTES_MAX` and hashes to `cid`.
    2. It is DAG-CBOR of one of the three shapes, and encodes back to the same bytes.
    3. Keys and separators strictly ascend; counts are positive; links are CIDs of pages.

    Raises `PageError`.
    """
    if len(raw) > PAGE_BYTES_MAX:
        raise PageError(f"a page of {len(raw)} bytes is over the limit of {PAGE_BYTES_MAX} bytes")
    if CID_PREFIX + sha256(raw).digest() != cid:
        raise PageError(f"the bytes given for page {_name(cid)} hash to {cid_text(cid_of(raw))}")
    try:
        if len(raw) > FLAT_BYTES:
            _check_flat(raw)
        value = libipld.decode_dag_cbor(raw)
        page = _shape(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PageError(f"page {_name(cid)} is not DAG-CBOR of a known shape: {error}") from error
    if page.encode() != raw:
        raise PageError(f"page {_name(cid)} is not in canonical encoding, or has links where byte strings belong")
    return page


def _check_flat(raw: bytes) -> None:
    """Look at the headers of all items before the decoder does, which recurses: 600 bytes of stack a level."""
    at, items, open_items = 0, 0, [1]
    while open_items and at < len(raw):
        items += 1
        open_items[-1] -= 1
        major, length = raw[at] >> 5, raw[at] & 31
        at += 1
        if length >= _LENGTH_FOLLOWS:
            size = 1 << (length - _LENGTH_FOLLOWS)
            length = int.from_bytes(raw[at : at + size])
            at += size if size <= 8 else len(raw)  # noqa: PLR2004 - longer: not canonical, the decoder says so
        if major in {2, 3}:
            at += length
        elif 4 <= major <= 6:  # noqa: PLR2004 - list, map, tag
            open_items.append({4: length, 5: 2 * length, 6: 1}[major])
        while open_items and not open_items[-1]:
            open_items.pop()
        if len(open_items) > _DEPTH_MAX or items > _ITEMS_MAX:
            raise ValueError("it is nested too deep or has too many items")


def _name(cid: bytes) -> str:
    return cid_text(cid) if _is_cid(cid) else cid.hex()


def _shape(value: object) -> Page:
    if type(value) is not dict:
        raise ValueError("a page must be a map")
    fields = [*value]
    if fields == ["k"]:
        return _leaf(value["k"])
    if fields == ["c", "k", "n"]:
        return _inner(value["c"], value["k"], value["n"])
    if fields == ["n", "t", "v"]:
        return _dataset_root(value["n"], value["t"], value["v"])
    raise ValueError(f"no page has the fields {sorted(map(str, value))}")


def _leaf(keys: Any) -> Leaf:  # noqa: ANN401 - whatever a peer sent
    _check_ascending(keys, "keys")
    if len(keys) > LEAF_KEYS_MAX:
        raise ValueError(f"a leaf has {len(keys)} keys; {LEAF_KEYS_MAX} are the most")
    return Leaf(keys)


def _inner(children: Any, separators: Any, counts: Any) -> Inner:  # noqa: ANN401 - whatever a peer sent
    if not _all_cids(children):
        raise ValueError("an inner page must have links to pages")
    if len(children) > CHILDREN_MAX:
        raise ValueError(f"an inner page has {len(children)} children; {CHILDREN_MAX} are the most")
    _check_ascending(separators, "separators")
    if separators and not separators[0]:
        raise ValueError("a separator is empty")
    if type(counts) is not list or set(map(type, counts)) != _INTEGERS or not 0 < min(counts) <= max(counts) < 1 << 63:
        raise ValueError("counts must be positive integers below 2^63")
    if not len(children) == len(counts) == len(separators) + 1:
        raise ValueError(f"{len(children)} children, {len(counts)} counts and {len(separators)} separators")
    return Inner(children, separators, counts)


def _dataset_root(count: Any, trees: Any, version: Any) -> DatasetRoot:  # noqa: ANN401 - whatever a peer sent
    if version != FORMAT_VERSION or type(version) is not int:
        raise ValueError(f"format version {version!r} is not {FORMAT_VERSION}, the one this release reads")
    if not _all_cids(trees) or len(trees) != len(ORDERS):
        raise ValueError("a dataset root must link to four trees")
    if type(count) is not int or not 0 <= count < 1 << 63:
        raise ValueError("the number of quads must be an integer from 0 to 2^63 - 1")
    return DatasetRoot(trees, count)


def _check_ascending(keys: Any, what: str) -> None:  # noqa: ANN401 - whatever a peer sent
    if type(keys) is not list or not set(map(type, keys)) <= _BYTES:
        raise ValueError(f"{what} must be a list of byte strings")
    if not all(map(lt, keys, keys[1:])):
        at = next(i for i, (a, b) in enumerate(pairwise(keys)) if a >= b)
        raise ValueError(f"{what} {at} and {at + 1} are not in ascending order")


EMPTY_LEAF: Final = Leaf([]).encode()
"""The only page of an empty tree."""

EMPTY_TREE: Final = cid_of(EMPTY_LEAF)
