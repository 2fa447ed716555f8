"""Pages of every shape, and bytes that are nearly pages: what the contract keeps of them is what the library says.

`python -m tests.contracts.checkpoints.fuzz_pages FROM TO` tries a page and a bent one for each seed.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Final

from dkg.checkpoints.shown import Kind, classify
from dkg.limits import KEY_MAX, SHOW_MAX
from dkg.page import CID_PREFIX, DatasetRoot, Inner, Leaf, cid_of
from tests.contracts.checkpoints.fuzz_chain import Contracts
from tests.contracts.checkpoints.fuzz_world import WATCHER

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZES: Final = [0, 1, 2, 23, 24, 31, 32, 33, 63, 64, 65, 100, 255, 256, 257, KEY_MAX - 1, KEY_MAX, KEY_MAX + 1, 900]
_COUNTS: Final = [1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1]
_FIRST: Final = [0, 1, 0x12, 0x3C, 0x80, 0xFE]


def strings(random: Random, number: int, *, empty: bool) -> list[bytes]:
    """Ascending byte strings, often with long common prefixes, or prefixes of each other."""
    found: set[bytes] = set()
    common = bytes([random.choice(_FIRST)]) + random.randbytes(random.choice(_SIZES))
    while len(found) < number:
        start = random.choice([b"", common, common[: random.randint(0, len(common))], *found])
        made = start + random.randbytes(random.choice(_SIZES if random.random() < 0.3 else [0, 1, 2, 3]))
        if made[:1] != b"\xff" and (made or empty):
            found.add(made)
    return sorted(found)


def page(random: Random) -> bytes:
    """A page as it should be."""
    what = random.randrange(4)
    if what == 0:
        return DatasetRoot([cid_of(random.randbytes(3)) for _ in range(4)], random.choice([0, *_COUNTS])).encode()
    if what == 1:
        number = random.randint(1, 8)
        counts = [random.choice(_COUNTS) for _ in range(number)]
        separators = strings(random, number - 1, empty=False)
        return Inner([cid_of(random.randbytes(3)) for _ in range(number)], separators, counts).encode()
    return Leaf(strings(random, random.choice([0, 1, 2, 5, 23, 24, 40]), empty=True)).encode()


def bent(random: Random, raw: bytes) -> bytes:
    """Nearly that page."""
    at = random.randrange(len(raw))
    ways = [
        raw[:at], raw[:at] + raw[at + 1 :], raw[:at] + random.randbytes(1) + raw[at:], raw + random.randbytes(1),
        raw[:at] + bytes([raw[at] ^ 1 << random.randrange(8)]) + raw[at + 1 :],
        raw[:at] + bytes([random.randrange(256)]) + raw[at + 1 :], raw[:at] + raw[at:][::-1], raw + raw,
        raw[: 1 + at % 8] + bytes([random.randrange(256)]) + raw[2 + at % 8 :],
        *(Writer(random).page() for _ in range(3)),
    ]  # fmt: skip
    return random.choice(ways)


def _head(random: Random, major: int, number: int, *, widen: float) -> bytes:
    """The first bytes of an item, at times longer than need be."""
    shortest = next(size for size in (0, 1, 2, 4, 8) if number < (24 if size == 0 else 1 << 8 * size))
    size = random.choice([1, 2, 4, 8]) if random.random() < widen else shortest
    if size < shortest or not size:
        size = shortest
    if not size:
        return bytes([major << 5 | number])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + number.to_bytes(size)


class Writer:
    """Writes a page item by item, with something wrong here or there, or not."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._widen = random.choice([0.0, 0.0, 0.02])
        self._slip = random.choice([0.0, 0.03, 0.1])

    def odd(self, right: int, *others: int) -> int:
        """A number, at times another."""
        return self._random.choice(others) if self._random.random() < self._slip else right

    def head(self, major: int, number: int) -> bytes:
        """The first bytes of an item."""
        return _head(self._random, self.odd(major, self._random.randrange(8)), number, widen=self._widen)

    def array(self, items: Sequence[bytes]) -> bytes:
        """A list."""
        number = len(items)
        return self.head(4, self.odd(number, number + 1, max(0, number - 1))) + b"".join(items)

    def string(self, value: bytes) -> bytes:
        """A byte string."""
        size = len(value)
        return self.head(2, self.odd(size, size + 1, max(0, size - 1))) + value

    def link(self) -> bytes:
        """A link to a page."""
        others = [b"\x01\x55\x12\x20", b"\x01\x71\x12\x21"]
        prefix = self._random.choice(others) if self._random.random() < self._slip else CID_PREFIX
        digest = self._random.randbytes(self.odd(32, 31, 33))
        return self.head(6, self.odd(42, 41, 43)) + self.string(bytes([self.odd(0, 1)]) + prefix + digest)

    def strings(self, number: int, *, empty: bool) -> bytes:
        """Keys or separators, at times in a wrong order."""
        random = self._random
        some = strings(random, number, empty=empty or random.random() < self._slip)
        if len(some) > 1 and random.random() < 2 * self._slip:
            at = random.randrange(len(some) - 1)
            some[at : at + 2] = random.choice([[some[at + 1], some[at]], [some[at]] * 2, [some[at], b"\xff"]])
        return self.array(list(map(self.string, some)))

    def number(self) -> bytes:
        """A count, at times one that is none."""
        wrong = self._random.random() < self._slip
        return self.head(0, self._random.choice([0, 2**63, 2**64 - 1] if wrong else _COUNTS))

    def page(self) -> bytes:
        """All of it."""
        random, number = self._random, self._random.choice([0, 1, 2, 8, 9])
        keys = random.choice([0, 1, 3, 40, 41])
        fields = random.choice(
            [
                [(b"k", self.strings(keys, empty=True))],
                [
                    (b"c", self.array([self.link() for _ in range(number)])),
                    (b"k", self.strings(max(0, self.odd(number - 1, number)), empty=False)),
                    (b"n", self.array([self.number() for _ in range(number)])),
                ],
                [
                    (b"n", self.number()),
                    (b"t", self.array([self.link() for _ in range(self.odd(4, 3, 5))])),
                    (b"v", self.head(0, self.odd(1, 0, 2))),
                ],
            ]
        )
        if random.random() < self._slip:
            random.shuffle(fields)
        if random.random() < self._slip:
            fields.append(random.choice([fields[0], (b"x", b"\xf6")]))
        text = b"".join(self.head(3, len(name)) + name + value for name, value in fields)
        return self.head(5, self.odd(len(fields), len(fields) + 1)) + text


