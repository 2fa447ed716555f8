"""What the checkpoint contract and the registry's log say as of one block, all of it proved from the block's hash.

    found = read_checkpoints(reader, address, header)
    since = entries_since(reader, domain, header, found.final.position)

Entries are a complete list by construction: the log's length is proved, and so is every entry from the position to it.
What an endpoint or a node shows of them is not believed; it is right if it hashes to the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dkg.chain.checkpoints import (
    OPEN_SLOT,
    STATE_SLOT,
    Checkpoint,
    ContractState,
    Mark,
    Status,
    mark_log_slot,
    marked_slot,
    unpack_open,
)
from dkg.chain.registry import COMMITTED, LOG_STATE_SLOT, Committed, LogState, decode_event, entry_slot
from dkg.client.search import CANDIDATES_MAX, events_back
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dkg.chain.commit import Domain
    from dkg.chain.header import Header
    from dkg.client.chainread import ChainReader, Log

LOG_ENTRIES_MAX: Final = 1_024
"""Most commits since a checkpoint that a client reads: each is proved, and may be of another block."""

POSITIONS_MAX: Final = 1_024
"""Most marks since a checkpoint that a client reads."""

SLOTS_PER_PROOF: Final = 64
"""Storage slots that one eth_getProof is asked for."""


class OldCheckpointError(ProofError):
    """There are so many commits since a checkpoint that a client does not look at all of them."""


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """The checkpoint contract as of a block, proved."""

    block: Header
    state: ContractState
    final: Checkpoint | None
    """The latest final one."""
    pending: tuple[Checkpoint, ...]
    """Oldest first."""


def read_checkpoints(reader: ChainReader, address: bytes, header: Header) -> CheckpointState:
    """The contract at an address (20 bytes) as of a block.

    Raises `ProofError` if it is not what is proved (`NoContractError`: there is no contract), `UnprovableError` without
    `eth_getProof`, and `ChainError`.
    """
    word, opened = _slots(reader, address, [STATE_SLOT.to_bytes(32), OPEN_SLOT.to_bytes(32)], header)
    state, pending = ContractState.unpack(word), unpack_open(opened)
    wanted = [*([state.final] if state.final else []), *pending]
    if wanted and max(wanted) > state.last:
        raise ProofError(
            f"checkpoint {max(wanted)} is pending or final, and {state.last} is the last: no such contract"
        )
    words = iter(_slots(reader, address, [slot for one in wanted for slot in Checkpoint.slots(one)], header))
    found = [Checkpoint.unpack(one, next(words), next(words), next(words)) for one in wanted]
    final = found.pop(0) if state.final else None
    if (final and final.status is not Status.FINAL) or any(one.status is not Status.PENDING for one in found):
        raise ProofError("a pending or final checkpoint has another status: the address is another contract's")
    return CheckpointState(header, state, final, tuple(found))


def marks_at(reader: ChainReader, address: bytes, header: Header, positions: Sequence[int]) -> dict[int, Mark | None]:
    """The marks of the commits at positions of the log, as of a block; None: no mark. Raises what reading raises."""
    words = _slots(reader, address, [marked_slot(position) for position in positions], header)
    return {position: Mark.unpack(position, word) for position, word in zip(positions, words, strict=True)}


def log_length(reader: ChainReader, registry: bytes, header: Header) -> LogState:
    """The registry's log as of a block: where it began, and how long it is; proved."""
    return LogState.unpack(reader.slots(registry, [LOG_STATE_SLOT.to_bytes(32)], header)[0])


