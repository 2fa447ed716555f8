"""Mutations of the blocks, and of the pages in them."""

from __future__ import annotations

import re
from hashlib import sha512
from typing import TYPE_CHECKING

from tests.mutation.attack import Attack, of_blocks, on, register
from tests.mutation.subjects import Block, Subject, car_of, cid, neighbour, varint

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

# --- blocks --------------------------------------------------------------------------------------------------


@of_blocks
def _drop_a_block(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    del blocks[rng.randrange(len(blocks))]
    return blocks


@of_blocks
def _drop_all_but_some(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    kept = set(rng.sample(range(len(blocks)), rng.randrange(len(blocks))))
    return [block for i, block in enumerate(blocks) if i in kept]


@of_blocks
def _repeat_a_block(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    blocks.insert(rng.randint(0, len(blocks)), rng.choice(blocks))
    return blocks


@of_blocks
def _swap_two_blocks(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block] | None:
    if len(blocks) < 2:
        return None
    a, b = rng.sample(range(len(blocks)), 2)
    blocks[a], blocks[b] = blocks[b], blocks[a]
    return blocks


@of_blocks
def _shuffle_blocks(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    rng.shuffle(blocks)
    return blocks


@of_blocks
def _add_an_unread_page(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block] | None:
    unread = [page for page in it.store if page not in blocks]
    if not unread:
        return None
    blocks.insert(rng.randint(0, len(blocks)), rng.choice(unread))
    return blocks


@of_blocks
def _add_every_page(_rng: random.Random, blocks: list[Block], it: Subject) -> list[Block]:
    return blocks + [page for page in it.store if page not in blocks]


@of_blocks
def _add_a_page_of_another_root(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block] | None:
    foreign = [page for page in neighbour(it.made.seed).store if page not in it.store]
    if not foreign:
        return None
    blocks.insert(rng.randint(0, len(blocks)), rng.choice(foreign))
    return blocks


@of_blocks
def _replace_a_page_with_one_of_another_root(
    rng: random.Random, blocks: list[Block], it: Subject
) -> list[Block] | None:
    foreign = [page for page in neighbour(it.made.seed).store if page not in it.store]
    if not foreign:
        return None
    at, page = rng.randrange(len(blocks)), rng.choice(foreign)
    blocks[at] = rng.choice((page, (blocks[at][0], page[1])))
    return blocks


@of_blocks
def _a_page_of_another_index_or_level(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block] | None:
    unread = [page for page in it.store if page not in blocks]
    if not unread:
        return None
    at, page = rng.randrange(len(blocks)), rng.choice(unread)
    blocks[at] = rng.choice((page, (blocks[at][0], page[1]), (page[0], blocks[at][1])))
    return blocks


@of_blocks
def _pages_under_each_others_names(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block] | None:
    if len(blocks) < 2:
        return None
    a, b = rng.sample(range(len(blocks)), 2)
    blocks[a], blocks[b] = (blocks[a][0], blocks[b][1]), (blocks[b][0], blocks[a][1])
    if rng.random() < 0.5:
        blocks[b] = it.blocks[b]
    return blocks


@of_blocks
def _a_name_of_another_kind(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    at = rng.randrange(len(blocks))
    name, raw = blocks[at]
    digest = name[4:]
    kinds = (
        b"\x01\x55\x12\x20" + digest,  # raw bytes
        b"\x01\x70\x12\x20" + digest,  # dag-pb
        b"\x12\x20" + digest,  # version 0
        b"\x02\x71\x12\x20" + digest,
        b"\x01\x71\x1b\x20" + digest,  # keccak-256
        b"\x01\x71\x13\x40" + sha512(raw).digest(),
        b"\x01\x71\x12\x1f" + digest[:-1],  # a digest cut short
        b"\x01\x71\x12\x21" + digest + b"\0",
        b"\x01\x71\x00" + varint(len(raw)) + raw,  # identity
        b"",
    )
    blocks[at] = (rng.choice(kinds), raw)
    return blocks


@of_blocks
def _an_empty_page(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    at = rng.randrange(len(blocks))
    blocks[at] = rng.choice(((blocks[at][0], b""), (cid(b""), b""), (blocks[at][0], b"\xa1\x61k\x80")))
    return blocks


@of_blocks
def _a_page_bomb(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    at = rng.randrange(len(blocks))
    bomb = rng.choice(
        (
            b"\x81" * 20_000 + b"\x80",  # depth
            b"\xa1\x61k" * 5_000,
            b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff",  # a list that says it has 2^40 entries
            b"\xa1\x61k\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\xa1\x61k\x9a\x00\x10\x00\x00" + b"\x40" * 4_096,
            b"\0" * (4 * 1024 * 1024 + 1),
        )
    )
    name = rng.choice((blocks[at][0], cid(bomb)))
    if rng.random() < 0.5:
        blocks[at] = (name, bomb)
    else:
        blocks.insert(at, (cid(bomb), bomb))
    return blocks


# --- pages, with new names up to the root --------------------------------------------------------------------


def _rewritten(rng: random.Random, blocks: list[Block], change: Callable[[bytes], bytes]) -> list[Block]:
    """Change one page, then give it and all that link to it the names that they then have."""
    at = rng.randrange(len(blocks))
    raws = [raw for _, raw in blocks]
    raws[at] = change(raws[at])
    names = {blocks[at][0]: cid(raws[at])}
    for _ in blocks:
        for i, before in enumerate(raws):
            raw = before
            for old, new in list(names.items()):
                raw = raw.replace(old, new)
            if raw != before:
                raws[i] = raw
                names[blocks[i][0]] = cid(raw)
    return [(cid(raw), raw) for raw in raws]


def _altered(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]


@of_blocks
def _a_page_altered_and_everything_renamed(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    return _rewritten(rng, blocks, lambda raw: _altered(rng, raw))


@register
def _a_page_altered_and_the_root_with_it(rng: random.Random, it: Subject) -> Attack:
    blocks = _rewritten(rng, list(it.blocks), lambda raw: _altered(rng, raw))
    return on(it, car_of(blocks[0][0], blocks))


@of_blocks
def _a_page_altered_and_renamed_below_the_trusted_root(
    rng: random.Random, blocks: list[Block], it: Subject
) -> list[Block]:
    changed = _rewritten(rng, blocks, lambda raw: _altered(rng, raw))
    return [(it.root, changed[0][1]), *changed[1:]]


@of_blocks
def _a_key_dropped_and_everything_renamed(rng: random.Random, blocks: list[Block], it: Subject) -> list[Block]:
    quad = rng.choice(it.made.quads)[2] if it.made.quads else b"x"
    changed = _rewritten(rng, blocks, lambda raw: raw.replace(quad, quad[:-1] + b"z"))
    return [(it.root, changed[0][1]), *changed[1:]]


@of_blocks
def _a_page_in_another_encoding(rng: random.Random, blocks: list[Block], _it: Subject) -> list[Block]:
    def longer(raw: bytes) -> bytes:
        spots = [m.start() for m in re.finditer(rb"\x61[knctv]", raw)]
        at = rng.choice(spots or [0])
        return raw[:at] + b"\x78\x01" + raw[at + 1 :]  # a length of one in two bytes

    at = rng.randrange(len(blocks))
    blocks[at] = (blocks[at][0], longer(blocks[at][1]))
    return blocks
