"""Trees that somebody makes so that challenges are dear, made at random: nobody can make one dearer than the target.

`python -m tests.contracts.checkpoints.adversary FROM TO` tries each seed and prints the dearest of each kind of
transaction: its gas since EIP-7623 (and before), its bytes of calldata, how many pages were shown before, and the seed.

Pages are up to `SHOW_MAX` bytes, of keys with no zero byte but the four that they must have, which share all but their
last bytes with the victim's; trees have up to 32 levels of up to 8 children, with separators as long as keys; claims
have nine records. Nothing of this is canonical: the format allows it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Final

from dkg.checkpoints.evidence import shows_needed, summarised
from dkg.checkpoints.judge import Evidence, Extra, Fault, Index, Invalid, Missing
from dkg.checkpoints.owners import permute, prefix_of
from dkg.checkpoints.paths import Place, Step, Way
from dkg.checkpoints.records import Record
from dkg.checkpoints.walk import FaultKind
from dkg.cut import LEVELS_MAX
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from tests.contracts.checkpoints.fuzz_chain import BOND, Contracts, Sent, calldata_of
from tests.contracts.checkpoints.fuzz_world import WATCHER
from tests.contracts.onchain import Sequence, unpacked

if TYPE_CHECKING:
    from collections.abc import Sequence as Several

TARGET: Final = 1_500_000
"""What a transaction against a checkpoint may cost (DESIGN.md section 6)."""
GRAPH_BYTES: Final = 500
_COUNT: Final = 2**62 + 0x0102030405060708


@dataclass(frozen=True)
class Dear:
    """A transaction. `shows`: how many pages were shown before."""

    gas: int
    standard: int
    calldata: int
    shows: int
    seed: int


class Adversary:
    """Makes keys and pages for one seed, as a publisher that commits and a proposer that proposes."""

    def __init__(self, contracts: Contracts, seed: int) -> None:
        self.chain = contracts
        self.seed = seed
        self.random = Random(seed)
        self.owner = self.random.randbytes(20)
        self.address = "0x" + self.owner.hex()
        contracts.fund(WATCHER, self.address)
        self.sequence = Sequence(contracts.registry, self.address)
        self.levels = self.random.choice([1, 2, 8, 16, LEVELS_MAX - 1])
        self.separators = self.random.choice([4, 40, 200, KEY_MAX])
        self.key = self._key(self.random.choice([200, 400, KEY_MAX]))
        self.found: dict[str, Dear] = {}

    def noise(self, size: int) -> bytes:
        """Bytes that cost the most, and are none of those that a component may not have."""
        return bytes(self.random.randrange(0x20, 0xFF) for _ in range(size))

    def _key(self, size: int) -> bytes:
        """A key of spog of the adversary's, of `size` bytes or a few more: long in its graph or in its object."""
        graph = prefix_of(self.chain.domain, self.owner)
        spare = max(0, size - len(graph) - 10)
        named = self.random.choice([0, spare, min(spare, GRAPH_BYTES)])
        return b"s\0p\0" + self.noise(spare - named + 3) + b"\0" + graph + self.noise(named) + b">\0"

    def beside(self, key: bytes, count: int, size: int, *, above: bool) -> list[bytes]:
        """Ascending byte strings of `size` bytes on one side of a key, with as much of it in common as can be."""
        found: set[bytes] = set()
        at = min(len(key), size) - 1
        while len(found) < count:
            cut = max(0, at - self.random.choice([0, 1, 2, 3]))
            step = self.random.randint(1, 8)
            byte = key[cut] + step if above else key[cut] - step
            at -= len(found) > 8 * (len(key) - at)
            if 0 < byte < (255 if cut == 0 else 256):
                found.add((key[:cut] + bytes([byte])).ljust(size, self.noise(1)))
            else:
                at = max(0, at - 1)
        return sorted(found)

    def leaf(self, key: bytes, *, member: bool) -> tuple[Leaf, int]:
        """A leaf with a key or without it, and where the key is or would be."""
        count = self.random.choice([0, 1, 8, 20, 39])
        below = self.random.choice([0, count // 2, count])
        size = self.random.choice([len(key), KEY_MAX])
        low, high = self.beside(key, below, size, above=False), self.beside(key, count - below, size, above=True)
        keys = [*low, *([key] if member else []), *high]
        while len(Leaf(keys).encode()) > SHOW_MAX:
            keys.pop()
        return Leaf(keys), len(low)

    def above(self, key: bytes, steps: Several[Step], levels: int) -> list[Step]:
        """Inner pages over a page, which the key is behind."""
        made = list(steps)
        for level in range(levels):
            number = self.random.choice([1, 4, 8, 8])
            at = self.random.choice([0, number // 2, number - 1])
            children = [sha256(b"%d %d %d" % (self.seed, level, child)).digest() for child in range(number)]
            children[at] = sha256(made[0].raw).digest()
            separators = [
                *self.beside(key, at, self.separators, above=False),
                *self.beside(key, number - 1 - at, self.separators, above=True),
            ]
            page = Inner([CID_PREFIX + child for child in children], separators, [_COUNT // 8] * number)
            made.insert(0, Step(page, page.encode(), at))
        return made

    def place(self, order: int, *, member: bool) -> list[Step]:
        """The steps to where the victim is or would be, in one of the trees; without the dataset root."""
        key = permute(self.key, "spog", ORDERS[order])
        leaf, at = self.leaf(key, member=member)
        return self.above(key, [Step(leaf, leaf.encode(), at)], self.levels)

    def rooted(self, trees: dict[int, list[Step]]) -> tuple[bytes, dict[int, Place]]:
        """The digest of a dataset root over some trees, and the paths through it."""
        links = [cid_of(trees[at][0].raw if at in trees else b"%d" % at) for at in range(len(ORDERS))]
        root = DatasetRoot(links, _COUNT)
        places = {}
        for at, steps in trees.items():
            way = (Step(root, root.encode(), at), *steps)
            lower, upper = Way(way).bounds
            last = steps[-1]
            keys = last.page.keys if isinstance(last.page, Leaf) else []
            before = keys[last.at - 1] if last.at else lower
            after = keys[last.at] if last.at < len(keys) else upper
            places[at] = Place(way, self.key, member=False, hidden=False, before=before, after=after)
        return cid_of(root.encode())[len(CID_PREFIX) :], places

    # --- on the chain ------------------------------------------------------------------------------------------------

    def commit(self, root: bytes) -> Record:
        """The publisher's next commit."""
        _, values = self.sequence.send(root=root)
        numbers = 0
        for name in unpacked(0):
            numbers = numbers << 48 | values[name]
        record = Record(root, numbers, *self.chain.registry.block)
        self.chain.wait(12)
        return record

    def claim(self, root: bytes) -> tuple[Record, ...]:
        """Eight commits, all of which but the first are marked; one more has to follow the proposal."""
        records = [self.commit(root)]
        for number in range(7):
            bad = b"no page %d" % number
            records.append(self.commit(sha256(bad).digest()))
            self.chain.send(WATCHER, calldata_of(Invalid(self.owner, records[-1], 1, b"", bad, b"", b"")))
        return tuple(records)

    def propose(self, root: bytes) -> int:
        """Propose a root at the end of the log, with all marks: the checkpoint's id."""
        length = self.chain.registry.view("log_length")
        tip = self.chain.registry.mapped(2, length - 1).to_bytes(32)
        self.chain.call(WATCHER, "propose", length, self.chain.state.marks, root, tip, value=BOND)
        return self.chain.state.last

    def send(self, name: str, evidence: Evidence) -> None:
        """Show what a watcher shows, and send the evidence: what it cost, and the dearest show."""
        first = shows_needed(evidence)
        for raw in first:
            self._note("show", self.chain.call(WATCHER, "show", raw), 0)
        evidence = summarised(evidence, {sha256(raw).digest() for raw in first})
        self._note(name, self.chain.send(WATCHER, calldata_of(evidence)), len(first))

    def _note(self, name: str, sent: Sent, shows: int) -> None:
        made = Dear(sent.gas, sent.standard, len(sent.data), shows, self.seed)
        self.found[name] = max(made, self.found.get(name, made), key=lambda one: one.gas)

    def run(self) -> dict[str, Dear]:
        """Every kind of challenge: what each cost."""
        here, ours = self.rooted({0: self.place(0, member=True)})
        gone, theirs = self.rooted({0: self.place(0, member=False)})
        for name, counts, proposed in (("missing", here, gone), ("extra", gone, here)):
            records = self.claim(counts)
            number = self.propose(proposed)
            records = (*records, self.commit(b"\x13" * 32))
            blobs, place = (ours[0].encode(), theirs[0].encode()), theirs[0]
            made: Evidence = (
                Missing(number, self.owner, records, *blobs, self.key, place.before, place.after)
                if name == "missing"
                else Extra(number, self.key, blobs[0], self.owner, records, blobs[1], place.before, place.after)
            )
            self.send(name, made)
        self._index()
        self._faults()
        return self.found

    def _index(self) -> None:
        tree, other = self.random.sample(range(len(ORDERS)), 2)
        root, places = self.rooted({tree: self.place(tree, member=True), other: self.place(other, member=False)})
        key, absent = permute(self.key, "spog", ORDERS[tree]), places[other]
        number = self.propose(root)
        blobs = places[tree].encode(), absent.encode()
        self.send("index", Index(number, key, blobs[0], other, blobs[1], absent.before, absent.after))

    def _faults(self) -> None:
        """A key beyond its bound, a count that is not so, and a page that is none, each of which is the largest."""
        leaf = Leaf(self.beside(self.key, 39, KEY_MAX, above=True))
        bound = self.beside(self.key, 1, KEY_MAX, above=False)
        top = Inner([cid_of(leaf.encode()), cid_of(b"")], bound, [39 + 1, _COUNT // 4])
        steps = self.above(self.key, [Step(top, top.encode(), 0), Step(leaf, leaf.encode(), 38)], self.levels - 1)
        root, places = self.rooted({0: steps})
        blob, record = places[0].encode(), self.commit(root)
        bad = leaf.encode()[:-1] + b"\0\0"
        bad = bad.ljust(SHOW_MAX, b"\1")
        spoilt = Inner([cid_of(bad)], [], [_COUNT])
        broken, ways = self.rooted({0: self.above(self.key, [Step(spoilt, spoilt.encode(), 0)], self.levels - 1)})
        self.send("bounds", Fault(self.propose(root), FaultKind.BOUNDS, blob, b"", bound[0], leaf.keys[38]))
        self.send("mark, bounds", Invalid(self.owner, record, FaultKind.BOUNDS, blob, b"", bound[0], leaf.keys[38]))
        self.send("count", Fault(self.propose(root), FaultKind.COUNT, blob, b"", b"", b""))
        self.send("page", Fault(self.propose(broken), FaultKind.PAGE, ways[0].encode(), bad, b"", b""))
        record = self.commit(broken)
        self.send("mark, page", Invalid(self.owner, record, FaultKind.PAGE, ways[0].encode(), bad, b"", b""))


def dearest(found: Several[dict[str, Dear]]) -> dict[str, Dear]:
    """The dearest of each kind."""
    made: dict[str, Dear] = {}
    for one in found:
        for name, dear in one.items():
            made[name] = max(dear, made.get(name, dear), key=lambda each: each.gas)
    return made


def main(arguments: list[str]) -> int:
    """The command."""
    contracts = Contracts(metered=True)
    found = dearest([Adversary(contracts, seed).run() for seed in range(int(arguments[0]), int(arguments[1]))])
    sys.stdout.write(json.dumps({name: vars(dear) for name, dear in sorted(found.items())}, indent=1) + "\n")
    return 1 if any(dear.gas > TARGET for dear in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
