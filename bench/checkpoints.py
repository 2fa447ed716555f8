"""What it costs to refute a wrong checkpoint in a large union: gas, and bytes of calldata, of each kind of challenge.

`scripts/bench checkpoints`. Unions of made-up quads (keys of about 270 bytes, seven publishers) at a registry and a
checkpoint contract on py-evm. For random victims the checkpoint is made wrong at that place, and what a watcher sends
is counted; some of it is sent. `standard` is gas by the rules before EIP-7623, `total` since then: at least 10 for a
zero byte of calldata and 40 for another.
"""

from __future__ import annotations

import random
import time
from dataclasses import astuple, dataclass, field, fields, replace
from hashlib import sha256
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from bench.report import Row
from contracts.gas import account
from contracts.gas_checkpoints import DEMAND_BOND, DEMAND_WINDOW, TARGET, WINDOW, Contracts, calldata, figure
from dkg.build import build_tree
from dkg.chain.checkpoints import Checkpoint, Status
from dkg.chain.commit import Commit
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed
from dkg.checkpoints.evidence import (
    Case,
    calldata_bytes,
    extra,
    fault,
    index,
    invalid,
    missing,
    shows_needed,
    summarised,
)
from dkg.checkpoints.judge import Evidence, Extra, Fault, Index, Invalid, Missing
from dkg.checkpoints.owners import owner_of, permute, prefix_of
from dkg.checkpoints.paths import Step, Way, path
from dkg.checkpoints.records import Record
from dkg.checkpoints.walk import FaultKind
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot, Inner, Leaf, cid_of
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.update import update_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.report import Json

SIZES: Final = (10_000, 1_000_000)
QUICK: Final = (10_000,)
PAPER: Final = 1_000_000_000
PUBLISHERS: Final = 7
COUNTED: Final = 120
"""Challenges of each kind that are made, and their calldata counted."""
SHARE: Final = 5
"""One of so many is sent."""

_FUNCTIONS: Final = {
    Missing: "challenge_missing",
    Extra: "challenge_extra",
    Index: "challenge_index",
    Fault: "challenge_page",
    Invalid: "mark_invalid",
}
_CREATED: Final = 0x6A_11_22_33


@dataclass
class World:
    """A union, its publishers' commits, and the contracts."""

    contracts: Contracts
    random: random.Random
    store: MemoryPageStore = field(default_factory=MemoryPageStore)
    log: RegistryLog = field(default_factory=RegistryLog)
    root: bytes = b""
    """The CID of the union."""
    keys: list[bytes] = field(default_factory=list)
    """Of spog, in order."""
    proposed: int = 0

    @property
    def pages(self) -> StoredPages:
        """The pages of all datasets."""
        return StoredPages(self.store, 200)


