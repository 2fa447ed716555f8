"""Vectors of pages that are shown to a contract, and of owners (docs/formats.md, sections 11 and 12)."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.checkpoints.owners import owner_of, permute, prefix_of
from dkg.checkpoints.shown import Kind, classify, last_block
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import EMPTY_LEAF, EMPTY_TREE, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from tests.dkg.checkpoints.worlds import (
    DOMAIN,
    PUBLISHERS,
    key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


LEAF = Leaf([b"<a>\0", b"<b>\0", b"<c>\0"])
LINKS = [cid_of(b"page %d" % number) for number in range(8)]
INNER = Inner(LINKS[:3], [b"<b>", b"<c>"], [3, 1, 2**40])
ROOT = DatasetRoot(LINKS[:4], 7)


def digest(raw: bytes) -> bytes:
    return sha256(raw).digest()


def leaf_of(size: int) -> bytes:
    """A leaf of exactly so many bytes, with 40 keys."""
    keys = [b"<%02d>" % at + b"x" * (KEY_MAX - 4) for at in range(40)]
    keys[-1] += b"x" * (size - len(Leaf(keys).encode()))
    return Leaf(keys).encode()


def _head(major: int, number: int, size: int = 0) -> bytes:
    """The head of a CBOR item with its number in so many bytes (0: as short as can be)."""
    if size == 0 and number < 24:
        return bytes([major << 5 | number])
    size = size or next(width for width in (1, 2, 4, 8) if number < 1 << 8 * width)
    return bytes([major << 5 | 24 + size.bit_length() - 1]) + number.to_bytes(size)


def strings(*items: bytes) -> bytes:
    return _head(4, len(items)) + b"".join(_head(2, len(item)) + item for item in items)


def _link(cid: bytes) -> bytes:
    return b"\xd8\x2a" + _head(2, len(cid) + 1) + b"\0" + cid


def mapped(**values: bytes) -> bytes:
    return _head(5, len(values)) + b"".join(_head(3, 1) + name.encode() + value for name, value in values.items())


def _inner_bytes(
    links: list[bytes],
    separators: list[bytes],
    counts: list[int],
    *,
    link: Callable[[bytes], bytes] = _link,
    size: int = 0,
) -> bytes:
    children = _head(4, len(links)) + b"".join(map(link, links))
    numbers = _head(4, len(counts)) + b"".join(_head(0, count, size) for count in counts)
    return mapped(c=children, k=strings(*separators), n=numbers)


A, B, C = b"<a>\0", b"<b>\0", b"<c>\0"


def _malformed() -> Iterator[tuple[str, bytes]]:
    yield from _malformed_leaves()
    yield from _malformed_inner_pages()
    yield from _malformed_roots()


def _malformed_leaves() -> Iterator[tuple[str, bytes]]:
    a, b, leaf = A, B, LEAF.encode()
    yield "nothing", b""
    yield "a leaf cut off", leaf[:-1]
    yield "a leaf and a byte more", leaf + b"\0"
    yield "a leaf twice", leaf * 2
    yield "keys that descend", mapped(k=strings(b, a))
    yield "a key twice", mapped(k=strings(a, a))
    yield "a prefix after its longer key", mapped(k=strings(b"<a>\0", b"<a>"))
    yield "41 keys", mapped(k=strings(*(b"<%02d>" % at for at in range(41))))
    yield "a key of 0xff", mapped(k=strings(a, b"\xff"))
    yield "a key above 0xff", mapped(k=strings(a, b"\xff\0"))
    yield "a link where a key belongs", mapped(k=_head(4, 1) + _link(LINKS[0]))
    yield "a text where a key belongs", mapped(k=_head(4, 1) + _head(3, 3) + b"<a>")
    yield "a key with its length in two bytes", mapped(k=_head(4, 1) + _head(2, 4, 1) + a)
    yield "keys with their number in two bytes", mapped(k=_head(4, 1, 1) + _head(2, 4) + a)
    yield "a map with its size in two bytes", _head(5, 1, 1) + leaf[1:]
    yield "a map without end", b"\xbf" + leaf[1:] + b"\xff"
    yield "keys without end", mapped(k=b"\x9f" + _head(2, 4) + a + b"\xff")
    yield "a key in pieces", mapped(k=_head(4, 1) + b"\x5f" + _head(2, 4) + a + b"\xff")
    yield "another field", mapped(x=strings(a))
    yield "a field more", mapped(k=strings(a), x=b"\0")
    yield "an inner page's fields in another order", mapped(k=strings(), c=_head(4, 1) + _link(LINKS[0]), n=b"\x81\1")
    yield "a list of keys", strings(a)


def _malformed_inner_pages() -> Iterator[tuple[str, bytes]]:
    b, c, inner = B, C, INNER.encode()
    yield "an inner page cut off", inner[:-1]
    yield "an inner page and a byte more", inner + b"\0"
    yield "an inner page without children", _inner_bytes([], [], [])
    yield "nine children", _inner_bytes([*LINKS, LINKS[0]], [b"<%d" % at for at in range(8)], [1] * 9)
    yield "a child without a separator", _inner_bytes(LINKS[:3], [b], [1, 1, 1])
    yield "a separator without a child", _inner_bytes(LINKS[:2], [b, c], [1, 1])
    yield "a child without a count", _inner_bytes(LINKS[:2], [b], [1])
    yield "a count without a child", _inner_bytes(LINKS[:2], [b], [1, 1, 1])
    yield "an empty separator", _inner_bytes(LINKS[:3], [b"", b], [1, 1, 1])
    yield "separators that descend", _inner_bytes(LINKS[:3], [c, b], [1, 1, 1])
    yield "a separator twice", _inner_bytes(LINKS[:3], [b, b], [1, 1, 1])
    yield "a separator of 0xff", _inner_bytes(LINKS[:2], [b"\xff"], [1, 1])
    yield "a link where a separator belongs", inner.replace(strings(b"<b>", b"<c>"), _head(4, 1) + _link(LINKS[0]))
    two = _inner_bytes(LINKS[:2], [b], [1, 1])
    yield (
        "a link where the only separator belongs",
        two.replace(strings(b), _head(4, 1) + _link(LINKS[0])),
    )
    yield "a count of 0", _inner_bytes(LINKS[:2], [b], [1, 0])
    yield "a count of 2^63", _inner_bytes(LINKS[:2], [b], [1, 2**63])
    yield "a negative count", two[:-1] + b"\x20"
    yield "a count in two bytes", _inner_bytes(LINKS[:2], [b], [1, 1], size=1)
    yield "a count in nine bytes", _inner_bytes(LINKS[:2], [b], [1, 1], size=8)
    yield "a count that is true", two[:-1] + b"\xf5"
    yield "a child that is a byte string", _inner_bytes(LINKS[:1], [], [1], link=lambda cid: _head(2, len(cid)) + cid)
    yield "a child of codec raw", inner.replace(b"\x01\x71\x12\x20", b"\x01\x55\x12\x20", 1)
    yield "a child of another hash", inner.replace(b"\x01\x71\x12\x20", b"\x01\x71\x1b\x20", 1)
    yield "a child of version 0", _inner_bytes([LINKS[0][2:]], [], [1])
    yield "a child without the multibase's zero", inner.replace(b"\x25\0\x01", b"\x25\1\x01", 1)
    yield "a child of another tag", inner.replace(b"\xd8\x2a", b"\xd8\x2b", 1)


def _malformed_roots() -> Iterator[tuple[str, bytes]]:
    root = ROOT.encode()
    yield "a dataset root cut off", root[:-1]
    yield "a dataset root and a byte more", root + b"\0"
    yield "a dataset root of three trees", mapped(n=b"\7", t=_head(4, 3) + b"".join(map(_link, LINKS[:3])), v=b"\1")
    yield "a dataset root of five trees", mapped(n=b"\7", t=_head(4, 5) + b"".join(map(_link, LINKS[:5])), v=b"\1")
    yield "a dataset root of version 2", root[:-1] + b"\2"
    yield "a dataset root without a version", b"\xa2" + root[1:-3]
    yield (
        "a dataset root of 2^63 quads",
        mapped(n=_head(0, 2**63), t=_head(4, 4) + b"".join(map(_link, LINKS[:4])), v=b"\1"),
    )
    yield "a dataset root with a list of nothing", mapped(n=b"\7", t=b"\x80", v=b"\1")


def _well_formed() -> Iterator[tuple[str, bytes]]:
    yield "the empty leaf", EMPTY_LEAF
    yield "a leaf", LEAF.encode()
    yield "a leaf of 40 keys", Leaf([b"<%02d>\0" % at for at in range(40)]).encode()
    yield (
        "a leaf with keys of 23, 24, 255 and 256 bytes",
        Leaf([b"<%03d" % at + b"x" * (at - 4) for at in (23, 24, 255, 256)]).encode(),
    )
    yield (
        "a leaf with keys of 768, 769 and 770 bytes",
        Leaf([b"<%d" % at + b"x" * (at - 4) for at in (768, 769, 770)]).encode(),
    )
    yield (
        "a leaf with keys that begin with the tags",
        Leaf([b"\x02", b"\x10\x80", b"\x11", b"\x13", b"\xfe\xff"]).encode(),
    )
    yield (
        "a leaf with keys that begin as links do",
        Leaf([b"", b"\0", b"\1", LINKS[0], b"\x12\x20" + bytes(32)]).encode(),
    )
    yield (
        "separators that begin as links do",
        Inner(LINKS[:4], [b"\0", LINKS[0], b"\x12\x20" + bytes(32)], [1, 2, 3, 4]).encode(),
    )
    yield "an inner page", INNER.encode()
    yield "an inner page of one child", Inner(LINKS[:1], [], [1]).encode()
    yield (
        "an inner page of eight children",
        Inner(LINKS, [b"<%d" % at for at in range(7)], [23, 24, 255, 256, 65535, 65536, 2**32, 2**63 - 1]).encode(),
    )
    yield "a dataset root", ROOT.encode()
    yield "a dataset root of nothing", DatasetRoot([EMPTY_TREE] * 4, 0).encode()
    yield "a dataset root of 2^63 - 1 quads", DatasetRoot(LINKS[:4], 2**63 - 1).encode()
    yield "a leaf of 30,976 bytes", leaf_of(SHOW_MAX)


def _long() -> Iterator[tuple[str, bytes]]:
    yield "a leaf of 30,977 bytes", leaf_of(SHOW_MAX + 1)
    yield "a leaf of 31,032 bytes: its padding takes another block", leaf_of(SHOW_MAX + 56)


def pages() -> list[dict[str, Any]]:
    """Pages of each kind, what is kept of them, and of long ones the last block."""
    made: list[dict[str, Any]] = []
    for kind, named in ((Kind.WELL_FORMED, _well_formed()), (Kind.MALFORMED, _malformed()), (Kind.LONG, _long())):
        for name, raw in named:
            found = classify(raw)
            if found.kind is not kind:
                message = f"{name} is {found.kind.name}"
                raise ValueError(message)
            case = {"name": name, "kind": kind.name.lower(), "raw": raw.hex(), "digest": digest(raw).hex()}
            case |= {"summary": found.summary.hex(), "word": found.word.hex()}
            if kind is Kind.LONG:
                state, block = last_block(raw)
                case |= {"state": state.hex(), "block": block.hex()}
            made.append(case)
    return made


def owners() -> dict[str, Any]:
    """Whose keys of spog are, and the same components in the other indexes."""
    mine = prefix_of(DOMAIN, PUBLISHERS[0])
    start = b"<urn:s>\0<urn:p>\0"
    cases = {
        "a publisher's": key(PUBLISHERS[0], 1),
        "another publisher's": key(PUBLISHERS[1], 2),
        "a graph that is only the prefix": start + b'"o"\0' + mine + b"\0",
        "of the longest length": start + b'"' + b"o" * (KEY_MAX - 20 - len(mine)) + b'"\0' + mine + b"\0",
        "one byte too long": start + b'"' + b"o" * (KEY_MAX - 19 - len(mine)) + b'"\0' + mine + b"\0",
        "no terms, but components": b"\x10\0a\0\xfe\0" + mine + b"\0",
        "of another graph": start + b'"o"\0<urn:g>\0',
        "without a graph": start + b'"o"\0',
        "five components": key(PUBLISHERS[0], 1) + b"x\0",
        "without an end": key(PUBLISHERS[0], 1)[:-1],
        "an empty subject": b"\0<urn:p>\0o\0" + mine + b"\0",
        "an empty object": start + b"\0" + mine + b"\0",
        "a predicate that begins with 0x01": b"<urn:s>\0\x01\0o\0" + mine + b"\0",
        "an object that begins with 0x12": start + b"\x12\0" + mine + b"\0",
        "an object that begins with 0xff": start + b"\xff\0" + mine + b"\0",
        "an object with these bytes in it": start + b"o\x01\x12\xff\0" + mine + b"\0",
        "nothing": b"",
        "one zero": b"\0",
        "four zeros": b"\0\0\0\0",
        "a publisher in capitals": start + b"o\0" + mine.replace(mine[-42:], mine[-42:].upper()) + b"\0",
        "a publisher cut short": start + b"o\0" + mine[:-2] + b"/\0",
        "a publisher without its end": start + b"o\0" + mine[:-1] + b">\0",
        "another registry": start + b"o\0" + prefix_of(replace(DOMAIN, registry=bytes(20)), PUBLISHERS[0]) + b"\0",
        "another chain": start + b"o\0" + prefix_of(replace(DOMAIN, chain_id=3133), PUBLISHERS[0]) + b"\0",
        "a chain that begins the same": start
        + b"o\0"
        + prefix_of(replace(DOMAIN, chain_id=313370), PUBLISHERS[0])
        + b"\0",
        "the prefix in the object": start + mine + b"\0<urn:g>\0",
        "text before the prefix": start + b"o\0<" + mine + b"\0",
    }
    found = {name: owner_of(one, DOMAIN) for name, one in cases.items()}
    return {
        "chain_id": DOMAIN.chain_id,
        "registry": DOMAIN.registry.hex(),
        "keys": [
            {"name": name, "key": one.hex(), "owner": owner.hex() if (owner := found[name]) else None}
            for name, one in cases.items()
        ],
        "permuted": [
            {order: permute(cases[name], "spog", order).hex() for order in ORDERS}
            for name in ("a publisher's", "no terms, but components")
        ],
    }


FILES = {"checkpoints/pages.json": pages, "checkpoints/owners.json": owners}
