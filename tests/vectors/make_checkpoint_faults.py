"""Vectors of faults of trees (docs/formats.md, section 11)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dkg.checkpoints.paths import Way, follow, path
from dkg.checkpoints.shown import entries_of
from dkg.checkpoints.walk import FaultKind
from dkg.limits import KEY_MAX, SEGMENTS_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, StoredPages
from tests.dkg.checkpoints.worlds import dataset, deep, put, spog_only
from tests.vectors.make_checkpoint_pages import A, B, leaf_of, mapped, strings
from tests.vectors.make_checkpoint_paths import all_keys, long_world, shown_long, summaries

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    descending = mapped(k=strings(b, a))
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
        found.append(case | {"summarised": way.encode(summaries(way)).hex()})
    bad = mapped(k=strings(B, A))
    shown = spog_only(store, cid_of(bad), 2)
    found.append(_shown_fault("a child that was shown to be malformed", shown, follow(pages, shown, [0])))
    behind = long_world(store)
    found.append(_shown_fault("a child that was shown to be long", behind, follow(pages, behind, [0, 1])))
    root = cid_of(leaf_of(SHOW_MAX + 1))
    found.append(_shown_fault("a dataset root that was shown to be long", root, Way(())))
    refused = list(_no_faults(store, pages))
    return {"cases": found, "refused": refused, "malformed": [bad.hex()], "long": shown_long(store)}


def _shown_fault(name: str, root: bytes, way: Way) -> dict[str, Any]:
    return _fault(name, root, FaultKind.PAGE, way) | {"summarised": way.encode(summaries(way)).hex()}


def _no_faults(store: MemoryPageStore, pages: StoredPages) -> Iterator[dict[str, Any]]:
    keys = all_keys()
    root = dataset(store, keys)
    place = path(pages, root, 0, keys[100])
    way, leaf, last = Way(place.steps), place.steps[-1], len(place.steps) - 1
    above = Way(place.steps[:-1])
    yield _fault("a well-formed leaf", root, FaultKind.PAGE, above, page=leaf.raw)
    yield _fault("a well-formed inner page", root, FaultKind.PAGE, Way(place.steps[:1]), page=place.steps[1].raw)
    yield _fault("a well-formed dataset root", root, FaultKind.PAGE, Way(()), page=place.steps[0].raw)
    yield _fault("the bytes of another page", root, FaultKind.PAGE, above, page=mapped(k=strings(b"b", b"a")))
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
    stems = spog_only(store, put(store, Inner(leaves, [same + b"b"], [1, 1])), 2)
    for at in (0, 1):
        yield _fault(
            f"stems that are equal ({at})",
            stems,
            FaultKind.BOUNDS,
            follow(pages, stems, [0, at, 0]),
            bound=same,
            entry=same,
        )
    levels = SEGMENTS_MAX - 3
    full = spog_only(store, deep(store, put(store, Leaf([keys[0]])), 1, levels), 1)
    yield _fault("32 levels", full, FaultKind.DEPTH, follow(pages, full, [0] * (SEGMENTS_MAX - 1)))


FILES = {"checkpoints/faults.json": faults}