def check(contracts: Contracts, seed: int) -> Counter[str]:
    """Show a page and bytes like it: what they are, by the contract and by the library."""
    random, said = Random(seed), Counter[str]()
    good = page(random)
    for raw in (good, bent(random, good)):
        if len(raw) > SHOW_MAX:
            continue
        with contracts.env.anchor():
            contracts.call(WATCHER, "show", raw)
            kept = contracts.shown(cid_of(raw)[len(CID_PREFIX) :])
        expected = classify(raw)
        assert kept == expected.word, f"{raw.hex()}: library {expected.kind.name}, contract keeps {kept.hex()}"
        kind = {b"": "malformed", b"\1": "leaf", b"\2": "inner", b"\3": "dataset root"}[expected.summary[:1]]
        said[("bent " if raw is not good else "") + kind] += 1
        assert raw is not good or expected.kind is Kind.WELL_FORMED
    return said


def main(arguments: list[str]) -> int:
    """The command."""
    contracts, said, broken = Contracts(), Counter[str](), list[str]()
    for seed in range(int(arguments[0]), int(arguments[1])):
        try:
            said += check(contracts, seed)
        except AssertionError as error:
            broken.append(f"{seed}: {error}"[:3000])
    sys.stdout.write(json.dumps({"seeds": arguments, "said": said, "broken": broken}, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
