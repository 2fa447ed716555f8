"""All commits of one publisher, from the chain: events, each checked against the registry's proved storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dkg.chain.registry import COMMITTED, Committed, decode_event, entry_slot
from dkg.chain.secp import checksum
from dkg.client.chainread import UnprovableError
from dkg.client.rpc import RpcTooLongError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dkg.client.anchored import ClientHead
    from dkg.client.chainread import ChainReader, Log

BLOCKS_PER_REQUEST: Final = 2_000
"""Blocks whose events are asked for at once."""

SLOTS_PER_PROOF: Final = 64
"""Storage slots that one eth_getProof is asked for."""


def commits_of(
    reader: ChainReader, head: ClientHead, first_block: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[Committed]:
    """The publisher's commits up to a head, oldest first. `first_block`: its commits are not older.

    Each follows from the one before it, and hashes to the log's entry as of the head's block; so none is missing, and
    none is forged. `progress`: called with the block reached and the head's number. Raises `ProofError` if the
    endpoint does not show them all, and `ChainError`.
    """
    if head.committed is None:
        return []
    logs = dict(_events(reader, head, first_block, progress))
    found = [head.committed]
    while found[-1].commit.seq > 1:
        later = found[-1]
        log = logs.get(later.prior_position)
        earlier = None if log is None else _commit(reader, log)
        if (
            earlier is None
            or earlier.commit.seq != later.commit.seq - 1
            or earlier.commit.root != later.commit.previous
        ):
            who = checksum(later.publisher)
            raise ProofError(
                f"the endpoint does not show commit {later.commit.seq - 1} of {who}, which the registry has: "
                "ask another endpoint, or one that keeps old events"
            )
        found.append(earlier)
    _prove(reader, head, found)
    return found[::-1]


def _events(
    reader: ChainReader, head: ClientHead, first_block: int, progress: Callable[[int, int], None] | None
) -> Iterator[tuple[int, Log]]:
    registry, last = head.anchored.domain.registry, head.anchored.block.number
    topics = [COMMITTED, head.anchored.head.publisher.rjust(32, b"\0")]
    start, window = first_block, BLOCKS_PER_REQUEST
    while start <= last:
        end = min(start + window - 1, last)
        try:
            logs = reader.logs(registry, start, end, topics)
        except RpcTooLongError:
            if start == end:
                raise
            window = (end - start + 1) // 2
            continue
        for log in logs:
            event = decode_event(list(log.topics), log.data, log.block_number, 0)
            if isinstance(event, Committed):
                yield event.position, log
        if progress is not None:
            progress(end, last)
        start = end + 1


def _commit(reader: ChainReader, log: Log) -> Committed | None:
    header = reader.header(log.block_number)
    event = decode_event(list(log.topics), log.data, log.block_number, header.timestamp)
    return event if isinstance(event, Committed) else None


def _prove(reader: ChainReader, head: ClientHead, found: list[Committed]) -> None:
    registry, block = head.anchored.domain.registry, head.anchored.block
    for at in range(0, len(found), SLOTS_PER_PROOF):
        some = found[at : at + SLOTS_PER_PROOF]
        slots = [entry_slot(committed.position) for committed in some]
        try:
            stored = reader.slots(registry, slots, block)
        except UnprovableError:
            if head.anchored.proved:
                raise
            stored = [reader.storage(registry, slot, block) for slot in slots]
        for committed, entry in zip(some, stored, strict=True):
            if committed.entry() != entry.to_bytes(32):
                who = checksum(committed.publisher)
                raise ProofError(f"commit {committed.commit.seq} of {who}, as the endpoint shows it, is not in the log")
