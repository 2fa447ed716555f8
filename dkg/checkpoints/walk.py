"""Reading paths as the contract does: docs/formats.md, section 11. Nothing here is shared with `dkg.checkpoints.paths`.

`shown` is the contract's mapping of that name: from digests to words, both of 32 bytes. Every check is one of bytes and
hashes; whoever shows a path is not trusted. `walk` comes first; what it gives is what the checks look at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import keccak256
from dkg.checkpoints.shown import DATASET_ROOT, INNER, LEAF, Kind, classify
from dkg.errors import ProofError
from dkg.limits import KEY_MAX, PATH_BYTES_MAX, SEGMENTS_MAX, SHOW_MAX, STEM_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER: Final = 4
_DIGEST: Final = 32
_COUNT: Final = 8
_CHILD: Final = _DIGEST + _COUNT
_TREES: Final = 4
_OPENED: Final = 1
_SUMMARY: Final = 2

UNKNOWN: Final = b""
"""In place of the hash of a separator that a segment of kind 2 leaves out."""

MALFORMED: Final = Kind.MALFORMED.to_bytes(32)
"""The word of a malformed page."""
LONG: Final = Kind.LONG.to_bytes(32)
"""The word of a long page."""


class PathError(ProofError):
    """A path that does not show what it should."""


class FaultKind(IntEnum):
    """What is wrong with a tree."""

    PAGE = 1
    COUNT = 2
    BOUNDS = 3
    DEPTH = 4


@dataclass(frozen=True, slots=True)
class Contents:
    """What a summary says. `hashes`: of the stems of the keys or separators; `UNKNOWN` where they are left out."""

    kind: int
    count: int
    digests: tuple[bytes, ...]
    counts: tuple[int, ...]
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Where a path ends. `last` is None, and the numbers are 0, of an empty path."""

    segments: int
    tree: int
    last: Contents | None
    at: int
    said: int
    """How many keys the segment before says there are."""
    lower: bytes | None
    """Hash of the lower bound of the last segment's page."""
    upper: bytes | None
    child: bytes | None
    """The digest that the last segment names; the root's of an empty path; None where no child is named."""
    child_lower: bytes | None
    """Hash of the lower bound of that child."""
    child_upper: bytes | None


def _hashes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + _DIGEST] for at in range(0, len(data), _DIGEST))


def contents(opened: bytes) -> Contents:
    """Read an opened summary (`Shown.opened`) that the contract has kept or made."""
    kind, number = opened[0], opened[1]
    if kind == LEAF:
        return Contents(kind, number, (), (), _hashes(opened[2:]))
    if kind == DATASET_ROOT:
        count = int.from_bytes(opened[1 : 1 + _COUNT])
        return Contents(kind, count, _hashes(opened[1 + _COUNT :]), (), ())
    end = _children_end(opened)
    children = [opened[at : at + _CHILD] for at in range(2, end, _CHILD)]
    counts = tuple(int.from_bytes(child[_DIGEST:]) for child in children)
    return Contents(kind, sum(counts), tuple(child[:_DIGEST] for child in children), counts, _hashes(opened[end:]))


def _children_end(inner: bytes) -> int:
    """Where the children of an inner page's summary end."""
    return 2 + int.from_bytes(inner[1:2]) * _CHILD


def _segments(blob: bytes) -> list[tuple[int, int, bytes]]:
    if len(blob) > PATH_BYTES_MAX:
        raise PathError(f"a path of {len(blob)} bytes is over the limit of {PATH_BYTES_MAX}")
    found: list[tuple[int, int, bytes]] = []
    at = 0
    while at < len(blob):
        size = int.from_bytes(blob[at + 2 : at + _HEADER])
        end = at + _HEADER + size
        if at + _HEADER > len(blob) or end > len(blob):
            raise PathError(f"segment {len(found)} of the path is cut off")
        found.append((blob[at], blob[at + 1], blob[at + _HEADER : end]))
        at = end
    if len(found) > SEGMENTS_MAX:
        raise PathError(f"a path of {len(found)} segments is over the limit of {SEGMENTS_MAX}")
    return found


