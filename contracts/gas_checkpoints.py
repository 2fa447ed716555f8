"""What checkpoints cost: gas of real transactions on py-evm (eth-tester), by the rules of Cancun, and with EIP-7623.

`python -m contracts.gas_checkpoints [--write]` prints the figures, or writes `gas_checkpoints.json` beside it. Needs
the extra `publish`. The figures are the same on every machine. `standard` is what a transaction costs without EIP-7623,
`floor` the least that it pays with it, `total` the greater of the two, `calldata` its bytes of data.

At the limits: pages as large as can be shown, keys of `KEY_MAX` bytes that differ in their last bytes only, trees of 32
levels with 8 children a page, counts of four bytes, nine records. `shows`: how many pages are shown before.
"""

from __future__ import annotations

import sys
from dataclasses import astuple, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eth.vm.forks.cancun import CancunVM
from eth_abi.abi import encode
from eth_tester import PyEVMBackend  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from contracts import checkpoints
from contracts.gas import Chain, account, report
from dkg.build import build_tree
from dkg.chain.commit import Domain
from dkg.checkpoints.evidence import least_gas, shows_needed, summarised
from dkg.checkpoints.judge import Extra, Missing
from dkg.checkpoints.owners import permute, prefix_of
from dkg.checkpoints.paths import Step, Way, path
from dkg.checkpoints.records import Record
from dkg.checkpoints.shown import last_block
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dkg.checkpoints.paths import Place
    from dkg.page import Page

SNAPSHOT: Final = Path(__file__).resolve().parent / "gas_checkpoints.json"
TARGET: Final = 1_500_000
"""What a transaction against a checkpoint may cost (DESIGN.md section 6)."""
BOND: Final = 10**18
WINDOW: Final = 86_400
DEMAND_BOND: Final = 10**16
DEMAND_WINDOW: Final = 3_600

_ABI: Final = {part["name"]: part for part in checkpoints().abi if part["type"] == "function"}
_CREATED: Final = 0x6A_11_22_33
_COUNT: Final = 0x11_22_33_44
_LEVELS: Final = 32
_QUADS: Final = 400
_QUAD_BYTES: Final = 270


def _type(given: Mapping[str, Any]) -> str:
    if not given["type"].startswith("tuple"):
        return str(given["type"])
    return f"({','.join(map(_type, given['components']))}){given['type'][len('tuple') :]}"


def calldata(name: str, *values: Any) -> bytes:  # noqa: ANN401 - values of an ABI
    """The data of a transaction that calls a function of the contract."""
    types = [_type(given) for given in _ABI[name]["inputs"]]
    return keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)


def figure(data: bytes, standard: int) -> dict[str, int]:
    """All of a transaction's figures."""
    floor = least_gas(data)
    return {"calldata": len(data), "standard": standard, "floor": floor, "total": max(standard, floor)}


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit in the registry's log, as a record shows it."""

    root: bytes
    numbers: int
    block_number: int
    timestamp: int

    @property
    def record(self) -> tuple[bytes, int, int, int]:
        """As the ABI takes it."""
        return self.root, self.numbers, self.block_number, self.timestamp


class Contracts:
    """A registry and checkpoints on a chain of their own."""

    def __init__(self) -> None:
        self.chain = Chain(PyEVMBackend(vm_configuration=((0, CancunVM),)))
        self.me = self.chain.relayer
        values = (self.chain.registry, BOND, WINDOW, DEMAND_BOND, DEMAND_WINDOW)
        types = ["address", "uint256", "uint256", "uint256", "uint256"]
        code = bytes.fromhex(checkpoints().bytecode[2:]) + encode(types, values)
        receipt = self.chain.send(self.me, {"data": "0x" + code.hex()})
        self.address = receipt["contract_address"]
        self.deployment = figure(code, receipt["gas_used"])
        self.domain = Domain(self.chain.chain_id, bytes.fromhex(self.chain.registry[2:]))
        self.publisher = self.chain.fund(account(500))
        self.owner = bytes.fromhex(self.publisher[2:])
        self.marks = 0
        self.commits: list[Commit] = []
        self._proposed = 0

    def send(self, name: str, *values: Any, value: int = 0) -> dict[str, int]:  # noqa: ANN401 - values of an ABI
        """Send a transaction to the checkpoint contract: its figures."""
        data = calldata(name, *values)
        receipt = self.chain.send(self.me, {"to": self.address, "data": "0x" + data.hex(), "value": value})
        return figure(data, receipt["gas_used"])

    def commit(self, root: bytes) -> Commit:
        """The publisher's next commit."""
        chain, seq = self.chain, len(self.commits) + 1
        last = self.commits[-1] if self.commits else None
        meta = keccak(self._words(last)) if last else bytes(32)
        before = last.root if last else bytes(32)
        chain.gas(self.publisher, "commit", self.publisher, root, _COUNT, before, _CREATED, meta)
        numbers = seq << 192 | (seq - 1) << 144 | max(seq - 2, 0) << 96 | _COUNT << 48 | _CREATED
        self.commits.append(Commit(root, numbers, *chain.block()))
        return self.commits[-1]

    def _words(self, commit: Commit) -> bytes:
        return encode(["address"] + ["uint256"] * 3, (self.publisher, *commit.record[1:]))

    @property
    def tip(self) -> bytes:
        """The log's last entry."""
        return keccak(self.commits[-1].root + keccak(self._words(self.commits[-1])))

    def propose(self, root: bytes, marks: int = 0) -> tuple[int, dict[str, int]]:
        """Propose a root at the end of the log: the checkpoint's id, and the figures."""
        self._proposed += 1
        return self._proposed, self.send("propose", len(self.commits), marks, root, self.tip, value=BOND)

    def key(self, number: int, size: int = KEY_MAX) -> bytes:
        """A key of the publisher, in spog. Keys of one size differ in their last bytes only."""
        name = prefix_of(self.domain, self.owner) + b"%08d" % number + b">\0"
        return b"<urn:s>\0<urn:p>\0" + b'"' + b"o" * (size - len(name) - 19) + b'"\0' + name


