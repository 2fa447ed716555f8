"""Vectors of paths through trees (docs/formats.md, section 11)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dkg.checkpoints.owners import permute
from dkg.checkpoints.paths import SEGMENT_OPENED, SEGMENT_SUMMARY, Step, Way, follow, path
from dkg.checkpoints.shown import entries_of, last_block, stem
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf
from dkg.pages import MemoryPageStore, StoredPages
from tests.dkg.checkpoints.worlds import dataset, put, spog_only, tree
from tests.vectors.make_checkpoint_pages import digest, leaf_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.checkpoints.paths import Place
    from dkg.page import Page


def summaries(way: Way) -> set[bytes]:
    return {step.digest for step in way.steps}


def _case(name: str, root: bytes, at: int, place: Place) -> dict[str, Any]:
    kind = "member" if place.member else "hidden" if place.hidden else "absent"
    return {
        "name": name,
        "kind": kind,
        "root": root[len(CID_PREFIX) :].hex(),
        "tree": at,
        "key": stem(place.key).hex(),
        "before": place.before.hex(),
        "after": place.after.hex(),
        "path": place.encode().hex(),
        "summarised": place.encode(summaries(place)).hex(),
    }


def key_at(number: int, text: str = "") -> bytes:
    """A key of spog with the shape of a quad, shorter than those of publishers."""
    return f"<s{number:04}>\0<p{number % 3}>\0<{text}>\0<g>\0".encode()


def all_keys() -> list[bytes]:
    return [key_at(number) for number in range(0, 400, 2)]


def _long_keys() -> list[bytes]:
    return [key_at(number, "x" * 800) for number in range(40)]


def long_world(store: MemoryPageStore) -> bytes:
    """A dataset with a long leaf between two others; gives its root."""
    low = [key_at(number) for number in range(1000, 1005)]
    high = [key_at(number) for number in range(3000, 3005)]
    middle = [key_at(2000 + number, "x" * 800) for number in range(40)]
    leaves = [put(store, Leaf(keys)) for keys in (low, middle, high)]
    top = put(store, Inner(leaves, [b"<s2", b"<s3"], [5, 40, 5]))
    return spog_only(store, top, 50)


def _edges(pages: StoredPages, root: bytes) -> tuple[Place, bytes]:
    """The first place of a leaf that is not the first leaf of spog, and its lower bound."""
    for one in all_keys():
        place = path(pages, root, 0, one)
        lower = Way(place.steps).bounds[0]
        if lower and place.at == 0:
            return place, lower
    raise ValueError("the tree has one leaf")


def paths() -> dict[str, Any]:
    """Paths to keys that are there, are not, and are behind a long page; and what is refused."""
    store = MemoryPageStore()
    pages = StoredPages(store)
    keys = all_keys()
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
    behind = long_world(store)
    for name, one in (
        ("behind a long page", key_at(2500)),
        ("at the lower bound of a long page", b"<s2"),
    ):
        cases.append(_case(name, behind, 0, path(pages, behind, 0, one)))
    below = key_at(1500)
    cases.append(_case("absent before a long page", behind, 0, path(pages, behind, 0, below)))
    alone = spog_only(store, put(store, Leaf(_long_keys())), 40)
    cases.append(_case("a tree whose top is long", alone, 0, path(pages, alone, 0, keys[0])))
    cases.append(_long_root(keys[0]))
    refused = [
        *_no_members(pages, root, behind),
        *_no_absences(store, pages, root),
        *_not_hidden(pages, behind),
    ]
    return {"cases": cases, "refused": refused, "long": shown_long(store)}


def _long_root(one: bytes) -> dict[str, Any]:
    root = digest(leaf_of(SHOW_MAX + 1)).hex()
    names = dict.fromkeys(("before", "after", "path", "summarised"), "")
    return {
        "name": "a dataset root that is long",
        "kind": "hidden",
        "root": root,
        "tree": 0,
        "key": one.hex(),
    } | names


def shown_long(store: MemoryPageStore) -> list[dict[str, str]]:
    raws = [leaf_of(SHOW_MAX + 1), *(raw for raw in store.pages.values() if len(raw) > SHOW_MAX)]
    blocks = {raw: last_block(raw) for raw in sorted(raws)}
    return [{"digest": digest(raw).hex(), "state": a.hex(), "block": b.hex()} for raw, (a, b) in blocks.items()]


def _changed(name: str, case: dict[str, Any], **values: bytes | int) -> dict[str, Any]:
    made = {at: value.hex() if isinstance(value, bytes) else value for at, value in values.items()}
    return case | {"name": name} | made


def _with_at(source: Place, number: int, at: int) -> bytes:
    """The path with another entry meant at a step."""
    steps = list(source.steps)
    steps[number] = replace(steps[number], at=at)
    return Way(tuple(steps)).encode()


def _no_members(pages: StoredPages, root: bytes, behind: bytes) -> Iterator[dict[str, Any]]:
    one = all_keys()[100]
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
    summary = place.encode(summaries(place))
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
    keys = all_keys()
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
    yield _changed("a key that is not short", absent, key=stem(key_at(200, long)))


def _not_hidden(pages: StoredPages, behind: bytes) -> Iterator[dict[str, Any]]:
    hidden = _case("", behind, 0, path(pages, behind, 0, key_at(2500)))
    del hidden["summarised"]
    yield _changed("below the bounds of the long page", hidden, key=key_at(1500))
    yield _changed("at the upper bound of the long page", hidden, key=b"<s3")
    long = stem(key_at(2500, "x" * KEY_MAX))
    yield _changed("a key behind the long page that is not short", hidden, key=long)
    yield _changed("a bound that is not the long page's", hidden, before=b"<s1")
    yield _changed("no bound of the long page", hidden, after=b"")
    yield _changed(
        "a child that is not long", hidden, path=follow(pages, behind, [0, 0]).encode(), before=b"", after=b"<s2"
    )
    yield _changed("a long page that was not shown", hidden, unshown=True)


FILES = {"checkpoints/paths.json": paths}