def _open(kind: int, body: bytes, digest: bytes, shown: Mapping[bytes, bytes]) -> Contents:
    if kind == 0:
        found = classify(body)
        if sha256(body).digest() != digest:
            raise PathError(f"the bytes shown for page {digest.hex()} have another digest")
        if found.kind is not Kind.WELL_FORMED:
            raise PathError(f"page {digest.hex()} is not well-formed: no path leads through it")
        return contents(found.opened)
    if kind not in {_OPENED, _SUMMARY}:
        raise PathError(f"a segment has the kind {kind}; there are 0, 1 and 2")
    inner, end = body[:1] == bytes([INNER]), _children_end(body)
    if kind == _SUMMARY and not inner:
        raise PathError("only the summary of an inner page leaves something out")
    kept = body[:end] + keccak256(body[end:]) if kind == _OPENED and inner else body
    if keccak256(kept) != shown.get(digest):
        raise PathError(f"that is not the summary of page {digest.hex()} which was shown, if any was")
    if kind == _OPENED:
        return contents(body)
    found_children = contents(body[:end])
    return replace(found_children, hashes=(UNKNOWN,) * (len(found_children.digests) - 1))


def walk(blob: bytes, root: bytes, tree: int | None, shown: Mapping[bytes, bytes]) -> End:
    """Follow a path from the dataset root with the digest `root`; `tree`: which tree it must take, if that matters.

    1. The path has at most `PATH_BYTES_MAX` bytes and `SEGMENTS_MAX` segments, each of them whole.
    2. Each segment is of its page: bytes that hash to the digest and are a well-formed page, or a summary that
       hashes to what the contract has kept under the digest.
    3. The first page is a dataset root, the others are none; the first takes `tree`.
    4. Each segment but the last names a child, and that is the next one.

    Raises `PathError`.
    """
    last, said, taken, way = None, 0, 0, 0
    child: bytes | None = root
    low: bytes | None = None
    high: bytes | None = None
    lower = upper = None
    segments = _segments(blob)
    for number, (kind, at, body) in enumerate(segments):
        if child is None:
            raise PathError(f"segment {number} of the path follows one that names no child")
        said = 0 if last is None else last.count if last.kind == DATASET_ROOT else last.counts[way]
        page = _open(kind, body, child, shown)
        if (page.kind == DATASET_ROOT) != (number == 0):
            raise PathError(f"segment {number} of the path is a page of another kind than is due")
        if number == 0:
            taken = at
            if tree not in {None, at}:
                raise PathError(f"the path takes tree {at}, not {tree}")
        lower, upper = low, high
        child = page.digests[at] if at < len(page.digests) else None
        if page.kind == INNER and child is not None:
            low = page.hashes[at - 1] if at else low
            high = page.hashes[at] if at < len(page.hashes) else high
        last, way = page, at
    return End(len(segments), taken, last, way, said, lower, upper, child, low, high)


def check_member(end: End, key: bytes) -> End:
    """Check that a path leads to a key, or to one with this stem.

    1. The last segment is a leaf, and `at` is one of its keys.
    2. That key's stem is `key`.

    Raises `PathError`.
    """
    if end.last is None or end.last.kind != LEAF:
        raise PathError("the path to a key does not end at a leaf")
    if end.at >= len(end.last.hashes) or end.last.hashes[end.at] != keccak256(key):
        raise PathError("the path does not end at the key that it should show")
    return end


def _check_between(key: bytes, lower: bytes | None, upper: bytes | None, before: bytes, after: bytes) -> None:
    for hashed, given in ((lower, before), (upper, after)):
        if (given != b"") if hashed is None else keccak256(given) != hashed:
            raise PathError("a neighbour or bound of the key is not the one of the path")
    # A neighbour may be the empty key: whether there is one decides, not whether what was given is empty.
    if (lower is not None and key < before) or (upper is not None and key >= after):
        raise PathError("the key is not between its neighbours or bounds")


