"""Finding a publisher's latest commit among the chain's events, from the newest backwards, within bounds.

Events are not believed: a commit is the one that is wanted if it hashes to the log's entry, which is proved. So the
worst that an endpoint can do is to hide it, and to make the search long; that is bounded here.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from dkg.chain.registry import COMMITTED, Committed, decode_event
from dkg.chain.secp import checksum
from dkg.client.rpc import RpcAnswerError, RpcTooLongError
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dkg.chain.header import Header
    from dkg.chain.registry import Head
    from dkg.client.chainread import ChainReader, Log

FIRST_WINDOW: Final = 1_000
"""Blocks, back from the block that is read, whose events are asked for first; each next window is twice as long."""

WINDOWS_MAX: Final = 1_000
"""Most windows that are asked for: one that says that everything is too long is asked for one block at a time."""

CANDIDATES_MAX: Final = 4
"""Most events with the position that is wanted: the registry logs one, a reorganisation may leave another."""


def find_commit(
    reader: ChainReader, registry: bytes, head: Head, entry: bytes, block: Header, first_block: int = 0
) -> Committed:
    """The commit of a head, whose log entry (32 bytes, proved) it hashes to.

    `first_block`: the registry's events are not older. Raises `ProofError` if the endpoint does not show it, and
    `ChainError`.
    """
    topics = [COMMITTED, head.publisher.rjust(32, b"\0")]
    tried = 0
    for log in events_back(reader, registry, topics, first_block, block.number):
        if not _has_position(log, head.position):
            continue
        found = _commit_of(reader, log, block)
        if found.entry() == entry:
            return found
        tried += 1
        if tried == CANDIDATES_MAX:
            raise ProofError(f"the endpoint shows {tried} forged events of commit {head.seq}: ask another endpoint")
    raise ProofError(
        f"the endpoint does not show commit {head.seq} of {checksum(head.publisher)}, which the registry has: "
        "ask another endpoint, or one that keeps old events"
    )


def events_back(
    reader: ChainReader, contract: bytes, topics: Sequence[bytes], first_block: int, last: int
) -> Iterator[Log]:
    """A contract's events with these first topics, from block `last` backwards, as the endpoint tells them.

    Raises `RpcTooLongError` if one block has more of them than are read, and what reading raises.
    """
    end, window = last, FIRST_WINDOW
    for asked in count():
        if end < first_block:
            return
        if asked == WINDOWS_MAX:
            raise RpcAnswerError(
                f"the endpoint gives the events of so few blocks at once that those from block {first_block} on would "
                f"take more than {WINDOWS_MAX} requests: ask another endpoint"
            )
        start = max(first_block, end - window + 1)
        try:
            logs = reader.logs(contract, start, end, topics)
        except RpcTooLongError:
            if start == end:
                raise
            window = (end - start + 1) // 2
        else:
            yield from sorted(logs, key=lambda log: (log.block_number, log.log_index))[::-1]
            end, window = start - 1, 2 * window


def _has_position(log: Log, position: int) -> bool:
    """Whether an event says that it is at this position; nothing is asked to find out."""
    event = decode_event(list(log.topics), log.data, log.block_number, 0)
    return isinstance(event, Committed) and event.position == position


def _commit_of(reader: ChainReader, log: Log, block: Header) -> Committed:
    number = log.block_number
    header = block if number == block.number else reader.header(number)
    event = decode_event(list(log.topics), log.data, number, header.timestamp)
    if not isinstance(event, Committed):
        raise TypeError("an event that was a commit before")
    return event
