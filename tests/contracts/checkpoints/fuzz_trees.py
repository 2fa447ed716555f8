"""Trees cut anyhow, which no rule forbids, and trees with one fault: what random unions and commits are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dkg.checkpoints.owners import permute
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from random import Random

LEVELS: Final = 32
TREE_FAULTS: Final = ("malformed", "kind", "long", "count", "below", "above", "equal", "depth")
"""What `spoil` does to a tree."""


@dataclass
class Node:
    """A page to be. `entries`: keys of a leaf, or separators. `counts`: what it says of its children, if not the truth.

    `raw`: its bytes, if not what the rest makes.
    """

    entries: list[bytes]
    children: list[Node] = field(default_factory=list)
    counts: list[int] | None = None
    raw: bytes | None = None

    @property
    def count(self) -> int:
        """How many keys it has or says that it has."""
        if not self.children:
            return len(self.entries)
        return sum(self.counts or [child.count for child in self.children])

    def store(self, pages: MutableMapping[bytes, bytes]) -> bytes:
        """Keep it and all below it; gives its CID."""
        below = [child.store(pages) for child in self.children]
        raw = self.raw
        if raw is None and self.children:
            raw = Inner(below, self.entries, self.counts or [child.count for child in self.children]).encode()
        elif raw is None:
            raw = Leaf(self.entries).encode()
        pages[cid_of(raw)] = raw
        return cid_of(raw)

    def below(self, trail: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Node]]:
        """Itself and all pages below, and which children lead there."""
        yield trail, self
        for at, child in enumerate(self.children):
            yield from child.below((*trail, at))

    def showable(self) -> Iterator[bytes]:
        """The short keys that are reached through showable pages."""
        if self.raw is not None and len(self.raw) > SHOW_MAX:
            return
        if not self.children and len(Leaf(self.entries).encode()) <= SHOW_MAX:
            yield from (key for key in self.entries if len(key) <= KEY_MAX)
        for child in self.children:
            yield from child.showable()


def separator(random: Random, left: bytes, right: bytes) -> bytes:
    """Some separator between the last key of one page and the first key of the next."""
    shortest = next(end for end in range(1, len(right) + 1) if right[:end] > left)
    return right[: random.choice([shortest, shortest, random.randint(shortest, len(right))])]


def grow(random: Random, keys: list[bytes], leaf: int | None = None) -> Node:
    """A tree of ascending keys; `leaf`: most keys of a page."""
    most = leaf or random.choice([2, 4, 9, 40])
    level: list[tuple[bytes, bytes, Node]] = []
    at = 0
    while at < len(keys):
        end = at + random.randint(1, most)
        own = keys[at:end]
        level.append((own[0], own[-1], Node(own)))
        at = end
    if not level:
        return Node([])
    while len(level) > 1 or random.random() < 0.1:
        above: list[tuple[bytes, bytes, Node]] = []
        at = 0
        while at < len(level):
            some = level[at : at + random.randint(1, 8)]
            entries = [separator(random, some[i][1], some[i + 1][0]) for i in range(len(some) - 1)]
            above.append((some[0][0], some[-1][1], Node(entries, [node for _, _, node in some])))
            at += len(some)
        level = above
    return level[0][2]


@dataclass
class Dataset:
    """Four trees. `count`: what the root says, if not the truth; `raw`: its bytes, if not what that makes."""

    trees: list[Node]
    count: int | None = None
    raw: bytes | None = None

    @classmethod
    def of(cls, random: Random, spog: list[bytes]) -> Dataset:
        """A dataset of keys of spog, all of which have the shape of a quad."""
        return cls([grow(random, sorted(permute(key, "spog", order) for key in spog)) for order in ORDERS])

    def store(self, pages: MutableMapping[bytes, bytes]) -> bytes:
        """Keep all pages; gives the root's digest."""
        trees = [tree.store(pages) for tree in self.trees]
        raw = self.raw
        if raw is None:
            raw = DatasetRoot(trees, self.trees[0].count if self.count is None else self.count).encode()
        pages[cid_of(raw)] = raw
        return cid_of(raw)[len(CID_PREFIX) :]

    def showable(self) -> Iterator[bytes]:
        """What counts of it, if it is whose it should be."""
        if self.raw is None or len(self.raw) <= SHOW_MAX:
            yield from self.trees[0].showable()


