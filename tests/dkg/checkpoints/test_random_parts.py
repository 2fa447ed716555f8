"""Random queries over random parts: what verifies is what an engine says of the union that the parts stand for.

The parts hold what does not count: what a publisher said before, what it says in the graphs of others or of nobody,
keys over `KEY_MAX` bytes, keys that are no quads, what another has too; and indexes that contradict each other.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dkg.build import build_tree
from dkg.car import read_car, write_car
from dkg.checkpoints.answer import Parts, prove_joint, prove_origins, verify_joint
from dkg.checkpoints.owners import owner_of_graph, prefix_of
from dkg.errors import ProofError, StoreError
from dkg.evaluate import Dataset
from dkg.limits import KEY_MAX
from dkg.page import CID_PREFIX, ORDERS, DatasetRoot
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.terms import key_of
from tests.contracts.checkpoints.fuzz_trees import Dataset as Trees
from tests.contracts.checkpoints.fuzz_trees import grow, spoil
from tests.contracts.onchain import examples
from tests.dkg.checkpoints.worlds import DOMAIN, PUBLISHERS, STRANGER
from tests.evaluators import outcome_of
from tests.fuzz.check import fault
from tests.fuzz.grammar import Case, case
from tests.fuzz.vocabulary import GRAPHS, MISSING, iri
from tests.mutation.forgeries import NO_QUADS, reordered
from tests.mutation.subjects import NARROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dkg.checkpoints.answer import JointProof
    from tests.fuzz.tree import Node
    from tests.oracle import Quad

SEEDS = range(examples(50, 4000))
NOBODYS = b"<http://e/nobody>"
TAILS = [b"x>", b"x#provenance>", b"a>", b"z.9>"]


@dataclass(frozen=True)
class Owned(Case):
    """A case whose graphs are of publishers. `graphs`: their names by those of the vocabulary."""

    graphs: tuple[tuple[str, bytes], ...] = ()

    def _said(self, tree: Node) -> str:
        text = Case._said(self, tree)
        for name, graph in self.graphs:
            text = re.sub(rf"<http://e/{name}>|(?<![\w:])e:{name}(?!\w)", graph.decode(), text)
        return text


def owned(made: Case, rng: random.Random) -> Owned:
    every = [prefix_of(DOMAIN, who) + tail for who in PUBLISHERS for tail in TAILS]
    names = (*GRAPHS, MISSING)
    graphs = dict(zip(names, rng.sample(every, len(names)), strict=True))
    to = {iri(name): graph for name, graph in graphs.items()}
    quads = {tuple(to.get(term, term) for term in quad) for quad in made.quads}
    default, named = (
        None if some is None else tuple(to[one] for one in some) for some in (made.default_graphs, made.named_graphs)
    )
    return Owned(made.seed, tuple(sorted(quads)), made.tree, made.gap, 0, default, named, tuple(graphs.items()))  # type: ignore[arg-type]


def owner(quad: Quad) -> bytes | None:
    return owner_of_graph(quad[3], DOMAIN)


class World:
    """Parts whose union is the quads of a case, and other roots of all publishers' datasets."""

    def __init__(self, made: Owned, rng: random.Random) -> None:
        self.rng, self.made, self.store = rng, made, MemoryPageStore()
        true, changed = set(made.quads), rng.sample(PUBLISHERS, rng.randint(0, 3))
        every = [graph for _, graph in made.graphs]
        lies = [(*one[:3], rng.choice(every)) for one in made.quads]
        lies += [(one[0], rng.choice(made.quads)[1], rng.choice(made.quads)[2], one[3]) for one in made.quads]
        self.lies = [one for one in lies if one not in true]
        said = {one for one in true if owner(one) not in changed}
        before = {one for one in (*true, *self.lies) if owner(one) in changed and rng.random() < 0.5}
        self.datasets = {who: self.kept(self._own(who)) for who in PUBLISHERS}
        self.parts = Parts(DOMAIN, self.kept(said | before), {who: self.kept(self._own(who)) for who in changed})
        if rng.random() < 0.15:  # all the same dataset
            union = self.kept(true)
            self.parts = Parts(DOMAIN, union, dict.fromkeys(changed, union))

    def _own(self, who: bytes) -> set[Quad]:
        """What a publisher commits: its own quads, and some of what does not count."""
        rng, quads = self.rng, self.made.quads
        more = [one for one in (*quads, *self.lies) if owner(one) != who]
        more += [(*one[:3], NOBODYS) for one in quads[::3]]
        for one in quads[::4]:
            missing = KEY_MAX + rng.choice([1, 2, 3000]) - len(key_of((*one[:2], b'""', one[3]), "spog"))
            more.append((*one[:2], b'"' + b"x" * missing + b'"', one[3]))
        return {one for one in quads if owner(one) == who} | {one for one in more if rng.random() < 0.4}

    def kept(self, quads: Iterable[Quad]) -> bytes:
        odd = self.rng.sample([key for key in NO_QUADS if key], self.rng.choice([0, 0, 2]))
        wanted, sink = list(quads), PageSink(self.store)
        keys = [{key_of(one, order) for one in wanted} | {reordered(key, order) for key in odd} for order in ORDERS]
        trees = [build_tree([sorted(some)], sink, NARROW)[0] for some in keys]
        root = sink.add(DatasetRoot(trees, len(keys[0])))
        sink.flush()
        return root

    def contradictory(self) -> bytes:
        """A dataset in the graphs of others, whose indexes have different keys, and perhaps a fault."""
        rng = self.rng
        said = [one for one in {*self.made.quads, *self.lies} if owner(one) != STRANGER]
        keys = [sorted(rng.sample(sorted(key_of(one, order) for one in said), len(said) // 2)) for order in ORDERS]
        made = Trees([grow(rng, some) for some in keys])
        if rng.random() < 0.5:
            spoil(rng, rng.choice(made.trees))
        return CID_PREFIX + made.store(self.store.pages)

    def proof(self, parts: Parts, *, origins: bool) -> JointProof:
        pages, scope = StoredPages(self.store), Dataset(self.made.default_graphs, self.made.named_graphs)
        if origins:
            return prove_origins(pages, parts, self.made.text, self.datasets.get, dataset=scope)
        return prove_joint(pages, parts, self.made.text, dataset=scope)

    def wrong(self, car: bytes, parts: Parts, *, origins: bool) -> str | None:
        """What is wrong with the answer that a proof verifies as."""
        scope = Dataset(self.made.default_graphs, self.made.named_graphs)
        return fault(self.made, outcome_of(verify_joint(car, self.made.text, parts, origins=origins, dataset=scope)))

    def bent(self, proof: JointProof) -> bytes:
        """The proof with a page less, or more, or another in its place, or two that have changed places."""
        rng, others = self.rng, list(self.store.pages.items())
        blocks = list(read_car(proof.car, proof.parts.union, 10_000, proof.parts.roots[1:]).items())
        at, to = rng.randrange(len(blocks)), rng.randrange(len(blocks))
        ways = [
            [*blocks[:at], *blocks[at + 1 :]], [*blocks[:at], rng.choice(others), *blocks[at:]],
            [*blocks[:at], rng.choice(others), *blocks[at + 1 :]],
            [*blocks[:at], (blocks[at][0], rng.choice(others)[1]), *blocks[at + 1 :]],
        ]  # fmt: skip
        blocks[at], blocks[to] = blocks[to], blocks[at]
        return write_car(proof.parts.union, rng.choice([*ways, blocks]), proof.parts.roots[1:])


def test_what_verifies_is_right_for_the_union_and_no_other_proof_does() -> None:
    said = Counter[str]()
    for seed in SEEDS:
        rng = random.Random(seed)
        world = World(owned(case(seed), rng), rng)
        for origins in (False, True):
            proof = world.proof(world.parts, origins=origins)
            wrong = world.wrong(proof.car, proof.parts, origins=origins)
            assert wrong is None, (seed, origins, world.made.text, wrong)
            car = world.bent(proof)
            if car != proof.car:
                try:
                    world.wrong(car, proof.parts, origins=origins)
                    said["accepted"] += 1
                except ProofError:
                    said["refused"] += 1
    assert said.keys() == {"refused"}


def test_with_origins_no_forged_quad_of_a_checkpoint_changes_an_answer() -> None:
    said = Counter[bool]()
    for seed in SEEDS:
        rng = random.Random(seed)
        world = World(owned(case(seed), rng), rng)
        forged = world.kept({*world.made.quads, *world.lies})
        some = {who: root for who, root in world.parts.beside.items() if rng.random() < 0.5}
        parts = Parts(DOMAIN, forged, {who: world.datasets[who] for who in some})
        plain = world.proof(parts, origins=False)
        said[world.wrong(plain.car, parts, origins=False) is None] += 1
        proof = world.proof(parts, origins=True)
        wrong = world.wrong(proof.car, proof.parts, origins=True)
        assert wrong is None, (seed, world.made.text, wrong)
    assert said[False] > 0.2 * len(SEEDS)


def test_a_dataset_whose_indexes_contradict_each_other_harms_nobody_elses_graphs() -> None:
    said = Counter[str]()
    for seed in SEEDS:
        rng = random.Random(seed)
        world = World(owned(case(seed), rng), rng)
        parts = replace(world.parts, beside={**world.parts.beside, STRANGER: world.contradictory()})
        try:
            proof = world.proof(parts, origins=False)
        except (ProofError, StoreError):
            said["error"] += 1
            continue
        wrong = world.wrong(proof.car, parts, origins=False)
        assert wrong is None, (seed, world.made.text, wrong)
        said["right"] += 1
    assert said["right"] > 0.4 * len(SEEDS)
    assert said["error"]