def digest_of(raw: bytes) -> bytes:
    """The SHA-256 of a page."""
    return sha256(raw).digest()


class Pages:
    """Datasets in memory."""

    def __init__(self) -> None:
        self.store = MemoryPageStore()
        self.pages = StoredPages(self.store)

    def dataset(self, trees: Sequence[Sequence[bytes]]) -> bytes:
        """The digest of the root of a dataset whose trees have these keys, each in its own order."""
        sink = PageSink(self.store)
        links = [build_tree([sorted(keys)], sink)[0] for keys in trees]
        root = sink.add(DatasetRoot(links, len(trees[0])))
        sink.flush()
        return root[len(CID_PREFIX) :]

    def place(self, root: bytes, tree: int, key: bytes) -> Place:
        """Where a key is or would be."""
        return path(self.pages, CID_PREFIX + root, tree, key)


def trees_of(keys: Sequence[bytes]) -> list[list[bytes]]:
    """The keys of the four trees of a dataset, from those of spog."""
    return [[permute(key, "spog", order) for key in keys] for order in ORDERS]


@dataclass(frozen=True)
class Deep:
    """A path to or around a key, and the keys beside it."""

    way: Way
    before: bytes
    after: bytes

    @property
    def root(self) -> bytes:
        """The digest of the dataset root."""
        return self.way.steps[0].digest


@dataclass(frozen=True, slots=True)
class Form:
    """How somebody has made the pages of a tree: levels, keys of a leaf, bytes of keys and of separators."""

    levels: int = _LEVELS
    keys: int = 40
    key_bytes: int = KEY_MAX
    separator_bytes: int = KEY_MAX


def deep(contracts: Contracts, form: Form, *, member: bool) -> Deep:
    """A path to or around key 5000. All pages have 8 children."""
    half, size = form.keys // 2, form.key_bytes
    own = [contracts.key(5000 + at + (at >= 0 and not member), size) for at in range(-half, half)]
    leaf = Leaf(own)
    steps = [Step(leaf, leaf.encode(), half)]
    for level in range(form.levels - 1):
        children = [cid_of(b"%d %d" % (level, at)) for at in range(8)]
        children[3] = cid_of(steps[0].raw)
        separators = [(b"!" if at < 3 else b"z") + b"%02d%d" % (level, at) for at in range(7)]  # noqa: PLR2004
        separators = [made + b"x" * (form.separator_bytes - len(made)) for made in separators]
        page = Inner(children, separators, [_COUNT] * 8)
        steps.insert(0, Step(page, page.encode(), 3))
    top = cid_of(steps[0].raw)
    root = DatasetRoot([top, *(cid_of(b"%d" % at) for at in range(3))], _COUNT)
    return Deep(Way((Step(root, root.encode(), 0), *steps)), own[half - 1], own[half])


def measure() -> dict[str, dict[str, int]]:
    """The figures of each operation, by name."""
    contracts = Contracts()
    figures = {"deployment": contracts.deployment}
    figures |= _shows(contracts)
    figures |= _small(contracts)
    figures |= _funds(contracts)
    figures |= _limits(contracts)
    return figures


def full_leaf(contracts: Contracts, last: int = 99) -> bytes:
    """Of exactly `SHOW_MAX` bytes; the last key is longer than the others. `last` 0: shorter, so that it is no page."""
    keys = [contracts.key(at) for at in range(39)]
    spare = SHOW_MAX - len(Leaf(keys).encode()) - 3
    return Leaf([*keys, contracts.key(last, spare) if last else b"a" * spare]).encode()