def spoil(random: Random, tree: Node) -> str:
    """Give a tree one fault (of `TREE_FAULTS`, or of what it has room for); says which."""
    nodes = list(tree.below())
    inner = [node for _, node in nodes if node.children]
    full = [node for _, node in nodes if not node.children and node.entries]
    what = random.choice(TREE_FAULTS)
    if what == "depth" and full:
        return _deepen(random, nodes)
    if what == "count" and inner:
        node = random.choice(inner)
        node.counts = [child.count for child in node.children]
        node.counts[random.randrange(len(node.counts))] += random.choice([1, 1, 255, 2**62])
        return what
    parents = [node for node in inner if len(node.children) > 1]
    if what in {"below", "above", "equal"} and parents and _misplace(random, random.choice(parents), what):
        return what
    if what == "kind":
        random.choice(nodes)[1].raw = DatasetRoot([cid_of(b"%d" % i) for i in range(4)], 3).encode()
        return what
    if what == "long":
        random.choice(nodes)[1].raw = Leaf([b"<l%d>" % random.randrange(99) + bytes([97]) * SHOW_MAX]).encode()
        return what
    node = random.choice(nodes)[1]
    node.raw = malformed(random, node)
    return "malformed"


def _misplace(random: Random, node: Node, what: str) -> bool:
    """Put something beside a separator where it may not be; whether there was room."""
    at = random.randrange(len(node.entries))
    bound = node.entries[at]
    left, right = node.children[at], node.children[at + 1]
    for upper in (False, True):  # down to a leaf at the bound
        while (left if upper else right).children:
            page = left if upper else right
            if what == "equal" and not upper and page.entries:
                if page.entries[0] > bound:
                    page.entries[0] = bound
                    return True
                return False
            if upper:
                left = page.children[-1]
            else:
                right = page.children[0]
    if what == "below":
        lower = bound[:-1]
        if len(right.entries) >= 40 or not lower or lower >= right.entries[0]:
            return False
        right.entries[0] = lower
        return True
    if what == "equal" or bound <= left.entries[-1]:
        return False
    left.entries[-1] = bound + bytes(random.randint(0, 2))
    return True


def _deepen(random: Random, nodes: list[tuple[tuple[int, ...], Node]]) -> str:
    """Pages of one child each above one of the leaves, until it is too deep."""
    trail, leaf = random.choice([(trail, node) for trail, node in nodes if not node.children and node.entries])
    for _ in range(LEVELS - len(trail)):
        below = Node(leaf.entries, leaf.children)
        leaf.entries, leaf.children = [], [below]
    return "depth"


def malformed(random: Random, node: Node) -> bytes:
    """Bytes like a page's, which are none."""
    entries, children = list(node.entries), [cid_of(b"%d" % i) for i in range(len(node.children))]
    raw = Inner(children, entries, [1] * len(children)).encode() if children else Leaf(entries).encode()
    ways = [raw + b"\0", raw[:-1], raw[:1], b"", b"\xbf" + raw[1:] + b"\xff", b"\xa1\x61k\x98\x01\x41a"]
    if len(entries) > 1:
        entries[0], entries[1] = entries[1], entries[0]
        ways.append(Inner(children, entries, [1] * len(children)).encode() if children else Leaf(entries).encode())
        ways.append(Leaf([entries[0], entries[0]]).encode())
    ways.append(Leaf([*node.entries[:3], b"\xff"]).encode())
    ways.append(Leaf([b"%02d" % at for at in range(41)]).encode())
    if children:
        ways.append(Inner(children, node.entries, [0] * len(children)).encode())
    return random.choice(ways)
