"""Mutations of the file: its bytes, its header, the lengths of its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.mutation.attack import Attack, of_bytes, on, register
from tests.mutation.subjects import Subject, car_of, header, neighbour, section, varint

if TYPE_CHECKING:
    import random

# --- bytes ---------------------------------------------------------------------------------------------------


@of_bytes
def _flip_a_bit(rng: random.Random, car: bytes) -> bytes:
    at = rng.randrange(len(car))
    return car[:at] + bytes([car[at] ^ 1 << rng.randrange(8)]) + car[at + 1 :]


@of_bytes
def _set_a_byte(rng: random.Random, car: bytes) -> bytes:
    at = rng.randrange(len(car))
    return car[:at] + bytes([rng.choice((0, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + car[at + 1 :]


@of_bytes
def _truncate(rng: random.Random, car: bytes) -> bytes:
    return car[: rng.randrange(len(car))]


@of_bytes
def _append_bytes(rng: random.Random, car: bytes) -> bytes:
    return car + rng.choice((b"\0", b"\x80", b"\0\0", b"\x01\x71", rng.randbytes(rng.randint(1, 60))))


@of_bytes
def _append_the_file_again(_rng: random.Random, car: bytes) -> bytes:
    return car + car


@of_bytes
def _insert_bytes(rng: random.Random, car: bytes) -> bytes:
    at = rng.randrange(len(car))
    return car[:at] + rng.randbytes(rng.randint(1, 8)) + car[at:]


@of_bytes
def _delete_bytes(rng: random.Random, car: bytes) -> bytes:
    at = rng.randrange(len(car))
    return car[:at] + car[at + rng.randint(1, 40) :]


@of_bytes
def _move_bytes(rng: random.Random, car: bytes) -> bytes:
    a, b, c = sorted(rng.randrange(len(car) + 1) for _ in range(3))
    return car[:a] + car[b:c] + car[a:b] + car[c:]


@of_bytes
def _nothing_but_noise(rng: random.Random, car: bytes) -> bytes:
    return rng.randbytes(rng.choice((0, 1, 37, len(car))))


# --- header --------------------------------------------------------------------------------------------------


@register
def _header_of_another_root(rng: random.Random, it: Subject) -> Attack:
    other = neighbour(it.made.seed).root
    wrong = rng.choice((header(other), header(), header(it.root, other), header(other, it.root), header(it.root[:-1])))
    return on(it, wrong + b"".join(section(*block) for block in it.blocks))


@register
def _header_of_another_version(rng: random.Random, it: Subject) -> Attack:
    version = rng.choice((0, 2, 3, 23))
    return on(it, header(it.root, version=version) + b"".join(section(*block) for block in it.blocks))


@register
def _header_in_another_encoding(rng: random.Random, it: Subject) -> Attack:
    link = b"\xd8\x2a\x58\x25\0" + it.root
    bodies = (
        b"\xa2\x67version\x01\x65roots\x81" + link,
        b"\xa2\x65roots\x9f" + link + b"\xff\x67version\x01",
        b"\xbf\x65roots\x81" + link + b"\x67version\x01\xff",
        b"\xa2\x65roots\x81" + link + b"\x67version\x18\x01",
        b"\xa2\x65roots\x98\x01" + link + b"\x67version\x01",
        b"\xa3\x65roots\x81" + link + b"\x67version\x01\x61z\x01",
        b"\xa2\x65roots\x81\x58\x24" + it.root + b"\x67version\x01",
        b"\xa1\x65roots\x81" + link,
    )
    body = rng.choice(bodies)
    return on(it, varint(len(body)) + body + b"".join(section(*block) for block in it.blocks))


@register
def _length_in_a_longer_form(rng: random.Random, it: Subject) -> Attack:
    at, padding = rng.randint(-1, len(it.blocks) - 1), rng.randint(1, 5)
    parts = [section(*block, padding if i == at else 0) for i, block in enumerate(it.blocks)]
    body = header(it.root)[1:]
    first = varint(len(body), padding if at < 0 else 0)
    return on(it, first + body + b"".join(parts))


@register
def _length_of_a_block(rng: random.Random, it: Subject) -> Attack:
    at = rng.randrange(len(it.blocks))
    before = car_of(it.root, it.blocks[:at])
    size = len(section(*it.blocks[at]))
    lie = varint(rng.choice((0, 1, 35, 36, size + 1, size - 3, 1 << 22, 1 << 31, 1 << 40, 1 << 63, 1 << 70)))
    body = b"".join(b"".join(block) for block in it.blocks[at : at + 1])
    return on(it, before + lie + body + b"".join(section(*block) for block in it.blocks[at + 1 :]))