def entries_since(
    reader: ChainReader, domain: Domain, header: Header, position: int, shown: Iterable[Committed] = ()
) -> list[Committed]:
    """All commits in the registry's log as of a block from a position on, in order; none is missing, none forged.

    `shown`: commits as a node shows them; those that are right need not be looked for among the chain's events.
    Raises `OldCheckpointError` for more than `LOG_ENTRIES_MAX`, `ProofError` if the endpoint does not show them all
    or the log is shorter, `UnprovableError` without `eth_getProof`, and `ChainError`.
    """
    state = log_length(reader, domain.registry, header)
    count = state.length - position
    if count < 0:
        raise ProofError(
            f"the registry's log has {state.length} commits in block {header.number}, fewer than the {position} that "
            "the checkpoint is about: it is of another registry"
        )
    if count > LOG_ENTRIES_MAX:
        raise OldCheckpointError(
            f"{count} commits came after the checkpoint, which is too old: {LOG_ENTRIES_MAX} are looked at at most. "
            "Wait for a newer checkpoint, or ask the publishers that you want"
        )
    wanted = range(position, state.length)
    found = commits_at(reader, domain, header, wanted, shown, state.first_block)
    return [found[one] for one in wanted]


def commits_at(
    reader: ChainReader,
    domain: Domain,
    header: Header,
    positions: Iterable[int],
    shown: Iterable[Committed] = (),
    first_block: int = 0,
) -> dict[int, Committed]:
    """The commits at positions of the registry's log as of a block.

    `shown`: see `entries_since`. `first_block`: the registry's events are not older. Raises what `entries_since` does.
    """
    wanted = list(positions)
    stored = _slots(reader, domain.registry, [entry_slot(one) for one in wanted], header)
    entries = {one: word.to_bytes(32) for one, word in zip(wanted, stored, strict=True)}
    found = {one.position: one for one in shown if entries.get(one.position) == one.entry()}
    if len(found) < len(entries):
        _search(reader, domain.registry, header, first_block, entries, found)
    return found


def marks_since(reader: ChainReader, address: bytes, header: Header, first: int, last: int) -> list[int]:
    """The positions of the commits that the marks after number `first` up to `last` name, as of a block; proved.

    Raises `OldCheckpointError` for more than `POSITIONS_MAX`, and what reading raises.
    """
    if last - first > POSITIONS_MAX:
        raise OldCheckpointError(
            f"{last - first} marks came after the checkpoint, which is too old: {POSITIONS_MAX} are looked at at most. "
            "Wait for a newer checkpoint, or ask the publishers that you want"
        )
    return _slots(reader, address, [mark_log_slot(number) for number in range(first + 1, last + 1)], header)


def _search(
    reader: ChainReader,
    registry: bytes,
    header: Header,
    first_block: int,
    entries: Mapping[int, bytes],
    found: dict[int, Committed],
) -> None:
    """Find the commits of entries among the chain's events, from the newest backwards, into `found`."""
    times = {header.number: header.timestamp}
    tried: dict[int, int] = {}
    for log in events_back(reader, registry, [COMMITTED], first_block, header.number):
        position = _position(log)
        if position not in entries or position in found:
            continue
        tried[position] = tried.get(position, 0) + 1
        if tried[position] > CANDIDATES_MAX:
            raise ProofError(f"the endpoint shows forged events of commit {position} of the log: ask another endpoint")
        if log.block_number not in times:
            times[log.block_number] = reader.header(log.block_number).timestamp
        event = decode_event(list(log.topics), log.data, log.block_number, times[log.block_number])
        if isinstance(event, Committed) and event.entry() == entries[position]:
            found[position] = event
            if len(found) == len(entries):
                return
    missing = min(entries.keys() - found.keys())
    raise ProofError(
        f"the endpoint does not show commit {missing} of the log, which the registry has: ask another endpoint, or one "
        "that keeps old events"
    )


def _position(log: Log) -> int:
    """The position that an event tells."""
    event = decode_event(list(log.topics), log.data, log.block_number, 0)
    return event.position


def _slots(reader: ChainReader, address: bytes, slots: Sequence[bytes], header: Header) -> list[int]:
    """What slots hold, proved, however many they are."""
    found: list[int] = []
    for at in range(0, len(slots), SLOTS_PER_PROOF):
        found += reader.slots(address, slots[at : at + SLOTS_PER_PROOF], header)
    return found
