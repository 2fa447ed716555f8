"""The events of the checkpoint contract, read strictly (contracts/checkpoints.vy; topics are in its artefact)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeVar

from dkg.chain.checkpoints import ID_MAX, Reason
from dkg.chain.commit import NUMBER_MAX, UINT64_MAX
from dkg.chain.secp import ADDRESS_BYTES, keccak256
from dkg.errors import ProofError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RAW_MAX: Final = 30_976
"""Longest page that an event holds, in bytes: what can be shown."""

_WORD: Final = 32
_KIND_MAX: Final = 255
_ANSWERED_WORDS: Final = 4

_DEADLINE_MAX: Final = 2**40 - 1
_KIND_AT: Final = 88
_DEADLINE_AT: Final = 48
TERMS_MASK: Final = 2**96 - 1
"""Of the word of a demand in storage: what is not who demanded."""

E = TypeVar("E", bound=IntEnum)


class Page(IntEnum):
    """What a page that was shown is."""

    WELL_FORMED = 0
    MALFORMED = 1
    LONG = 2


class Target(IntEnum):
    """What a page is demanded of."""

    CHECKPOINT = 1
    COMMIT = 2


@dataclass(frozen=True, slots=True)
class Proposed:
    """A checkpoint with the next id; it can become final from `ends` on (Unix seconds)."""

    id: int
    proposer: bytes
    position: int
    marks: int
    root: bytes
    ends: int


@dataclass(frozen=True, slots=True)
class Refuted:
    """A checkpoint is wrong, or a page of it was not shown. `kind`: which challenge it was."""

    id: int
    challenger: bytes
    kind: int


@dataclass(frozen=True, slots=True)
class Finalised:
    """Nobody refuted a checkpoint in time."""

    id: int


@dataclass(frozen=True, slots=True)
class Marked:
    """The commit at a position of the registry's log does not count from the mark with this number on."""

    position: int
    number: int
    reason: Reason
    by: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """The page with a digest was shown."""

    digest: bytes
    kind: Page


@dataclass(frozen=True, slots=True)
class Demanded:
    """The page with a digest is to be shown until `deadline` (Unix seconds).

    `target`: id of the checkpoint, or position of the commit, that it belongs to.
    """

    demand: int
    digest: bytes
    kind: Target
    target: int
    deadline: int

    def pack(self) -> int:
        """What storage has of it besides the digest, without who demanded: the bits of `TERMS_MASK`."""
        return int(self.kind) << _KIND_AT | self.deadline << _DEADLINE_AT | self.target


@dataclass(frozen=True, slots=True)
class Answered:
    """The page was shown. `raw`: its bytes, not checked here; empty if it had been shown before."""

    demand: int
    digest: bytes
    raw: bytes
    by: bytes


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody showed the page in time."""

    demand: int


CheckpointEvent = Proposed | Refuted | Finalised | Marked | Shown | Demanded | Answered | Expired

SIGNATURES: Final[dict[type[CheckpointEvent], str]] = {
    Proposed: "Proposed(uint256,address,uint256,uint256,bytes32,uint256)",
    Refuted: "Refuted(uint256,address,uint256)",
    Finalised: "Finalised(uint256)",
    Marked: "Marked(uint256,uint256,uint256,address)",
    Shown: "Shown(bytes32,uint256)",
    Demanded: "Demanded(uint256,bytes32,uint256,uint256,uint256)",
    Answered: "Answered(uint256,bytes32,bytes,address)",
    Expired: "Expired(uint256)",
}
"""Name and types of each event."""

TOPICS: Final = {made: keccak256(text.encode()) for made, text in SIGNATURES.items()}
"""First topic of each event."""


def decode_checkpoint_event(topics: Sequence[bytes], data: bytes) -> CheckpointEvent:
    """Read one of the contract's events. Raises `ProofError`."""
    made = _KINDS.get(topics[0]) if topics else None
    if made is None:
        raise ProofError("a log entry of the checkpoint contract's address is none of its events")
    indexed, plain, read = made
    if len(topics) - 1 != indexed or (plain is not None and len(data) != plain * _WORD):
        raise ProofError("an event of the checkpoint contract has another length than it has")
    return read([*topics[1:], *(data[at : at + _WORD] for at in range(0, len(data), _WORD))])


def _proposed(word: list[bytes]) -> Proposed:
    return Proposed(
        _number(word[0], ID_MAX),
        _address(word[1]),
        _number(word[2]),
        _number(word[3]),
        word[4],
        _number(word[5], UINT64_MAX),
    )


def _refuted(word: list[bytes]) -> Refuted:
    return Refuted(_number(word[0], ID_MAX), _address(word[1]), _number(word[2], _KIND_MAX))


def _finalised(word: list[bytes]) -> Finalised:
    return Finalised(_number(word[0], ID_MAX))


def _marked(word: list[bytes]) -> Marked:
    return Marked(_number(word[0]), _number(word[1]), _one_of(Reason, word[2]), _address(word[3]))


def _shown(word: list[bytes]) -> Shown:
    return Shown(word[0], _one_of(Page, word[1]))


def _demanded(word: list[bytes]) -> Demanded:
    kind = _one_of(Target, word[2])
    return Demanded(_number(word[0]), word[1], kind, _number(word[3]), _number(word[4], _DEADLINE_MAX))


def _answered(word: list[bytes]) -> Answered:
    if len(word) <= _ANSWERED_WORDS or _number(word[2]) != 2 * _WORD:
        raise ProofError("an answer of the checkpoint contract does not have its page where it belongs")
    demand, digest, _, by, size, *rest = word
    length, raw = _number(size), b"".join(rest)
    if length > RAW_MAX or len(raw) != -(-length // _WORD) * _WORD or any(raw[length:]):
        raise ProofError("an answer of the checkpoint contract has a page of another length than it says")
    return Answered(_number(demand), digest, raw[:length], _address(by))


def _expired(word: list[bytes]) -> Expired:
    return Expired(_number(word[0]))


_KINDS: Final[dict[bytes, tuple[int, int | None, Callable[[list[bytes]], CheckpointEvent]]]] = {
    TOPICS[Proposed]: (2, 4, _proposed),
    TOPICS[Refuted]: (2, 1, _refuted),
    TOPICS[Finalised]: (1, 0, _finalised),
    TOPICS[Marked]: (1, 3, _marked),
    TOPICS[Shown]: (1, 1, _shown),
    TOPICS[Demanded]: (2, 3, _demanded),
    TOPICS[Answered]: (2, None, _answered),
    TOPICS[Expired]: (1, 0, _expired),
}
"""How many words are indexed, how many not (None: it differs), and how they are read."""


def _one_of(kinds: type[E], word: bytes) -> E:
    number = int.from_bytes(word)
    if number not in tuple(kinds):
        raise ProofError(f"an event of the checkpoint contract has the kind {number:#x}, which there is not")
    return kinds(number)


def _number(word: bytes, most: int = NUMBER_MAX) -> int:
    number = int.from_bytes(word)
    if len(word) != _WORD or number > most:
        raise ProofError(f"an event of the checkpoint contract holds a number beyond {most}")
    return number


def _address(word: bytes) -> bytes:
    if len(word) != _WORD or any(word[: _WORD - ADDRESS_BYTES]):
        raise ProofError("an event of the checkpoint contract holds no address where one belongs")
    return word[-ADDRESS_BYTES:]
