"""Where the bytes of a proof are: by index and kind of page, plain and compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bench.report import aligned, number
from bench.subject import compressed
from dkg.car import read_car, write_car
from dkg.page import ORDERS, Inner, Leaf, decode

if TYPE_CHECKING:
    import dkg
    from dkg.page import Page

Block = tuple[bytes, bytes]

_PAGES_MAX: Final = 100_000


class _Kind(NamedTuple):
    tree: str
    what: str


def proof_bytes(proof: dkg.Proof) -> str:
    """A table: pages and bytes of each kind; what the compressed proof loses without them; and what is in them."""
    blocks = read_car(proof.car, proof.root, _PAGES_MAX)
    pages = {cid: decode(cid, raw) for cid, raw in blocks.items()}
    kinds = _kinds(proof.root, pages)
    whole = compressed(proof.car)
    cells = [["index", "pages of", "pages", "keys", "kB", "zstd kB", "share"]]
    for kind in sorted(set(kinds.values())):
        own = [cid for cid in blocks if kinds[cid] == kind]
        rest = [(cid, raw) for cid, raw in blocks.items() if kinds[cid] != kind]
        lost = whole - compressed(write_car(proof.root, rest))
        keys = sum(len(page.keys) for cid in own if isinstance(page := pages[cid], Leaf))
        size = sum(len(blocks[cid]) for cid in own)
        sizes = [number(size / 1e3), number(lost / 1e3), f"{lost / whole:.0%}"]
        cells.append([*kind, f"{len(own):,}", f"{keys:,}" if keys else "", *sizes])
    total = [f"{len(blocks):,}", "", number(len(proof.car) / 1e3), number(whole / 1e3), "100%"]
    links = sum(len(page.children) for page in pages.values() if isinstance(page, Inner))
    hashes = f"hashes that do not compress: {links:,} links of 32 bytes are {links * 32 / 1e3:.1f} kB"
    return f"{aligned([*cells, ['all', '', *total]], left={0, 1})}\n{hashes}\n"


def _kinds(root: bytes, pages: dict[bytes, Page]) -> dict[bytes, _Kind]:
    """Which index and kind each page is of. Small pages that two indexes share count for the first."""
    top = pages[root]
    found: dict[bytes, _Kind] = {root: _Kind("", "root")}
    for index, tree in zip(ORDERS, top.trees if hasattr(top, "trees") else (), strict=True):
        here = [tree]
        while here:
            cid = here.pop()
            page = pages.get(cid)
            if page is None or cid in found:
                continue
            found[cid] = _Kind(index, "leaves" if isinstance(page, Leaf) else "inner")
            if isinstance(page, Inner):
                here += page.children
    return found