def check_absent(end: End, key: bytes, before: bytes, after: bytes) -> End:
    """Check that a path shows that a key is in no leaf of a tree without faults.

    1. The key is short.
    2. The last segment is a leaf, and `at` is at most the number of its keys.
    3. `before` is the stem of its key `at` - 1, or of the lower bound if `at` is 0, or empty if there is none;
       `after` that of its key `at`, or of the upper bound if there is no such key, or empty.
    4. `before` < `key` < `after`; the lower bound may be the key itself.

    Raises `PathError`.
    """
    _require_short(key)
    if end.last is None or end.last.kind != LEAF:
        raise PathError("the path to where a key would be does not end at a leaf")
    hashes = end.last.hashes
    if end.at > len(hashes):
        raise PathError(f"the path ends at place {end.at} of a leaf of {len(hashes)} keys")
    lower = hashes[end.at - 1] if end.at else end.lower
    upper = hashes[end.at] if end.at < len(hashes) else end.upper
    _check_between(key, lower, upper, before, after)
    if end.at and key == before:
        raise PathError("the key is there: it is given as its own neighbour")
    return end


def check_hidden(end: End, key: bytes, before: bytes, after: bytes, shown: Mapping[bytes, bytes]) -> End:
    """Check that a key would be behind a long page.

    1. The key is short.
    2. The path names a child (an empty one the dataset root) that is shown to be long.
    3. `before` and `after` are the stems of the bounds of that child, or empty where there is none.
    4. `before` <= `key` < `after`.

    Raises `PathError`.
    """
    _require_short(key)
    if end.child is None or shown.get(end.child) != LONG:
        raise PathError("the page that the path names is not shown to be long")
    _check_between(key, end.child_lower, end.child_upper, before, after)
    return end


def _require_short(key: bytes) -> None:
    if len(key) > KEY_MAX:
        raise PathError(f"a key of more than {KEY_MAX} bytes cannot be shown to be absent")


def check_fault(end: End, fault: int, page: bytes, bound: bytes, entry: bytes, shown: Mapping[bytes, bytes]) -> End:
    """Check that a tree has a fault (`FaultKind`). What a kind of fault does not need is not looked at.

    1. *page*: the path names a child, or is empty. `page` is its bytes and is malformed, or of another kind than is
       due; or `page` is empty and it was shown that the child is malformed or long.
    2. *count*: there are two segments or more, and the last page has other than the number of keys that is said.
    3. *bounds*: `entry` is the stem of entry `at` of the last page, `bound` that of one of its bounds, and the entry
       is beyond the bound. Of two equal stems of `STEM_BYTES` bytes nothing is known.
    4. *depth*: there are `SEGMENTS_MAX` segments.

    Raises `PathError`.
    """
    if fault == FaultKind.PAGE:
        _check_page(end, page, shown)
    elif fault == FaultKind.COUNT:
        if end.last is None or end.segments == 1 or end.last.count == end.said:
            raise PathError("the last page of the path has as many keys as is said of it")
    elif fault == FaultKind.BOUNDS:
        _check_bounds(end, bound, entry)
    elif fault == FaultKind.DEPTH:
        if end.segments != SEGMENTS_MAX:
            raise PathError(f"a path of {end.segments} segments is not too deep")
    else:
        raise PathError(f"there is no fault {fault}")
    return end


def _check_page(end: End, page: bytes, shown: Mapping[bytes, bytes]) -> None:
    if end.child is None:
        raise PathError("the path names no page")
    if not page:
        if shown.get(end.child) not in {MALFORMED, LONG}:
            raise PathError("the page that the path names is not shown to be malformed or long")
        return
    if len(page) > SHOW_MAX or sha256(page).digest() != end.child:
        raise PathError("the bytes are not those of the page that the path names")
    found = classify(page)
    if found.kind is Kind.WELL_FORMED and (found.summary[0] == DATASET_ROOT) == (end.segments == 0):
        raise PathError("the page that the path names is well-formed")


def _check_bounds(end: End, bound: bytes, entry: bytes) -> None:
    if end.last is None or end.at >= len(end.last.hashes) or end.last.hashes[end.at] != keccak256(entry):
        raise PathError("that is not the entry at which the path ends")
    hashed = keccak256(bound)
    known = entry != bound or len(entry) < STEM_BYTES
    below = hashed == end.lower and (entry < bound or (entry == bound and end.last.kind == INNER))
    above = hashed == end.upper and entry >= bound
    if not known or not (below or above):
        raise PathError("the entry at which the path ends is not shown to be out of bounds")
