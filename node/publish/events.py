"""Where a commit is on the chain: its event, which is believed only if it hashes to what the registry stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dkg.chain.registry import COMMITTED, Committed, decode_event, entry_slot
from dkg.client.anchored import FIRST_WINDOW
from dkg.client.chainread import UnprovableError

if TYPE_CHECKING:
    from dkg.chain.commit import Commit, Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader, Log


def find_commit(
    reader: ChainReader, domain: Domain, commit: Commit, head: Header, *, first: int, last: int
) -> tuple[Committed, Log] | None:
    """A commit as it is logged in blocks `first` to `last`, and its event; None if the endpoints show none.

    `head`: the block whose state it is checked against. Looks backwards from `last`, in windows that grow.
    """
    topics = [COMMITTED, commit.publisher.rjust(32, b"\0")]
    end, window = last, FIRST_WINDOW
    while end >= first:
        start = max(first, end - window + 1)
        for log in reversed(reader.logs(domain.registry, start, end, topics)):
            header = reader.header(log.block_number)
            event = decode_event(list(log.topics), log.data, log.block_number, header.timestamp)
            if isinstance(event, Committed) and event.commit == commit and log.block_hash == header.hash:
                return (event, log) if _is_stored(reader, domain, event, head) else None
        end, window = start - 1, 2 * window
    return None


def _is_stored(reader: ChainReader, domain: Domain, event: Committed, head: Header) -> bool:
    slot = entry_slot(event.position)
    try:
        (word,) = reader.slots(domain.registry, [slot], head)
    except UnprovableError:
        word = reader.storage(domain.registry, slot, head)
    return word.to_bytes(32) == event.entry()
