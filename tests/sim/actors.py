"""Publishers in a simulation: keys, datasets, commits that follow what the chain has, and uploads of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from dkg.car import write_car
from dkg.chain.commit import ZERO_HASH, Commit, SignedCommit
from dkg.chain.secp import address_of
from dkg.chain.ual import Publisher
from dkg.dataset import build_dataset, update_dataset
from dkg.page import CID_PREFIX, Inner
from dkg.pages import MemoryPageStore, StoredPages
from tests.sim.ledger import CHAIN_ID, DOMAIN, REGISTRY

if TYPE_CHECKING:
    from random import Random

    from dkg.chain.commit import Domain
    from dkg.chain.registry import Committed
    from dkg.terms import Quad


@cache
def key_of(number: int) -> bytes:
    """The private key of a publisher."""
    return number.to_bytes(32)


@dataclass
class Actor:
    """A publisher. `quads`: by dataset root, what is in it."""

    number: int
    store: MemoryPageStore = field(default_factory=MemoryPageStore)
    quads: dict[bytes, frozenset[Quad]] = field(default_factory=dict)
    rotations: int = 0
    malformed: set[int] = field(default_factory=set)
    """Numbers of its commits that are malformed."""

    @cached_property
    def address(self) -> bytes:
        return address_of(key_of(self.number))

    @cached_property
    def publisher(self) -> Publisher:
        return Publisher(CHAIN_ID, REGISTRY, self.address)

    def some_quads(self, rng: Random, count: int) -> list[Quad]:
        """Quads in a few of its own graphs, and now and then in one that is not its own."""
        made: list[Quad] = []
        for _ in range(count):
            own = f"<{self.publisher.prefix}asset{rng.randrange(3)}>".encode()
            graph = own if rng.random() < 0.95 else b"<https://example.org/not-mine>"
            value = b'"%d"^^<http://www.w3.org/2001/XMLSchema#integer>' % rng.randrange(50)
            subject, predicate = b"<https://e.org/s%d>" % rng.randrange(60), b"<https://e.org/p%d>" % rng.randrange(4)
            made.append((subject, predicate, value, graph))
        return made

    def next(
        self, rng: Random, latest: Committed | None, time: int, key: bytes, domain: Domain = DOMAIN
    ) -> tuple[SignedCommit, bytes]:
        """The next commit after the chain's latest, and its CAR. `key`: that of the signer."""
        old = CID_PREFIX + latest.commit.root if latest else None
        before: frozenset[Quad] = self.quads[old] if old else frozenset()
        add = frozenset(self.some_quads(rng, rng.randrange(1, 40)))
        gone = frozenset(rng.sample(sorted(before), min(len(before), rng.randrange(6))))
        after = before - gone | add
        root = self.dataset(old, add, gone, after)
        commit = Commit(
            self.address,
            latest.commit.seq + 1 if latest else 1,
            root.removeprefix(CID_PREFIX),
            len(after),
            latest.commit.root if latest else ZERO_HASH,
            time,
        )
        return SignedCommit.make(domain, commit, key), self.car(root)

    def keys(self) -> dict[bytes, bytes]:
        """Its keys, by their addresses."""
        keys = [key_of(self.number + 1000 * number) for number in range(self.rotations + 1)]
        return {address_of(key): key for key in keys}

    def dataset(self, old: bytes | None, add: frozenset[Quad], gone: frozenset[Quad], after: frozenset[Quad]) -> bytes:
        if old is None:
            root = build_dataset([list(after)], self.store)
        else:
            root = update_dataset(StoredPages(self.store), old, add, gone - add, self.store)
        self.quads[root] = after
        return root

    def car(self, root: bytes) -> bytes:
        """The dataset's root and its tree of spog."""
        pages = StoredPages(self.store)
        found, stack = [root], [pages.root(root).trees[0]]
        while stack:
            cid = stack.pop()
            if cid not in found:
                found.append(cid)
                node = pages.node(cid)
                stack += node.children if isinstance(node, Inner) else []
        return write_car(root, [(cid, self.store.pages[cid]) for cid in found])


def union_root(actors: list[Actor], latest: dict[bytes, Committed]) -> bytes:
    """The root of the union of publishers' datasets, made in another way than the node's."""
    owned: list[Quad] = []
    for actor in actors:
        committed = latest.get(actor.address)
        if committed is not None:
            low = b"<" + actor.publisher.prefix.encode()
            owned += [quad for quad in actor.quads[CID_PREFIX + committed.commit.root] if quad[3].startswith(low)]
    return build_dataset([owned], MemoryPageStore())
