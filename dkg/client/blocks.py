"""A contract's events block by block, in pieces of a range of blocks that an endpoint can answer for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.chain.log import Block, LogError
from dkg.client.rpc import RpcTooLongError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader, Log

BLOCKS_PER_REQUEST: Final = 2_000
"""Blocks whose events are asked for at once; fewer where there are too many events."""

BLOCKS_AHEAD_MAX: Final = 2**32
"""Most blocks between what was read and a head: no chain has that many, and reading up to one made up ends never."""


def in_pieces(
    start: int, end: int, read: Callable[[int, int], int], progress: Callable[[int, int], None] | None = None
) -> int:
    """Have the events of blocks `start` to `end`, both included, read piece by piece; the sum of what `read` gives.

    `read`: raises `RpcTooLongError` for a piece with too much in it, which is then halved. `progress`: called with the
    block reached and the last. Raises `LogError` for a range that no chain has, and what `read` raises.
    """
    if end - start > BLOCKS_AHEAD_MAX:
        raise LogError(f"the endpoints show block {end} as the newest: no chain has that many blocks")
    found, size, last = 0, BLOCKS_PER_REQUEST, end
    while start <= last:
        end = min(start + size - 1, last)
        try:
            found += read(start, end)
        except RpcTooLongError:
            if start == end:
                raise
            size = (end - start + 1) // 2
            continue
        start = end + 1
        if progress is not None:
            progress(end, last)
    return found


def by_block(
    reader: ChainReader, address: bytes, start: int, end: int, head: Header
) -> Iterator[tuple[Block, list[Log]]]:
    """The blocks from `start` to `end` that have events of a contract, and `end` itself, in order, each with these.

    `head`: a block that need not be asked for. Raises `LogError` for events of other blocks, and `ChainError`.
    """
    found: dict[int, list[Log]] = {end: []}
    for log in reader.logs(address, start, end):
        if not start <= log.block_number <= end:
            raise LogError(f"an endpoint gave an event of block {log.block_number} for blocks {start} to {end}")
        found.setdefault(log.block_number, []).append(log)
    for number in sorted(found):
        header = head if number == head.number else reader.header(number)
        logs = sorted(found[number], key=lambda log: log.log_index)
        if any(log.block_hash != header.hash for log in logs):
            raise LogError(f"an event of block {number} is of another block with that number: read it again")
        yield Block(number, header.hash, header.parent, header.timestamp), logs
