"""Rows C5 and C6: what somebody sends in place of a proof to fill a verifier's memory. It is cut off at its limit."""

from __future__ import annotations

import os
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from dkg.client.files import compress, decompress, proof_file_bytes_max, read_proof
from dkg.errors import InputError, ProofError
from dkg.limits import Budget
from dkg.proof import verify
from tests.mutation.subjects import car_of, cid, header, section, subject, varint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOMBS = 20_000 if os.environ.get("HYPOTHESIS_PROFILE") == "deep" else 500
"""Bombs that are tried."""

MIB = 1024 * 1024
MEMORY_BYTES_MAX = 16 * MIB
"""Most memory that looking at a bomb may take, besides the bomb."""

IT = next(it for it in map(subject, range(50)) if len(it.blocks) > 4)

OTHERS = b"".join(section(cid(raw), raw) for raw in (b"\xa1\x61k\x81\x1a" + at.to_bytes(4) for at in range(5_000)))
"""Pages that nothing asks for."""


def memory_of(work: Callable[[], None]) -> int:
    """The most that is held at a time while something is done, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- C5: more than is allowed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_a_proof_at_its_limit_is_read_and_one_byte_more_is_not(seed: int, tmp_path: Path) -> None:
    it = subject(seed)
    pages = len(it.blocks)
    held = len(it.car) - proof_file_bytes_max(Budget(pages=pages, proof_bytes=0))
    file = tmp_path / "proof.car"
    file.write_bytes(it.car)
    exact, less = (Budget(pages=pages, proof_bytes=held - short) for short in (0, 1))
    verify(it.car, it.made.text, it.root, limits=exact, dataset=it.dataset)
    assert read_proof(str(file), exact) == it.car
    with pytest.raises(ProofError, match="over the limit"):
        verify(it.car, it.made.text, it.root, limits=less, dataset=it.dataset)
    with pytest.raises(InputError, match="longer than"):
        read_proof(str(file), less)
    with pytest.raises(ProofError):
        verify(it.car, it.made.text, it.root, limits=Budget(pages=pages - 1), dataset=it.dataset)


@pytest.mark.parametrize("size", [1 << power for power in range(10, 24)])
def test_what_is_too_long_is_not_read_further_than_its_limit(size: int, tmp_path: Path) -> None:
    limits = Budget(pages=10, proof_bytes=size)
    most = proof_file_bytes_max(limits)
    file = tmp_path / "endless"
    with file.open("wb") as made:
        made.truncate(64 * size)  # nothing, without end

    def look() -> None:
        with pytest.raises(InputError, match="longer than"):
            read_proof(str(file), limits)

    assert memory_of(look) <= 2 * most + MIB


@pytest.mark.parametrize("size", [1 << power for power in range(14, 23)])
def test_what_is_too_long_once_it_is_decompressed_is_cut_off_at_its_limit(size: int) -> None:
    bomb = compress(bytes(64 * size))  # far more than 1,000 to 1
    assert len(bomb) * 1_000 < 64 * size

    def look() -> None:
        with pytest.raises(ProofError, match="more than the"):
            decompress(bomb, size)

    assert memory_of(look) <= 2 * size + MIB
    assert decompress(compress(bytes(size)), size) == bytes(size)


# --- C6: little that becomes much ------------------------------------------------------------------------------------


def item(major: int, argument: int) -> bytes:
    """The head of a CBOR item, with an argument that may lie."""
    return bytes([major << 5 | 27]) + (argument % (1 << 64)).to_bytes(8)


def page(rng: random.Random) -> bytes:
    """A root page that says it has more than there is, or has it."""
    many = rng.choice((10, 1_000, 100_000))
    nested = rng.choice((b"\x81", b"\xa1\x61k", b"\xc1", b"\xd8\x2a", b"\x82\x00", b"\x9f"))
    inside = rng.choice(
        (
            nested * many,
            item(4, 1 << rng.randrange(64)),
            item(5, 1 << rng.randrange(64)) + b"\x61k",
            item(2, 1 << rng.randrange(64)) + bytes(100),
            item(3, 1 << rng.randrange(64)) + b"a" * 100,
            item(4, many) + b"\x80" * many,
            item(4, many) + (b"\xd8\x2a\x58\x25\x00" + IT.root) * min(many, 10_000),
            item(0, (1 << 64) - 1) * many,
            b"\xc2" + item(2, many) + b"\xff" * many,  # a huge integer
            item(6, 1 << rng.randrange(64)) * many,
        )
    )
    start = rng.choice((b"\xa1\x61k", b"\xa1\x61c", b"\xa2\x61k\x80\x61t", b"\xa4\x61n\x00\x61t\x84", b""))
    return start + inside


def bomb(rng: random.Random) -> tuple[bytes, bytes]:
    """A proof that is none, and its root."""
    kind = rng.randrange(5)
    if kind == 0:
        raw = page(rng)
        return car_of(cid(raw), [(cid(raw), raw)]), cid(raw)
    if kind == 1:  # a block whose length lies
        length = varint(1 << rng.randrange(7, 70), rng.randrange(4))
        return header(IT.root) + length + b"".join(section(*block) for block in IT.blocks), IT.root
    if kind == 2:  # the same pages again and again
        return header(IT.root) + b"".join(section(*block) for block in IT.blocks) * rng.choice((2, 20, 500)), IT.root
    if kind == 3:  # pages that nothing asks for
        return header(IT.root) + OTHERS, IT.root
    many = rng.choice((2, 23, 200))  # roots without end
    return varint(1 << rng.randrange(40)) + header(*[IT.root] * 20)[1:] * many, IT.root


def test_bombs_are_refused_and_take_little_memory() -> None:
    rng = random.Random(6)
    for _ in range(BOMBS):
        car, root = bomb(rng)

        def look(car: bytes = car, root: bytes = root) -> None:
            with pytest.raises(ProofError):
                verify(car, IT.made.text, root, dataset=IT.dataset)

        assert memory_of(look) <= MEMORY_BYTES_MAX