def _shows(contracts: Contracts) -> dict[str, dict[str, int]]:
    leaf = full_leaf(contracts)
    inner = Inner([cid_of(b"%d" % at) for at in range(8)], [contracts.key(at) for at in range(7)], [_COUNT] * 8)
    root = DatasetRoot([cid_of(b"%d" % at) for at in range(4)], _COUNT)
    return {
        "show, a leaf of 30,976 bytes": contracts.send("show", leaf),
        "show, an inner page with separators of 768 bytes": contracts.send("show", inner.encode()),
        "show, a dataset root": contracts.send("show", root.encode()),
        "show, 30,976 bytes that are no page": contracts.send("show", full_leaf(contracts, 0)),
        "show_long": contracts.send("show_long", *last_block(b"x" * (SHOW_MAX + 1))),
    }


def _small(contracts: Contracts) -> dict[str, dict[str, int]]:
    """Challenges in a union of `_QUADS` quads, by bytes."""
    pages, keys = Pages(), [contracts.key(at, _QUAD_BYTES) for at in range(_QUADS)]
    right = trees_of(keys)
    root = pages.dataset(right)
    contracts.commit(root)
    records = [commit.record for commit in contracts.commits]
    key, odd = keys[200], contracts.key(200, _QUAD_BYTES + 1)
    ours = pages.place(root, 0, key)
    without = pages.dataset(trees_of([other for other in keys if other != key]))
    theirs = pages.place(without, 0, key)
    common = (contracts.publisher, records)
    figures: dict[str, dict[str, int]] = {}
    number, figures["propose"] = contracts.propose(without)
    figures["challenge_missing"] = contracts.send(
        "challenge_missing", number, *common, ours.encode(), theirs.encode(), key, theirs.before, theirs.after
    )
    more = pages.dataset(trees_of([*keys, odd]))
    absent = pages.place(root, 0, odd)
    number, figures["propose, later"] = contracts.propose(more)
    member = pages.place(more, 0, odd).encode()
    figures["challenge_extra"] = contracts.send(
        "challenge_extra", number, odd, member, *common, absent.encode(), absent.before, absent.after
    )
    nobodys = b"<urn:s>\0<urn:p>\0<urn:o>\0<urn:g>\0"
    strange = pages.dataset(trees_of([*keys, nobodys]))
    number, _ = contracts.propose(strange)
    member = pages.place(strange, 0, nobodys).encode()
    nothing: tuple[Any, ...] = ("0x" + "00" * 20, [], b"", b"", b"")
    figures["challenge_extra, nobody's"] = contracts.send("challenge_extra", number, nobodys, member, *nothing)
    crooked = pages.dataset([*right[:2], right[2][1:], right[3]])
    lost = permute(right[2][0], "ospg", "spog")
    gone = pages.place(crooked, 2, right[2][0])
    number, _ = contracts.propose(crooked)
    member = pages.place(crooked, 0, lost).encode()
    figures["challenge_index"] = contracts.send(
        "challenge_index", number, lost, member, 2, gone.encode(), gone.before, gone.after
    )
    return figures | _faults(contracts, ours)


def _faults(contracts: Contracts, place: Place) -> dict[str, dict[str, int]]:
    """One of each kind of fault but depth, in what a path of a right tree becomes when its last page is changed."""
    figures: dict[str, dict[str, int]] = {}
    leaf = place.steps[-1].page
    if not isinstance(leaf, Leaf):
        raise TypeError("the place of a key is in a leaf")
    bad = leaf.encode()[:-1]
    beyond = Leaf([*leaf.keys[:-1], b"z" + leaf.keys[-1]])
    last = len(beyond.keys) - 1
    cases = {
        "page": (1, _changed(place, bad).steps[:-1], bad, b"", b""),
        "count": (2, _changed(place, Leaf(leaf.keys[:-1]).encode()).steps, b"", b"", b""),
        "bounds": (3, _changed(place, beyond.encode(), last).steps, b"", place.bounds[1], beyond.keys[last]),
    }
    for name, (fault, steps, *rest) in cases.items():
        root, blob = steps[0].digest, Way(steps).encode()
        number, _ = contracts.propose(root)
        figures[f"challenge_page, {name}"] = contracts.send("challenge_page", number, fault, blob, *rest)
        commit = contracts.commit(root)
        figures[f"mark_invalid, {name}"] = contracts.send(
            "mark_invalid", contracts.publisher, commit.record, fault, blob, *rest
        )
        contracts.marks += 1
    return figures


