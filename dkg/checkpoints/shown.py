"""What a contract learns of a page that is shown to it: docs/formats.md, section 11.

A page is well-formed, malformed or long, which hangs on its bytes alone. Of a well-formed page the contract keeps the
keccak256 of its *summary*, in which keys are hashes; a path may name the page by its summary afterwards. Of a long page
it is enough to show the last block that SHA-256 takes, because the page's length is in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from dkg.chain.secp import keccak256
from dkg.errors import PageError
from dkg.limits import SHOW_MAX, STEM_BYTES
from dkg.page import CID_PREFIX, DatasetRoot, Leaf, decode
from dkg.scan import LAST

if TYPE_CHECKING:
    from dkg.page import Page

LEAF: Final = 1
"""First byte of a leaf's summary."""
INNER: Final = 2
"""First byte of an inner page's summary."""
DATASET_ROOT: Final = 3
"""First byte of a dataset root's summary."""

_COUNT_BYTES: Final = 8
_BLOCK: Final = 64
_WORD: Final = 0xFFFFFFFF


class Kind(IntEnum):
    """What a page is for the contract. The numbers are those of the event `Shown` and, but for 0, of `shown`."""

    WELL_FORMED = 0
    MALFORMED = 1
    LONG = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page's bytes show. `summary` and `opened` are empty unless the page is well-formed."""

    kind: Kind
    summary: bytes = b""
    opened: bytes = b""
    """The summary with the separator hashes of an inner page in place of their keccak256."""

    @property
    def word(self) -> bytes:
        """The contract's `shown[digest]`, 32 bytes."""
        return keccak256(self.summary) if self.kind is Kind.WELL_FORMED else self.kind.to_bytes(32)


def stem(key: bytes) -> bytes:
    """What the contract compares of a key, a separator or a bound."""
    return key[:STEM_BYTES]


def classify(raw: bytes) -> Shown:
    """What a page's bytes are. For any bytes: raises nothing."""
    if len(raw) > SHOW_MAX:
        return Shown(Kind.LONG)
    try:
        page = decode(CID_PREFIX + sha256(raw).digest(), raw)
    except PageError:
        return Shown(Kind.MALFORMED)
    entries = entries_of(page)
    if entries and entries[-1] >= LAST:
        return Shown(Kind.MALFORMED)
    return Shown(Kind.WELL_FORMED, summary_of(page), summary_of(page, opened=True))


def entries_of(page: Page) -> list[bytes]:
    """The keys of a leaf, the separators of an inner page, nothing of a dataset root."""
    if isinstance(page, Leaf):
        return page.keys
    return [] if isinstance(page, DatasetRoot) else page.separators


def children_of(page: Page) -> list[bytes]:
    """The CIDs of an inner page's children or of a dataset root's trees, nothing of a leaf."""
    if isinstance(page, Leaf):
        return []
    return page.trees if isinstance(page, DatasetRoot) else page.children


def summary_of(page: Page, *, opened: bool = False) -> bytes:
    """The summary of a well-formed page; `opened`: with the separator hashes themselves."""
    hashes = b"".join(keccak256(stem(entry)) for entry in entries_of(page))
    digests = [cid[len(CID_PREFIX) :] for cid in children_of(page)]
    if isinstance(page, Leaf):
        return bytes([LEAF, len(page.keys)]) + hashes
    if isinstance(page, DatasetRoot):
        return bytes([DATASET_ROOT]) + page.count.to_bytes(_COUNT_BYTES) + b"".join(digests)
    counted = zip(digests, page.counts, strict=True)
    children = b"".join(digest + count.to_bytes(_COUNT_BYTES) for digest, count in counted)
    return bytes([INNER, len(digests)]) + children + (hashes if opened else keccak256(hashes))


# --- SHA-256, FIPS 180-4 ------------------------------------------------------------------------------------------


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, power: int) -> int:
    """The first 32 bits of the fraction of a root, exactly: the integer root of the number times 2^(32 * power)."""
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**power <= number << 32 * power else (low, middle)
    return low & _WORD


_ROUNDS: Final = [_root(prime, 3) for prime in _primes(64)]
_START: Final = b"".join(_root(prime, 2).to_bytes(4) for prime in _primes(8))


def compress(state: bytes, block: bytes) -> bytes:
    """The compression function of SHA-256: from a state of 32 bytes and a block of 64 the next state."""
    if len(state) != len(_START) or len(block) != _BLOCK:
        raise ValueError(f"SHA-256 takes a state of {len(_START)} bytes and a block of {_BLOCK}")
    before = [int.from_bytes(state[at : at + 4]) for at in range(0, 32, 4)]
    w = [int.from_bytes(block[at : at + 4]) for at in range(0, 64, 4)]
    for at in range(16, 64):
        # Twice the word beside itself: a rotation is then a shift.
        x, y = w[at - 15] * 0x100000001, w[at - 2] * 0x100000001
        s0 = x >> 7 ^ x >> 18 ^ w[at - 15] >> 3
        s1 = y >> 17 ^ y >> 19 ^ w[at - 2] >> 10
        w.append((w[at - 16] + (s0 & _WORD) + w[at - 7] + (s1 & _WORD)) & _WORD)
    a, b, c, d, e, f, g, h = before
    for k, word in zip(_ROUNDS, w, strict=True):
        x, y = e * 0x100000001, a * 0x100000001
        t = h + ((x >> 6 ^ x >> 11 ^ x >> 25) & _WORD) + (g ^ e & (f ^ g)) + k + word
        h, g, f, e, d, c, b, a = (
            g,
            f,
            e,
            (d + t) & _WORD,
            c,
            b,
            a,
            (t + ((y >> 2 ^ y >> 13 ^ y >> 22) & _WORD) + (a & b | c & (a | b))) & _WORD,
        )
    after = (a, b, c, d, e, f, g, h)
    return b"".join((x + y & _WORD).to_bytes(4) for x, y in zip(before, after, strict=True))


def last_block(raw: bytes) -> tuple[bytes, bytes]:
    """The state before the last block that SHA-256 takes of `raw`, and that block: what `show_long` is given.

    In plain Python, because hashlib keeps its state to itself: about a second for a page of 1 MB.
    """
    padded = raw + b"\x80" + bytes(-(len(raw) + 9) % _BLOCK) + (8 * len(raw)).to_bytes(8)
    state = _START
    for at in range(0, len(padded) - _BLOCK, _BLOCK):
        state = compress(state, padded[at : at + _BLOCK])
    return state, padded[-_BLOCK:]


def length_of(block: bytes) -> int:
    """The length in bits that a last block says, of 64 bytes."""
    return int.from_bytes(block[-8:])
