"""The checkpoint contract as a reader sees it: its storage (contracts/checkpoints.vy, docs/formats.md, section 13).

What is unpacked here is a word that `eth_getProof` proves. Words that the contract cannot have written are refused:
then the address is another contract's.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from dkg.chain.commit import NUMBER_MAX
from dkg.chain.secp import ADDRESS_BYTES, keccak256
from dkg.errors import ProofError

if TYPE_CHECKING:
    from dkg.chain.commit import Domain

STATE_SLOT: Final = 0
OPEN_SLOT: Final = 1
ROOTS_SLOT: Final = 2
CHECKPOINTS_SLOT: Final = 3
TIMES_SLOT: Final = 4
MARKED_SLOT: Final = 5
MARK_LOG_SLOT: Final = 6
SHOWN_SLOT: Final = 7
DEMANDS_SLOT: Final = 10

OPEN_MAX: Final = 8
"""Most pending checkpoints at a time."""

ID_MAX: Final = 2**32 - 1
"""Largest id of a checkpoint: `open` packs each into 32 bits."""

SHOWN_MALFORMED: Final = 1
"""In `shown`: the page with this digest is malformed."""
SHOWN_LONG: Final = 2
"""In `shown`: the page with this digest is longer than what can be shown."""

_WORD: Final = 32
_BITS: Final = 48
_ID_BITS: Final = 32
_IMMUTABLES: Final = 7


class UnknownCodeError(ProofError):
    """There is another contract at an address, or none."""


class Status(IntEnum):
    """How far a checkpoint is."""

    PENDING = 1
    FINAL = 2
    REFUTED = 3


class Reason(IntEnum):
    """Why a commit is marked."""

    MALFORMED = 1
    UNAVAILABLE = 2


def root_slot(checkpoint: int) -> bytes:
    """Where the digest of a checkpoint's root is stored: 32 bytes."""
    return _at(ROOTS_SLOT, checkpoint.to_bytes(_WORD))


def checkpoint_slot(checkpoint: int) -> bytes:
    """Where a checkpoint's proposer, position and marks are stored: 32 bytes."""
    return _at(CHECKPOINTS_SLOT, checkpoint.to_bytes(_WORD))


def times_slot(checkpoint: int) -> bytes:
    """Where a checkpoint's status, times and demands are stored: 32 bytes."""
    return _at(TIMES_SLOT, checkpoint.to_bytes(_WORD))


def marked_slot(position: int) -> bytes:
    """Where the mark of the commit at a position of the registry's log is stored: 32 bytes."""
    return _at(MARKED_SLOT, position.to_bytes(_WORD))


def mark_log_slot(number: int) -> bytes:
    """Where the position of the commit with a mark's number is stored: 32 bytes."""
    return _at(MARK_LOG_SLOT, number.to_bytes(_WORD))


def shown_slot(digest: bytes) -> bytes:
    """Where what was shown of the page with a digest (32 bytes) is stored: 32 bytes."""
    return _at(SHOWN_SLOT, digest)


def demand_slots(demand: int) -> tuple[bytes, bytes]:
    """Where a demand's digest is stored, and what else there is of it: 32 bytes each."""
    first = _at(DEMANDS_SLOT, demand.to_bytes(_WORD))
    return first, ((int.from_bytes(first) + 1) % 2**256).to_bytes(_WORD)


def _at(slot: int, key: bytes) -> bytes:
    return keccak256(slot.to_bytes(_WORD) + key)


@dataclass(frozen=True, slots=True)
class ContractState:
    """The word at `STATE_SLOT`, unpacked."""

    final: int
    """Id of the latest final checkpoint; 0: none is."""
    last: int
    """Id of the latest checkpoint that was proposed; 0: none was."""
    marks: int
    """How many marks there are."""
    demands: int
    """How many demands there were."""

    @classmethod
    def unpack(cls, word: int) -> ContractState:
        """Read the contract's packed word. Raises `ProofError` if it is none."""
        found = cls(word >> 3 * _BITS, word >> 2 * _BITS & NUMBER_MAX, word >> _BITS & NUMBER_MAX, word & NUMBER_MAX)
        if not found.final <= found.last <= ID_MAX:
            raise _no_word("state", word)
        return found

    def pack(self) -> int:
        """The word."""
        return self.final << 3 * _BITS | self.last << 2 * _BITS | self.marks << _BITS | self.demands


def unpack_open(word: int) -> tuple[int, ...]:
    """The ids of the pending checkpoints, oldest first, from the word at `OPEN_SLOT`. Raises `ProofError`."""
    found: list[int] = []
    rest = word
    while rest:
        found.append(rest & ID_MAX)
        rest >>= _ID_BITS
    if found != sorted(set(found)) or 0 in found:
        raise _no_word("open", word)
    return tuple(found)


