"""Vectors of checkpoints: shown pages, owners, paths, faults and records (docs/formats.md, sections 11 to 13)."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dkg.checkpoints.owners import owner_of, permute, prefix_of
from dkg.checkpoints.paths import SEGMENT_OPENED, SEGMENT_SUMMARY, Step, Way, follow, path
from dkg.checkpoints.records import Record, claim, counting_commit, marked_among
from dkg.checkpoints.shown import Kind, classify, entries_of, last_block, stub
from dkg.checkpoints.walk import FaultKind
from dkg.limits import KEY_MAX, SEGMENTS_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, EMPTY_LEAF, EMPTY_TREE, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, StoredPages
from tests.dkg.checkpoints.worlds import (
    DOMAIN,
    PUBLISHERS,
    STRANGER,
    World,
    dataset,
    deep,
    key,
    put,
    spog_only,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.checkpoints.paths import Place
    from dkg.page import Page

LEAF = Leaf([b"<a>\0", b"<b>\0", b"<c>\0"])
LINKS = [cid_of(b"page %d" % number) for number in range(8)]
INNER = Inner(LINKS[:3], [b"<b>", b"<c>"], [3, 1, 2**40])
ROOT = DatasetRoot(LINKS[:4], 7)


def _digest(raw: bytes) -> bytes:
    return sha256(raw).digest()


# --- shown pages --------------------------------------------------------------------------------------------------


def _leaf_of(size: int) -> bytes:
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


def _strings(*items: bytes) -> bytes:
    return _head(4, len(items)) + b"".join(_head(2, len(item)) + item for item in items)


def _link(cid: bytes) -> bytes:
    return b"\xd8\x2a" + _head(2, len(cid) + 1) + b"\0" + cid


def _map(**values: bytes) -> bytes:
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
    return _map(c=children, k=_strings(*separators), n=numbers)


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
    yield "keys that descend", _map(k=_strings(b, a))
    yield "a key twice", _map(k=_strings(a, a))
    yield "a prefix after its longer key", _map(k=_strings(b"<a>\0", b"<a>"))
    yield "41 keys", _map(k=_strings(*(b"<%02d>" % at for at in range(41))))
    yield "a key of 0xff", _map(k=_strings(a, b"\xff"))
    yield "a key above 0xff", _map(k=_strings(a, b"\xff\0"))
    yield "a link where a key belongs", _map(k=_head(4, 1) + _link(LINKS[0]))
    yield "a text where a key belongs", _map(k=_head(4, 1) + _head(3, 3) + b"<a>")
    yield "a key with its length in two bytes", _map(k=_head(4, 1) + _head(2, 4, 1) + a)
    yield "keys with their number in two bytes", _map(k=_head(4, 1, 1) + _head(2, 4) + a)
    yield "a map with its size in two bytes", _head(5, 1, 1) + leaf[1:]
    yield "a map without end", b"\xbf" + leaf[1:] + b"\xff"
    yield "keys without end", _map(k=b"\x9f" + _head(2, 4) + a + b"\xff")
    yield "a key in pieces", _map(k=_head(4, 1) + b"\x5f" + _head(2, 4) + a + b"\xff")
    yield "another field", _map(x=_strings(a))
    yield "a field more", _map(k=_strings(a), x=b"\0")
    yield "an inner page's fields in another order", _map(k=_strings(), c=_head(4, 1) + _link(LINKS[0]), n=b"\x81\1")
    yield "a list of keys", _strings(a)


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
    yield "a link where a separator belongs", inner.replace(_strings(b"<b>", b"<c>"), _head(4, 1) + _link(LINKS[0]))
    two = _inner_bytes(LINKS[:2], [b], [1, 1])
    yield (
        "a link where the only separator belongs",
        two.replace(_strings(b), _head(4, 1) + _link(LINKS[0])),
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
    yield "a dataset root of three trees", _map(n=b"\7", t=_head(4, 3) + b"".join(map(_link, LINKS[:3])), v=b"\1")
    yield "a dataset root of five trees", _map(n=b"\7", t=_head(4, 5) + b"".join(map(_link, LINKS[:5])), v=b"\1")
    yield "a dataset root of version 2", root[:-1] + b"\2"
    yield "a dataset root without a version", b"\xa2" + root[1:-3]
    yield (
        "a dataset root of 2^63 quads",
        _map(n=_head(0, 2**63), t=_head(4, 4) + b"".join(map(_link, LINKS[:4])), v=b"\1"),
    )
    yield "a dataset root with a list of nothing", _map(n=b"\7", t=b"\x80", v=b"\1")


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
    yield "a leaf of 30,976 bytes", _leaf_of(SHOW_MAX)


def _long() -> Iterator[tuple[str, bytes]]:
    yield "a leaf of 30,977 bytes", _leaf_of(SHOW_MAX + 1)
    yield "a leaf of 31,032 bytes: its padding takes another block", _leaf_of(SHOW_MAX + 56)


def pages() -> list[dict[str, Any]]:
    """Pages of each kind, what is kept of them, and of long ones the last block."""
    made: list[dict[str, Any]] = []
    for kind, named in ((Kind.WELL_FORMED, _well_formed()), (Kind.MALFORMED, _malformed()), (Kind.LONG, _long())):
        for name, raw in named:
            found = classify(raw)
            if found.kind is not kind:
                message = f"{name} is {found.kind.name}"
                raise ValueError(message)
            case = {"name": name, "kind": kind.name.lower(), "raw": raw.hex(), "digest": _digest(raw).hex()}
            case |= {"summary": found.summary.hex(), "word": found.word.hex()}
            if kind is Kind.LONG:
                state, block = last_block(raw)
                case |= {"state": state.hex(), "block": block.hex()}
            made.append(case)
    return made


# --- owners -------------------------------------------------------------------------------------------------------


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


# --- paths --------------------------------------------------------------------------------------------------------


def _summaries(way: Way) -> set[bytes]:
    return {step.digest for step in way.steps}


def _case(name: str, root: bytes, at: int, place: Place) -> dict[str, Any]:
    kind = "member" if place.member else "hidden" if place.hidden else "absent"
    return {
        "name": name,
        "kind": kind,
        "root": root[len(CID_PREFIX) :].hex(),
        "tree": at,
        "key": stub(place.key).hex(),
        "before": place.before.hex(),
        "after": place.after.hex(),
        "path": place.encode().hex(),
        "summarised": place.encode(_summaries(place)).hex(),
    }


def _key(number: int, text: str = "") -> bytes:
    """A key of spog with the shape of a quad, shorter than those of publishers."""
    return f"<s{number:04}>\0<p{number % 3}>\0<{text}>\0<g>\0".encode()


def _keys() -> list[bytes]:
    return [_key(number) for number in range(0, 400, 2)]


def _long_keys() -> list[bytes]:
    return [_key(number, "x" * 800) for number in range(40)]


def _long_world(store: MemoryPageStore) -> bytes:
    """A dataset with a long leaf between two others; gives its root."""
    low = [_key(number) for number in range(1000, 1005)]
    high = [_key(number) for number in range(3000, 3005)]
    middle = [_key(2000 + number, "x" * 800) for number in range(40)]
    leaves = [put(store, Leaf(keys)) for keys in (low, middle, high)]
    top = put(store, Inner(leaves, [b"<s2", b"<s3"], [5, 40, 5]))
    return spog_only(store, top, 50)


def _edges(pages: StoredPages, root: bytes) -> tuple[Place, bytes]:
    """The first place of a leaf that is not the first leaf of spog, and its lower bound."""
    for one in _keys():
        place = path(pages, root, 0, one)
        lower = Way(place.steps).bounds[0]
        if lower and place.at == 0:
            return place, lower
    raise ValueError("the tree has one leaf")


def paths() -> dict[str, Any]:
    """Paths to keys that are there, are not, and are behind a long page; and what is refused."""
    store = MemoryPageStore()
    pages = StoredPages(store)
    keys = _keys()
    root, empty = dataset(store, keys), dataset(store, [])
    _, lower = _edges(pages, root)
    leaf = entries_of(path(pages, root, 0, keys[100]).steps[-1].page)
    at = next(number for number, one in enumerate(keys) if one == leaf[-1])
    wanted = {
        "the first key": (0, keys[0]),
        "the last key": (0, keys[-1]),
        "a key in the middle": (0, keys[100]),
        "in the middle of a leaf": (0, leaf[1] + b"x"),
        "the lower bound of a leaf": (0, lower),
        "between the lower bound of a leaf and its first key": (0, lower + b"\0"),
        "between the last key of a leaf and its upper bound": (0, keys[at] + b"x"),
        "before all keys": (0, b"!"),
        "after all keys": (0, b"~"),
    }
    cases = [_case(name, root, number, path(pages, root, number, one)) for name, (number, one) in wanted.items()]
    for number, order in enumerate(ORDERS[1:], 1):
        one = permute(keys[77], "spog", order)
        cases.append(_case(f"a key of {order}", root, number, path(pages, root, number, one)))
        cases.append(_case(f"no key of {order}", root, number, path(pages, root, number, one + b"x")))
    cases.append(_case("in the empty tree", empty, 0, path(pages, empty, 0, keys[0])))
    behind = _long_world(store)
    for name, one in (
        ("behind a long page", _key(2500)),
        ("at the lower bound of a long page", b"<s2"),
    ):
        cases.append(_case(name, behind, 0, path(pages, behind, 0, one)))
    below = _key(1500)
    cases.append(_case("absent before a long page", behind, 0, path(pages, behind, 0, below)))
    alone = spog_only(store, put(store, Leaf(_long_keys())), 40)
    cases.append(_case("a tree whose top is long", alone, 0, path(pages, alone, 0, keys[0])))
    cases.append(_long_root(keys[0]))
    refused = [
        *_no_members(pages, root, behind),
        *_no_absences(store, pages, root),
        *_not_hidden(pages, behind),
    ]
    return {"cases": cases, "refused": refused, "long": _shown_long(store)}


def _long_root(one: bytes) -> dict[str, Any]:
    digest = _digest(_leaf_of(SHOW_MAX + 1)).hex()
    names = dict.fromkeys(("before", "after", "path", "summarised"), "")
    return {
        "name": "a dataset root that is long",
        "kind": "hidden",
        "root": digest,
        "tree": 0,
        "key": one.hex(),
    } | names


def _shown_long(store: MemoryPageStore) -> list[dict[str, str]]:
    raws = [_leaf_of(SHOW_MAX + 1), *(raw for raw in store.pages.values() if len(raw) > SHOW_MAX)]
    blocks = {raw: last_block(raw) for raw in sorted(raws)}
    return [{"digest": _digest(raw).hex(), "state": a.hex(), "block": b.hex()} for raw, (a, b) in blocks.items()]


def _changed(name: str, case: dict[str, Any], **values: bytes | int) -> dict[str, Any]:
    made = {at: value.hex() if isinstance(value, bytes) else value for at, value in values.items()}
    return case | {"name": name} | made


def _with_at(source: Place, number: int, at: int) -> bytes:
    """The path with another entry meant at a step."""
    steps = list(source.steps)
    steps[number] = replace(steps[number], at=at)
    return Way(tuple(steps)).encode()


def _no_members(pages: StoredPages, root: bytes, behind: bytes) -> Iterator[dict[str, Any]]:
    one = _keys()[100]
    place = path(pages, root, 0, one)
    start = {"root": root[len(CID_PREFIX) :].hex(), "tree": 0, "before": "", "after": ""}
    member = start | {"kind": "member", "key": one.hex(), "path": place.encode().hex()}
    blob, last = place.encode(), len(place.steps) - 1
    yield _changed("an empty path to a key", member, path=b"")
    yield _changed("a path cut off in a page", member, path=blob[:-1])
    yield _changed("a path cut off in a head", member, path=blob + b"\0\0\0")
    yield _changed("a path with a byte more", member, path=blob + b"\0")
    yield _changed("a path that ends above the leaf", member, path=Way(place.steps[:-1]).encode())
    yield _changed("a path without the dataset root", member, path=Way(place.steps[1:]).encode())
    yield _changed("a path that leaves out a level", member, path=Way(place.steps[:1] + place.steps[2:]).encode())
    yield _changed("a path that has the leaf twice", member, path=Way((*place.steps, place.steps[-1])).encode())
    yield _changed("a path of another dataset", member, root=behind[len(CID_PREFIX) :])
    yield _changed("a path through another tree", member, tree=1)
    yield _changed("a path that names no tree", member, path=_with_at(place, 0, 4))
    yield _changed("a path that names another child", member, path=_with_at(place, 1, place.steps[1].at ^ 1))
    yield _changed("a path that names no child", member, path=_with_at(place, 1, 8))
    yield _changed("another key of the leaf", member, path=_with_at(place, last, place.at ^ 1))
    yield _changed("beyond the keys of the leaf", member, path=_with_at(place, last, 40))
    yield _changed("a key that is not the one shown", member, key=one + b"x")
    yield _changed("a segment of another kind", member, path=b"\3" + blob[1:])
    root_step = place.steps[0].encode(SEGMENT_OPENED)
    bare = bytes([SEGMENT_SUMMARY]) + root_step[1:] + Way(place.steps[1:]).encode()
    yield _changed("a dataset root with nothing to leave out", member, path=bare)
    leaf_step = place.steps[-1].encode(SEGMENT_OPENED)
    bare = Way(place.steps[:-1]).encode() + bytes([SEGMENT_SUMMARY]) + leaf_step[1:]
    yield _changed("a leaf with nothing to leave out", member, path=bare)
    summary = place.encode(_summaries(place))
    yield _changed("a summary that was never shown", member, path=summary, unshown=True)
    yield _changed("a summary as if it were bytes", member, path=b"\0" + summary[1:])
    yield _changed("bytes as if they were a summary", member, path=bytes([SEGMENT_OPENED]) + blob[1:])
    yield _changed("a changed summary", member, path=summary[:-1] + bytes([summary[-1] ^ 1]))
    yield _changed("a changed byte of a page", member, path=blob[:-1] + bytes([blob[-1] ^ 1]))
    yield from _other_kinds(start, one)


def _other_kinds(start: dict[str, Any], one: bytes) -> Iterator[dict[str, Any]]:
    """Paths to a key through pages of another kind than is due."""
    store = MemoryPageStore()
    leaf = Leaf([one])
    inner = Inner([put(store, leaf)], [], [1])
    nested = DatasetRoot([put(store, inner)] * 4, 1)
    outer = DatasetRoot([put(store, nested)] * 4, 1)
    attacks: dict[str, list[Page]] = {
        "a path that begins with a leaf": [leaf],
        "a path that begins with an inner page": [inner, leaf],
        "a path through a dataset root below a dataset root": [outer, nested, inner, leaf],
    }
    for name, way in attacks.items():
        steps = tuple(Step(page, page.encode(), 0) for page in way)
        case = start | {"kind": "member", "key": one.hex(), "root": steps[0].digest.hex()}
        yield _changed(name, case, path=Way(steps).encode())


def _no_absences(store: MemoryPageStore, pages: StoredPages, root: bytes) -> Iterator[dict[str, Any]]:
    keys = _keys()
    one = keys[100]
    place = path(pages, root, 0, one)
    away = path(pages, root, 0, one + b"x")
    absent = _case("", root, 0, away)
    del absent["summarised"]
    last = len(away.steps) - 1
    yield _changed("a key that is there", absent, key=one)
    yield _changed("the neighbour below", absent, key=bytes.fromhex(absent["before"]))
    yield _changed("the neighbour above", absent, key=bytes.fromhex(absent["after"]))
    yield _changed("a key below the neighbours", absent, key=keys[0] + b"x")
    yield _changed("a key above the neighbours", absent, key=keys[-1] + b"x")
    yield _changed("another neighbour below", absent, before=keys[0])
    yield _changed("another neighbour above", absent, after=keys[-1])
    yield _changed("no neighbour below", absent, before=b"")
    yield _changed("no neighbour above", absent, after=b"")
    yield _changed("another place of the leaf", absent, path=_with_at(away, last, away.at ^ 1))
    yield _changed("a place beyond the leaf", absent, path=_with_at(away, last, 41))
    yield _changed("absence that ends above the leaf", absent, path=Way(away.steps[:-1]).encode())
    yield _changed("an empty path to where a key would be", absent, path=b"")
    lower, upper = place.bounds
    edge = {"path": _with_at(away, last, 0), "before": lower, "after": entries_of(place.steps[-1].page)[0]}
    yield _changed("a key below the lower bound", absent, **edge, key=keys[0] + b"x")
    end = len(entries_of(away.steps[-1].page))
    edge = {"path": _with_at(away, last, end), "after": upper}
    edge["before"] = entries_of(place.steps[-1].page)[-1]
    yield _changed("a key above the upper bound", absent, **edge, key=keys[-1] + b"x")
    yield _changed("the upper bound itself", absent, **edge, key=upper)
    shut = b"".join(step.encode(SEGMENT_SUMMARY) for step in away.steps[1:-1])
    shut = away.steps[0].encode(SEGMENT_OPENED) + shut + replace(away.steps[-1], at=0).encode(SEGMENT_OPENED)
    between = {"before": lower, "after": entries_of(place.steps[-1].page)[0]}
    yield _changed("a bound that was left out", absent, path=shut, key=lower + b"\0", **between)
    bare = away.steps[-1].encode(SEGMENT_OPENED)
    bare = Way(away.steps[:-1]).encode() + bytes([SEGMENT_SUMMARY, 0]) + bare[2:]
    lower, upper = away.bounds
    yield _changed("a leaf that leaves out its keys", absent, path=bare, key=one, before=lower, after=upper)
    first = path(pages, root, 0, b"!")
    yield _changed(
        "a lower bound where there is none", absent, path=first.encode(), key=b"!", before=b" ", after=first.after
    )
    long = "x" * KEY_MAX
    one, two = keys[:2]
    nothing = spog_only(store, tree(store, [b"", one, two]), 3)
    step = follow(pages, nothing, [0, 0])
    empty = absent | {"root": nothing[len(CID_PREFIX) :].hex(), "path": step.encode().hex(), "after": ""}
    yield _changed("a key above the empty key, as if that were no neighbour", empty, key=one, before=b"")
    yield _changed(
        "the empty key itself", empty, path=follow(pages, nothing, [0, 1]).encode(), key=b"", before=b"", after=one
    )
    yield _changed("a key that is not short", absent, key=stub(_key(200, long)))


def _not_hidden(pages: StoredPages, behind: bytes) -> Iterator[dict[str, Any]]:
    hidden = _case("", behind, 0, path(pages, behind, 0, _key(2500)))
    del hidden["summarised"]
    yield _changed("below the bounds of the long page", hidden, key=_key(1500))
    yield _changed("at the upper bound of the long page", hidden, key=b"<s3")
    long = stub(_key(2500, "x" * KEY_MAX))
    yield _changed("a key behind the long page that is not short", hidden, key=long)
    yield _changed("a bound that is not the long page's", hidden, before=b"<s1")
    yield _changed("no bound of the long page", hidden, after=b"")
    yield _changed(
        "a child that is not long", hidden, path=follow(pages, behind, [0, 0]).encode(), before=b"", after=b"<s2"
    )
    yield _changed("a long page that was not shown", hidden, unshown=True)


# --- faults -------------------------------------------------------------------------------------------------------


def _fault(name: str, root: bytes, kind: int, way: Way, **parts: bytes) -> dict[str, Any]:
    shown = {"page": b"", "bound": b"", "entry": b""} | parts
    return {
        "name": name,
        "fault": int(kind),
        "root": root[len(CID_PREFIX) :].hex(),
        "path": way.encode().hex(),
        **{part: value.hex() for part, value in shown.items()},
    }


def _wrong_trees(store: MemoryPageStore) -> dict[str, tuple[bytes, FaultKind, list[int], bytes]]:
    """Of each kind of fault: root, kind, the way to it, and the malformed page if one is needed."""
    a, b, c = (b"<%c>\0" % letter for letter in b"abc")
    one, two = put(store, Leaf([a, b])), put(store, Leaf([c]))
    descending = _map(k=_strings(b, a))
    bad = cid_of(descending)
    found: dict[str, tuple[bytes, FaultKind, list[int], bytes]] = {}
    found["a dataset root that is malformed"] = (bad, FaultKind.PAGE, [], descending)
    found["a dataset root that is a leaf"] = (one, FaultKind.PAGE, [], Leaf([a, b]).encode())
    inner = Inner([one, two], [c], [2, 1])
    found["a dataset root that is an inner page"] = (put(store, inner), FaultKind.PAGE, [], inner.encode())
    found["a tree whose top is malformed"] = (spog_only(store, bad, 2), FaultKind.PAGE, [0], descending)
    nested = DatasetRoot([one] * 4, 2)
    found["a tree whose top is a dataset root"] = (
        spog_only(store, put(store, nested), 2),
        FaultKind.PAGE,
        [0],
        nested.encode(),
    )
    top = put(store, Inner([one, bad], [c], [2, 2]))
    found["a child that is malformed"] = (spog_only(store, top, 4), FaultKind.PAGE, [0, 1], descending)
    top = put(store, Inner([put(store, nested), two], [c], [2, 1]))
    found["a child that is a dataset root"] = (spog_only(store, top, 3), FaultKind.PAGE, [0, 0], nested.encode())

    def tree_of(leaves: list[list[bytes]], separators: list[bytes], counts: list[int]) -> bytes:
        return put(store, Inner([put(store, Leaf(keys)) for keys in leaves], separators, counts))

    right = tree_of([[a, b], [c]], [c], [2, 1])
    found["a dataset root with another count than its tree"] = (
        spog_only(store, right, 4),
        FaultKind.COUNT,
        [0, 0],
        b"",
    )
    found["a dataset root with another count than its leaf"] = (spog_only(store, one, 1), FaultKind.COUNT, [0, 0], b"")
    top = tree_of([[a, b], [c]], [c], [2, 2])
    found["a leaf with another count than is said"] = (spog_only(store, top, 4), FaultKind.COUNT, [0, 1, 0], b"")
    top = tree_of([[a, b], []], [c], [2, 1])
    found["an empty leaf below an inner page"] = (spog_only(store, top, 3), FaultKind.COUNT, [0, 1, 0], b"")
    top = put(store, Inner([right], [], [4]))
    found["an inner page with another count than is said"] = (spog_only(store, top, 4), FaultKind.COUNT, [0, 0, 0], b"")
    bounds = {
        "a key below its lower bound": (tree_of([[b], [a, c]], [c], [1, 2]), [0, 1, 0]),
        "a key that is its upper bound": (tree_of([[a, c], [c]], [c], [2, 1]), [0, 0, 1]),
        "a key above its upper bound": (tree_of([[a, c], [c]], [b], [2, 1]), [0, 0, 1]),
        "a separator that is its lower bound": (
            put(store, Inner([one, tree_of([[b], [c]], [b], [1, 1])], [b], [2, 2])),
            [0, 1, 0],
        ),
        "a separator that is its upper bound": (
            put(store, Inner([tree_of([[a], [b]], [c], [1, 1]), two], [c], [2, 1])),
            [0, 0, 0],
        ),
        "a key below the bound of a level above": (
            put(store, Inner([one, tree_of([[a], [c]], [c], [1, 1])], [b], [2, 2])),
            [0, 1, 0, 0],
        ),
    }
    counts = [3, 3, 3, 4, 3, 4]
    for (name, (top, way)), count in zip(bounds.items(), counts, strict=True):
        found[name] = (spog_only(store, top, count), FaultKind.BOUNDS, way, b"")
    levels = SEGMENTS_MAX - 2
    top = deep(store, one, 2, levels)
    found["a leaf as the 33rd page"] = (spog_only(store, top, 2), FaultKind.DEPTH, [0] * SEGMENTS_MAX, b"")
    top = deep(store, one, 2, levels + 1)
    found["an inner page as the 33rd page"] = (spog_only(store, top, 2), FaultKind.DEPTH, [0] * SEGMENTS_MAX, b"")
    return found


def _parts(pages: StoredPages, root: bytes, kind: FaultKind, indexes: list[int]) -> tuple[Way, bytes, bytes]:
    way = follow(pages, root, indexes)
    if kind is not FaultKind.BOUNDS:
        return way, b"", b""
    step = way.steps[-1]
    entry = entries_of(step.page)[step.at]
    lower, upper = way.bounds
    return way, upper if upper and entry >= upper else lower, entry


def faults() -> dict[str, Any]:
    """Faults of trees, and what is none."""
    store = MemoryPageStore()
    pages = StoredPages(store)
    found = []
    for name, (root, kind, indexes, page) in _wrong_trees(store).items():
        way, bound, entry = _parts(pages, root, kind, indexes)
        case = _fault(name, root, kind, way, page=page, bound=bound, entry=entry)
        found.append(case | {"summarised": way.encode(_summaries(way)).hex()})
    bad = _map(k=_strings(B, A))
    shown = spog_only(store, cid_of(bad), 2)
    found.append(_shown_fault("a child that was shown to be malformed", shown, follow(pages, shown, [0])))
    behind = _long_world(store)
    found.append(_shown_fault("a child that was shown to be long", behind, follow(pages, behind, [0, 1])))
    root = cid_of(_leaf_of(SHOW_MAX + 1))
    found.append(_shown_fault("a dataset root that was shown to be long", root, Way(())))
    refused = list(_no_faults(store, pages))
    return {"cases": found, "refused": refused, "malformed": [bad.hex()], "long": _shown_long(store)}


def _shown_fault(name: str, root: bytes, way: Way) -> dict[str, Any]:
    return _fault(name, root, FaultKind.PAGE, way) | {"summarised": way.encode(_summaries(way)).hex()}


def _no_faults(store: MemoryPageStore, pages: StoredPages) -> Iterator[dict[str, Any]]:
    keys = _keys()
    root = dataset(store, keys)
    place = path(pages, root, 0, keys[100])
    way, leaf, last = Way(place.steps), place.steps[-1], len(place.steps) - 1
    above = Way(place.steps[:-1])
    yield _fault("a well-formed leaf", root, FaultKind.PAGE, above, page=leaf.raw)
    yield _fault("a well-formed inner page", root, FaultKind.PAGE, Way(place.steps[:1]), page=place.steps[1].raw)
    yield _fault("a well-formed dataset root", root, FaultKind.PAGE, Way(()), page=place.steps[0].raw)
    yield _fault("the bytes of another page", root, FaultKind.PAGE, above, page=_map(k=_strings(b"b", b"a")))
    yield _fault("a page that was not shown", root, FaultKind.PAGE, above)
    yield _fault("a leaf names no page", root, FaultKind.PAGE, way)
    yield _fault("the right count", root, FaultKind.COUNT, way)
    yield _fault("the right count of the top", root, FaultKind.COUNT, Way(place.steps[:2]))
    yield _fault("the count of a dataset root", root, FaultKind.COUNT, Way(place.steps[:1]))
    yield _fault("the count of nothing", root, FaultKind.COUNT, Way(()))
    lower, upper = place.bounds
    entry = entries_of(leaf.page)[place.at]
    yield _fault("a key above its lower bound", root, FaultKind.BOUNDS, way, bound=lower, entry=entry)
    yield _fault("a key below its upper bound", root, FaultKind.BOUNDS, way, bound=upper, entry=entry)
    yield _fault("another bound", root, FaultKind.BOUNDS, way, bound=keys[-1], entry=entry)
    yield _fault("another entry", root, FaultKind.BOUNDS, way, bound=lower, entry=keys[0])
    yield _fault("no bound", root, FaultKind.BOUNDS, way, entry=entry)
    beyond = Way((*place.steps[:last], replace(leaf, at=40)))
    yield _fault("no entry", root, FaultKind.BOUNDS, beyond, bound=lower)
    yield _fault("not too deep", root, FaultKind.DEPTH, way)
    yield _fault("no such fault", root, 0, way)
    yield _fault("nor such", root, 5, way)
    one = put(store, Leaf([lower, lower + b"x"]))
    equal = spog_only(store, put(store, Inner([put(store, Leaf([keys[0]])), one], [lower], [1, 2])), 3)
    step = follow(pages, equal, [0, 1, 0])
    yield _fault("a key that is its lower bound", equal, FaultKind.BOUNDS, step, bound=lower, entry=lower)
    same = b"<" + b"x" * KEY_MAX
    leaves = [put(store, Leaf([same + b"a"])), put(store, Leaf([same + b"c"]))]
    stubs = spog_only(store, put(store, Inner(leaves, [same + b"b"], [1, 1])), 2)
    for at in (0, 1):
        yield _fault(
            f"stubs that are equal ({at})",
            stubs,
            FaultKind.BOUNDS,
            follow(pages, stubs, [0, at, 0]),
            bound=same,
            entry=same,
        )
    levels = SEGMENTS_MAX - 3
    full = spog_only(store, deep(store, put(store, Leaf([keys[0]])), 1, levels), 1)
    yield _fault("32 levels", full, FaultKind.DEPTH, follow(pages, full, [0] * (SEGMENTS_MAX - 1)))


# --- records ------------------------------------------------------------------------------------------------------


def _record(record: Record) -> dict[str, Any]:
    numbers = f"{record.numbers:064x}"
    return {
        "root": record.root.hex(),
        "numbers": numbers,
        "block_number": record.block_number,
        "timestamp": record.timestamp,
    }


def logged() -> World:
    """Ten commits of a publisher and four of another: all of the one are marked but the last, the first one last."""
    world = World()
    for number in range(10):
        world.commit(PUBLISHERS[0], root=cid_of(b"one %d" % number))
        if number % 3 == 0:
            world.commit(PUBLISHERS[1], root=cid_of(b"two %d" % number))
    for entry in list(world.log.entries):
        if entry.publisher == PUBLISHERS[0] and 1 < entry.commit.seq < 10:
            world.mark(entry.position)
    world.mark(0)
    return world


def records() -> dict[str, Any]:
    """A log with marks, and what counts at positions and marks; and claims that are refused."""
    world = logged()
    entries, log = world.log.entries, world.log
    cases = []
    for publisher in (*PUBLISHERS[:2], STRANGER):
        for marks in (0, 1, 6, 8, 9):
            for position in range(len(entries) + 1):
                marked = marked_among(world.marked, marks)
                shown = claim(log, publisher, position, marked)
                counts = counting_commit(log, publisher, position, marked)
                cases.append(
                    {
                        "publisher": publisher.hex(),
                        "position": position,
                        "marks": marks,
                        "records": [one.position for one in shown],
                        "counts": counts.commit.root.hex() if counts else None,
                    }
                )
    return {
        "log": [
            {"publisher": one.publisher.hex(), **_record(Record.of(one)), "entry": one.entry().hex()} for one in entries
        ],
        "heads": {
            publisher.hex(): [state.head.seq, state.head.position] for publisher, state in log.publishers.items()
        },
        "marks": {str(position): mark.number for position, mark in world.marked.items()},
        "cases": cases,
        "refused": list(_false_claims(world)),
    }


def _false_claims(world: World) -> Iterator[dict[str, Any]]:
    mine = [Record.of(one) for one in world.log.entries if one.publisher == PUBLISHERS[0]]
    end, marks = len(world.log.entries), len(world.marked)

    def false(
        name: str, shown: list[Record], position: int = end, marks: int = marks, who: bytes = PUBLISHERS[0]
    ) -> dict[str, Any]:
        return {"name": name, "publisher": who.hex(), "position": position, "marks": marks} | {
            "records": [_record(one) for one in shown]
        }

    yield false("no records of a publisher that has commits", [])
    yield false("an older commit, though the latest counts", mine[1:2])
    yield false("an older commit and all after it but the latest", mine[7:9])
    yield false("an older commit, though a later one is not marked", mine[2:])
    yield false("a gap in the records", [mine[7], mine[9]], marks=marks)
    yield false("records the wrong way round", [mine[9], mine[8]])
    yield false("a record twice", [mine[9], mine[9]])
    yield false("the commit after the position only", mine[9:], position=mine[9].position)
    yield false("marked ones that do not go back far enough", mine[2:], position=mine[9].position)
    yield false("a mark that came later", mine[1:], position=mine[9].position, marks=3)
    yield false("ten records", mine)
    yield false("nine below the position", mine[1:10], position=end)
    yield false("another publisher's records", mine[9:], who=PUBLISHERS[1])
    yield false("a changed root", [replace(mine[9], root=mine[8].root)])
    yield false("a changed count", [replace(mine[9], numbers=mine[9].numbers + (1 << 48))])
    yield false("a changed block", [replace(mine[9], block_number=mine[9].block_number + 1)])
    yield false("a changed time", [replace(mine[9], timestamp=mine[9].timestamp + 1)])
    yield false("a position that is not in the log", [replace(mine[9], numbers=mine[9].numbers + (1 << 144 + 8))])


FILES = {
    "checkpoints/pages.json": pages,
    "checkpoints/owners.json": owners,
    "checkpoints/paths.json": paths,
    "checkpoints/faults.json": faults,
    "checkpoints/records.json": records,
}
