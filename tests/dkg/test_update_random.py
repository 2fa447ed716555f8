"""An update gives the tree of a build, whatever the keys, the windows and the hashes."""

from __future__ import annotations

import random
import zlib
from importlib import import_module

import pytest

from dkg.build import build_tree
from dkg.cut import Shape
from dkg.pages import MemoryPageStore, PageSink, StoredPages
from dkg.update import update_tree


class _Updates:
    """Random updates of a random tree; everything follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.shape = Shape(self.dice.choice([2, 3, 4, 5, 8, 12, 40]), self.dice.choice([2, 3, 4, 8]))
        self.names = self.dice.choice([30, 300, 3_000, 30_000])
        self.keys = {self._key() for _ in range(self.dice.randrange(1, min(self.names, 1_500)))}
        self.store = MemoryPageStore()
        self.root = self._built(self.store)

    def _key(self) -> bytes:
        return b"%08d" % self.dice.randrange(self.names) + bytes(self.dice.randrange(3))

    def _built(self, store: MemoryPageStore) -> bytes:
        sink = PageSink(store)
        root, _ = build_tree([sorted(self.keys)], sink, self.shape)
        sink.flush()
        return root

    def step(self) -> tuple[bytes, bytes]:
        """One update; gives the root it makes and the root of a build."""
        most = self.dice.choice([1, 2, 5, 30, 200])
        add = {self._key() for _ in range(self.dice.randrange(most + 1))}
        if self.dice.random() < 0.8:  # else some are there already
            add -= self.keys
        have = sorted(self.keys)
        if self.dice.random() < 0.3:  # a stretch, else scattered
            start = self.dice.randrange(len(have) + 1)
            remove = set(have[start : start + most]) - add
        else:
            remove = set(self.dice.sample(have, min(len(have), self.dice.randrange(most + 1)))) - add
        self.keys = (self.keys | add) - remove
        sink = PageSink(self.store)
        self.root = update_tree(StoredPages(self.store), self.root, add, remove, sink, self.shape)
        sink.flush()
        return self.root, self._built(MemoryPageStore())


@pytest.mark.parametrize("hashes", [2**32, 60, 5, 1])  # few: most are equal, as an adversary can have it
def test_an_update_gives_the_root_of_a_build(monkeypatch: pytest.MonkeyPatch, hashes: int) -> None:
    for module in ("dkg.cut", "dkg.update"):
        monkeypatch.setattr(import_module(module), "crc32", lambda key: zlib.crc32(key) % hashes)
    for seed in range(60):
        updates = _Updates(hashes * 1_000 + seed)
        for _ in range(4):
            updated, built = updates.step()
            assert updated == built