def pack_open(ids: tuple[int, ...]) -> int:
    """The word at `OPEN_SLOT` for these ids, oldest first."""
    return sum(one << at * _ID_BITS for at, one in enumerate(ids))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What somebody says the union's root is at (`position`, `marks`). Times in Unix seconds."""

    id: int
    """From 1."""
    proposer: bytes
    """Address."""
    position: int
    """It is about the registry's first `position` commits."""
    marks: int
    """And without those that the first `marks` marks name."""
    root: bytes
    """Digest of the union's dataset root, 32 bytes."""
    status: Status
    proposed: int
    ends: int
    """From when on it can become final, if no demand is open then."""
    open_demands: int
    demands: int
    """All that there were."""

    @property
    def disputed(self) -> bool:
        """Whether it is pending and somebody waits for a page of it."""
        return self.status is Status.PENDING and self.open_demands > 0

    @classmethod
    def slots(cls, checkpoint: int) -> list[bytes]:
        """The three slots of a checkpoint, in the order of `unpack`."""
        return [root_slot(checkpoint), checkpoint_slot(checkpoint), times_slot(checkpoint)]

    @classmethod
    def unpack(cls, checkpoint: int, root: int, word: int, times: int) -> Checkpoint:
        """Read the contract's words for an id that was given out. Raises `ProofError` if they are none."""
        status, proposed, ends, open_demands, demands = (times >> at * _BITS & NUMBER_MAX for at in range(4, -1, -1))
        if status not in tuple(Status) or times >> 4 * _BITS != status or open_demands > demands:
            raise _no_word(f"times[{checkpoint}]", times)
        return cls(
            checkpoint,
            (word >> 2 * _BITS).to_bytes(ADDRESS_BYTES),
            word >> _BITS & NUMBER_MAX,
            word & NUMBER_MAX,
            root.to_bytes(_WORD),
            Status(status),
            proposed,
            ends,
            open_demands,
            demands,
        )

    def pack(self) -> tuple[int, int, int]:
        """The three words, in the order of `slots`."""
        times = int(self.status)
        for number in (self.proposed, self.ends, self.open_demands, self.demands):
            times = times << _BITS | number
        word = int.from_bytes(self.proposer) << 2 * _BITS | self.position << _BITS | self.marks
        return int.from_bytes(self.root), word, times


@dataclass(frozen=True, slots=True)
class Mark:
    """A commit that does not count, and why."""

    number: int
    """From 1, in the order in which marks were made."""
    position: int
    """Of the commit, in the registry's log."""
    reason: Reason

    @classmethod
    def unpack(cls, position: int, word: int) -> Mark | None:
        """Read the contract's word for a position; None: there is no mark. Raises `ProofError` if it is no word."""
        if word == 0:
            return None
        reason, number = word >> _BITS, word & NUMBER_MAX
        if reason not in tuple(Reason) or not number:
            raise _no_word(f"marked[{position}]", word)
        return cls(number, position, Reason(reason))

    def pack(self) -> int:
        """The word."""
        return int(self.reason) << _BITS | self.number


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract was made with, for ever: bonds in wei, windows in seconds."""

    bond: int
    window: int
    demand_bond: int
    demand_window: int

    def arguments(self, registry: bytes) -> bytes:
        """The constructor's arguments, which follow the creation code."""
        return b"".join(number.to_bytes(_WORD) for number in (int.from_bytes(registry), *astuple(self)))

    def immutables(self, domain: Domain) -> bytes:
        """What stands behind the runtime code on the chain, for the registry of a domain."""
        prefix = b"<did:dkg:eip155:%d:0x%b/" % (domain.chain_id, domain.registry.hex().encode())
        return self.arguments(domain.registry) + keccak256(prefix) + len(prefix).to_bytes(_WORD)

    @classmethod
    def of_code(cls, code: bytes, runtime: bytes, domain: Domain) -> Terms:
        """The terms of a contract, by its code on the chain. `runtime`: what the compiler made.

        Raises `UnknownCodeError` unless it is byte for byte this code, for the registry of this domain.
        """
        tail = code.removeprefix(runtime)
        words = [int.from_bytes(tail[at : at + _WORD]) for at in range(0, len(tail), _WORD)]
        if len(words) == _IMMUTABLES and code == runtime + cls(*words[1:5]).immutables(domain):
            return cls(*words[1:5])
        raise UnknownCodeError("this is not the checkpoint contract of this release, for this registry and chain")


def _no_word(where: str, word: int) -> ProofError:
    return ProofError(f"{where} of the checkpoint contract is {word:#x}, which it cannot be: another contract?")