def _key(rnd: random.Random, prefix: bytes, quads: int) -> bytes:
    """A key of spog such as those of DBpedia, in a graph of a publisher."""
    thing = b"<http://dbpedia.example.org/resource/Entity_%d>"
    subject = thing % rnd.randrange(quads // 8)
    predicate = b"<http://dbpedia.example.org/ontology/property%d>" % rnd.randrange(40)
    other = thing % rnd.randrange(quads // 8)
    text = b'"Some label of thing number %d"@en' % rnd.randrange(quads)
    graph = prefix + b"dataset-%d>" % rnd.randrange(50)
    return b"\0".join([subject, predicate, other if rnd.random() < 0.6 else text, graph, b""])  # noqa: PLR2004


def world(quads: int) -> World:
    """A union of so many quads, built and committed."""
    contracts, rnd = Contracts(), random.Random(1)  # noqa: S311 - made-up data
    made = World(contracts, rnd)
    owners = [contracts.chain.fund(account(50_000 + 1_000 * at)) for at in range(PUBLISHERS)]
    prefixes = [prefix_of(contracts.domain, bytes.fromhex(owner[2:])) for owner in owners]
    found: set[bytes] = set()
    while len(found) < quads:
        found.add(_key(rnd, prefixes[len(found) % PUBLISHERS], quads))
    made.keys = sorted(found)
    sink = PageSink(made.store)
    for owner in owners:
        who = bytes.fromhex(owner[2:])
        own = [key for key in made.keys if owner_of(key, contracts.domain) == who]
        # Of what a publisher commits spog alone is looked at; its other trees have no part in what is measured.
        spog, count = build_tree([own], sink)
        _commit(made, owner, sink.add(DatasetRoot([spog] * len(ORDERS), count)))
    trees = [build_tree([sorted(permute(key, "spog", order) for key in made.keys)], sink)[0] for order in ORDERS]
    made.root = sink.add(DatasetRoot(trees, quads))
    sink.flush()
    return made


def _commit(made: World, owner: str, root: bytes) -> Committed:
    """A publisher's commit of a dataset, after what it has in the log."""
    who, digest = bytes.fromhex(owner[2:]), root[len(CID_PREFIX) :]
    state, chain = made.log.publishers.get(who), made.contracts.chain
    before = made.log.entries[state.head.position] if state else None
    previous, prior = (before.commit.root, before.meta()) if before else (bytes(32), bytes(32))
    chain.gas(owner, "commit", owner, digest, 1, previous, _CREATED, prior)
    number, now = chain.block()
    commit = Commit(who, before.commit.seq + 1 if before else 1, digest, 1, previous, _CREATED)
    committed = Committed(commit, len(made.log.entries), before.position if before else 0, number, now)
    made.log.apply(Block(number, number.to_bytes(32), (number - 1).to_bytes(32), now), [committed])
    return committed


# --- wrong checkpoints --------------------------------------------------------------------------------------------


def _case(made: World, root: bytes) -> Case:
    """A checkpoint that is about the whole log, as it will be proposed."""
    number = made.proposed + 1
    checkpoint = Checkpoint(
        number, bytes(20), len(made.log.entries), 0, root[len(CID_PREFIX) :], Status.PENDING, 0, 0, 0, 0
    )
    return Case(made.contracts.domain, made.log, {}, checkpoint, made.pages, made.pages)


def _edited(made: World, come: set[bytes], gone: set[bytes], trees: tuple[int, ...] = (0, 1, 2, 3)) -> bytes:
    """The CID of the union with keys of spog put in and taken out, in these trees."""
    pages, sink = made.pages, PageSink(made.store)
    old = pages.root(made.root)
    links = list(old.trees)
    for at in trees:
        put, out = ({permute(key, "spog", ORDERS[at]) for key in keys} for keys in (come, gone))
        links[at] = update_tree(pages, links[at], put, out, sink)
    root = sink.add(DatasetRoot(links, old.count + len(come) - len(gone)))
    sink.flush()
    return root


def _changed(steps: tuple[Step, ...], leaf: Leaf, raw: bytes, at: int = 0) -> Way:
    """A path with another leaf, of these bytes, and with the digests above that these make."""
    made = [Step(leaf, raw, at)]
    for step in reversed(steps[:-1]):
        below, page = cid_of(made[0].raw), step.page
        if isinstance(page, DatasetRoot):
            page = DatasetRoot([*page.trees[: step.at], below, *page.trees[step.at + 1 :]], page.count)
        elif isinstance(page, Inner):
            children = [*page.children[: step.at], below, *page.children[step.at + 1 :]]
            page = Inner(children, page.separators, page.counts)
        made.insert(0, Step(page, page.encode(), step.at))
    return Way(tuple(made))


def _missing(made: World) -> tuple[bytes, Evidence]:
    key = made.random.choice(made.keys)
    root = _edited(made, set(), {key})
    return root, missing(_case(made, root), key)


def _extra(made: World) -> tuple[bytes, Evidence]:
    owned = made.random.choice(made.keys)
    cut = owned.index(b"\0")
    key = owned[: cut - 1] + b"_%d>" % made.random.randrange(10**6) + owned[cut:]
    root = _edited(made, {key}, set())
    return root, extra(_case(made, root), key)


def _index(made: World) -> tuple[bytes, Evidence]:
    key, other = made.random.choice(made.keys), made.random.randrange(1, len(ORDERS))
    root = _edited(made, set(), {key}, (other,))
    return root, index(_case(made, root), key, 0, other)


def _spoilt(made: World, root: bytes, tree: int, key: bytes, kind: FaultKind) -> tuple[Way, bytes]:
    """A path through a tree with a fault where a key is, and for a fault of a page its bytes."""
    place = path(made.pages, root, tree, key)
    leaf = place.steps[-1].page
    if not isinstance(leaf, Leaf):
        raise TypeError("the place of a key is in a leaf")
    if kind is FaultKind.PAGE:
        raw = leaf.encode()[:-1]
        return Way(_changed(place.steps, leaf, raw).steps[:-1]), raw
    if kind is FaultKind.COUNT:
        less = Leaf(leaf.keys[:-1])
        return _changed(place.steps, less, less.encode()), b""
    low, high = place.bounds
    beyond = Leaf([*leaf.keys[:-1], high + b"\0"] if high else [low[:-1], *leaf.keys[1:]])
    return _changed(place.steps, beyond, beyond.encode(), len(beyond.keys) - 1 if high else 0), b""


def _fault(made: World, kind: FaultKind) -> tuple[bytes, Evidence]:
    tree = made.random.randrange(len(ORDERS))
    key = permute(made.random.choice(made.keys), "spog", ORDERS[tree])
    way, raw = _spoilt(made, made.root, tree, key, kind)
    root = CID_PREFIX + way.steps[0].digest
    return root, fault(_case(made, root).checkpoint, kind, way, raw)


def _invalid(made: World) -> tuple[bytes, Evidence]:
    """A commit with a fault: it stays out of the log, which would not be this one any more, until it is sent."""
    key, kind = made.random.choice(made.keys), made.random.choice([FaultKind.PAGE, FaultKind.COUNT, FaultKind.BOUNDS])
    owner = owner_of(key, made.contracts.domain)
    committed = next(one for one in made.log.entries if one.publisher == owner)
    way, raw = _spoilt(made, CID_PREFIX + committed.commit.root, 0, key, kind)
    commit = replace(committed.commit, root=way.steps[0].digest)
    return b"", invalid(replace(committed, commit=commit), kind, way, raw)


KINDS: Final[dict[str, Callable[[World], tuple[bytes, Evidence]]]] = {
    "missing": _missing,
    "extra": _extra,
    "index": _index,
    "page": lambda made: _fault(made, FaultKind.PAGE),
    "count": lambda made: _fault(made, FaultKind.COUNT),
    "bounds": lambda made: _fault(made, FaultKind.BOUNDS),
    "commit": _invalid,
}
"""Each kind of challenge: a wrong root, and the evidence against it."""


# --- what they cost -----------------------------------------------------------------------------------------------


def _values(evidence: Evidence) -> list[Any]:
    found = [getattr(evidence, one.name) for one in fields(evidence)]
    return [
        astuple(value)
        if isinstance(value, Record)
        else [astuple(record) for record in value]
        if isinstance(value, tuple)
        else value
        for value in found
    ]


def _send(made: World, root: bytes, evidence: Evidence) -> dict[str, int]:
    """Propose the root, or commit, and give the evidence to the contract: the figures of that transaction."""
    contracts, name = made.contracts, _FUNCTIONS[type(evidence)]
    if isinstance(evidence, Invalid):
        mallory = contracts.chain.fund(account(90_000 + 1_000 * len(made.log.entries)))
        committed = _commit(made, mallory, CID_PREFIX + evidence.record.root)
        evidence = replace(evidence, publisher=committed.publisher, record=Record.of(committed))
        return contracts.send(name, *_values(evidence))
    made.proposed += 1
    tip, position = made.log.entries[-1].entry(), len(made.log.entries)
    contracts.send("propose", position, 0, root[len(CID_PREFIX) :], tip, value=10**18)
    return contracts.send(name, *_values(evidence))


def challenges(made: World, name: str, sample: int = COUNTED) -> Json:
    """The figures of many challenges of a kind: bytes of calldata and the floor of all, gas of those that are sent.

    `calldata` and `floor` are those of one transaction, with no page shown before. Like a watcher, it shows pages where
    a transaction without that is too much. Sent are a share, and all of which that is not plain: the dearer ones.
    """
    counted: list[dict[str, int]] = []
    sent: list[dict[str, int]] = []
    shows = 0
    for number in range(sample):
        root, evidence = KINDS[name](made)
        counted.append(figure(calldata(_FUNCTIONS[type(evidence)], *_values(evidence)), 0))
        if counted[-1]["calldata"] != calldata_bytes(evidence):
            raise RuntimeError(f"a challenge has {counted[-1]['calldata']} bytes, not {calldata_bytes(evidence)}")
        first = shows_needed(evidence)
        if number >= sample // SHARE and not first:
            continue
        whole = _send(made, root, evidence) if counted[-1]["floor"] <= TARGET else None
        if whole is None or whole["total"] > TARGET:
            shows += 1
            for raw in first:
                made.contracts.send("show", raw)
            whole = _send(made, root, summarised(evidence, {sha256(raw).digest() for raw in first}))
        sent.append(whole)
    return {
        "counted": len(counted), "sent": len(sent), "with pages shown before": shows,
        "over the target by the floor": sum(one["floor"] > TARGET for one in counted),
        "calldata": _spread([one["calldata"] for one in counted]), "floor": _spread([one["floor"] for one in counted]),
        "standard": _spread([one["standard"] for one in sent]), "total": _spread([one["total"] for one in sent]),
    }  # fmt: skip


def _spread(found: list[int]) -> dict[str, int]:
    return {"median": round(median(found)), "p95": round(quantiles(found, n=20)[-1]), "max": max(found)}


def others(made: World) -> Json:
    """Gas of all else that happens to a checkpoint."""
    contracts, tip, position = made.contracts, made.log.entries[-1].entry(), len(made.log.entries)
    record, publisher = astuple(Record.of(made.log.entries[0])), made.log.entries[0].publisher
    leaf = max((raw for raw in made.store.pages.values() if raw[1:3] == b"\x61k"), key=len)
    found = {"propose": contracts.send("propose", position, 0, made.root[len(CID_PREFIX) :], tip, value=10**18)}
    place = path(made.pages, made.root, 0, made.random.choice(made.keys))
    number = made.proposed + 1
    named = Way(place.steps[:-1]).encode()
    found["demand a page of a checkpoint"] = contracts.send("demand_checkpoint", number, named, value=DEMAND_BOND)
    found["demand a root of a commit"] = contracts.send("demand_commit", publisher, record, b"", value=DEMAND_BOND)
    found["answer with that page"] = contracts.send("answer", 1, place.steps[-1].raw)
    contracts.chain.wait(WINDOW + 2 * DEMAND_WINDOW)
    found["expire"] = contracts.send("expire", 2)
    found["finalise"] = contracts.send("finalise", number)
    found["show the largest leaf"] = contracts.send("show", leaf)
    made.proposed = number
    return {name: {what: one[what] for what in ("calldata", "standard", "total")} for name, one in found.items()}


def _paper(small: Json, large: Json) -> dict[str, int]:
    """What 10^9 quads take, on paper: each ten times as many add as much as they did from 10^4 to 10^6."""
    decades = 2
    more = {what: (large[what] - small[what]) / decades for what in large}
    return {what: round(large[what] + 3 * more[what]) for what in large}


def _paper_row(what: str, unit: str, one: dict[str, int]) -> Row:
    spread = (float(one["p95"]), float(one["max"]))
    bar = float(TARGET) if unit == "gas" else None
    said = f"{what.replace(' ', ', ')}, 10^9 quads on paper, median (p95-max)"
    return Row(f"{what} {PAPER}", said, float(one["median"]), unit, bar=bar, spread=spread)


def measured(say: Callable[[str], None], *, quick: bool) -> tuple[list[Row], Json]:
    """All of it."""
    rows: list[Row] = []
    details: Json = {}
    for quads in QUICK if quick else SIZES:
        start = time.perf_counter()
        made = world(quads)
        say(f"{quads:,} quads built in {time.perf_counter() - start:.0f} s")
        found: Json = {}
        for name in KINDS:
            found[name] = challenges(made, name)
            say(f"{quads:,} quads: {name}")
        details[f"{quads}"] = {"challenges": found, "others": others(made)}
        rows += _rows(quads, found)
    if not quick:
        small, large = (details[f"{quads}"]["challenges"] for quads in SIZES)
        paper = {
            name: {what: _paper(small[name][what], large[name][what]) for what in ("total", "calldata")}
            for name in KINDS
        }
        details["on paper"] = {f"{PAPER}": paper}
        for name, one in paper.items():
            rows += [
                _paper_row(f"gas {name}", "gas", one["total"]),
                _paper_row(f"calldata {name}", "bytes", one["calldata"]),
            ]
    last = details[f"{(QUICK if quick else SIZES)[-1]}"]["others"]
    rows += [Row(f"gas {name}", f"gas, {name}", float(one["total"]), "gas") for name, one in last.items()]
    return rows, details


def _rows(quads: int, found: Json) -> Iterator[Row]:
    for name, one in found.items():
        total, size = one["total"], one["calldata"]
        spread = (float(total["p95"]), float(total["max"]))
        note = f"{one['with pages shown before']} of {one['counted']} with pages shown before"
        yield Row(
            f"gas {name} {quads}", f"gas, {name}, {quads:,} quads, median (p95-max)", float(total["median"]), "gas",
            bar=float(TARGET), spread=spread, note=note,
        )  # fmt: skip
        yield Row(
            f"calldata {name} {quads}", f"calldata, {name}, {quads:,} quads, median (p95-max)", float(size["median"]),
            "bytes", spread=(float(size["p95"]), float(size["max"])),
        )  # fmt: skip