def _changed(place: Place, raw: bytes, at: int = 0) -> Way:
    """The path with other bytes for its leaf, and with the digests above that these make."""
    steps = [Step(place.steps[-1].page, raw, at)]
    for step in reversed(place.steps[:-1]):
        below, page = cid_of(steps[0].raw), step.page
        made: Page = page
        if isinstance(page, DatasetRoot):
            made = DatasetRoot([below, *page.trees[1:]], page.count)
        elif isinstance(page, Inner):
            children = [*page.children[: step.at], below, *page.children[step.at + 1 :]]
            made = Inner(children, page.separators, page.counts)
        steps.insert(0, Step(made, made.encode(), step.at))
    return Way(tuple(steps))


def _funds(contracts: Contracts) -> dict[str, dict[str, int]]:
    """From here on the log has commits with marks."""
    figures: dict[str, dict[str, int]] = {}
    leaf = full_leaf(contracts, 98)
    number, _ = contracts.propose(digest_of(leaf))
    figures["demand_checkpoint"] = contracts.send("demand_checkpoint", number, b"", value=DEMAND_BOND)
    figures["answer, a page of 30,976 bytes"] = contracts.send("answer", 1, leaf)
    contracts.chain.wait(WINDOW + 2 * DEMAND_WINDOW)
    figures["finalise"] = contracts.send("finalise", number)
    figures["withdraw"] = contracts.send("withdraw")
    commit = contracts.commit(b"\x12" * 32)
    number, _ = contracts.propose(b"\x11" * 32)
    figures["demand_checkpoint, later"] = contracts.send("demand_checkpoint", number, b"", value=DEMAND_BOND)
    figures["demand_commit"] = contracts.send(
        "demand_commit", contracts.publisher, commit.record, b"", value=DEMAND_BOND
    )
    contracts.chain.wait(DEMAND_WINDOW)
    figures["expire, of a checkpoint"] = contracts.send("expire", 2)
    figures["expire, of a commit"] = contracts.send("expire", 3)
    contracts.marks += 1
    return figures


FORMS: Final = {
    "32 levels of the longest keys": Form(),
    "32 levels of short separators": Form(keys=12, separator_bytes=4),
    "8 levels of short keys": Form(8, key_bytes=160, separator_bytes=40),
    "2 levels of the longest keys": Form(2, 20),
}
"""Trees that somebody makes so that challenges are dear; the first one's transaction is the largest that there is."""


def _limits(contracts: Contracts) -> dict[str, dict[str, int]]:
    """Challenges that cost as much as somebody who makes the pages can make them cost, by what a watcher sends."""
    figures: dict[str, dict[str, int]] = {}
    for name, form in FORMS.items():
        here, gone = (deep(contracts, form, member=member) for member in (True, False))
        key = contracts.key(5000, form.key_bytes)
        for kind, counts, proposed in (("missing", here, gone), ("extra", gone, here)):
            number, records = _claim(contracts, counts.root, proposed.root)
            blobs = (here.way.encode(), gone.way.encode())
            made: Missing | Extra = (
                Missing(number, contracts.owner, records, *blobs, key, gone.before, gone.after)
                if kind == "missing"
                else Extra(number, key, blobs[0], contracts.owner, records, blobs[1], gone.before, gone.after)
            )
            first = shows_needed(made)
            shown = [contracts.send("show", raw) for raw in first]
            made = summarised(made, {digest_of(raw) for raw in first})
            values = [getattr(made, field.name) for field in fields(made)]
            values = [[astuple(one) for one in value] if isinstance(value, tuple) else value for value in values]
            figures[f"limit, {kind}, {name}"] = contracts.send(f"challenge_{kind}", *values)
            figures[f"limit, {kind}, {name}"]["shows"] = len(shown)
    tall = deep(contracts, Form(_LEVELS + 1), member=True)
    for step in tall.way.steps:
        contracts.send("show", step.raw)
    number, _ = contracts.propose(tall.root, contracts.marks)
    blob = tall.way.encode({step.digest for step in tall.way.steps})
    figures["limit, challenge_page, depth"] = contracts.send("challenge_page", number, 4, blob, b"", b"", b"")
    return figures


def _claim(contracts: Contracts, counts: bytes, proposed: bytes) -> tuple[int, tuple[Record, ...]]:
    """A proposal behind eight commits of the publisher, all of which but the first are marked; and nine records."""
    commits = [contracts.commit(counts)]
    for at in range(7):
        bad = b"no page %d %d" % (len(contracts.commits), at)
        commits.append(contracts.commit(digest_of(bad)))
        contracts.send("mark_invalid", contracts.publisher, commits[-1].record, 1, b"", bad, b"", b"")
        contracts.marks += 1
    number, _ = contracts.propose(proposed, contracts.marks)
    commits.append(contracts.commit(b"\x13" * 32))
    return number, tuple(Record(*commit.record) for commit in commits)


def main(arguments: list[str]) -> int:
    """Run the command."""
    return report(arguments, "python -m contracts.gas_checkpoints", __doc__, SNAPSHOT, measure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
