"""The registry contract as a reader sees it: storage slots, log entries and events (contracts/registry.vy).

A publisher's head is one word: signer (160 bits), seq (48), position (48). Each commit adds one entry to the log:
`keccak(root ‖ meta)`, where `meta` hashes all the rest. Head and entry are what `eth_getProof` proves; the fields of
the entry come from the event, from anyone, and are right if they hash to the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dkg.chain.commit import NUMBER_MAX, UINT64_MAX, Commit
from dkg.chain.secp import ADDRESS_BYTES, keccak256
from dkg.errors import InputError, ProofError

LOG_STATE_SLOT: Final = 0
HEADS_SLOT: Final = 1
LOG_SLOT: Final = 2
NONCES_SLOT: Final = 3

PUBLISHER_ITSELF: Final = 0
"""In a head's signer: the publisher's own key signs."""
REVOKED: Final = 1
"""In a head's signer: nobody signs, until the publisher names a signer."""
RETIRED: Final = 2
"""In a head's signer: nobody signs, for ever."""

_WORD: Final = 32
_BITS: Final = 48


def head_slot(publisher: bytes) -> bytes:
    """Where the publisher's head is stored: 32 bytes."""
    return keccak256(HEADS_SLOT.to_bytes(_WORD) + publisher.rjust(_WORD, b"\0"))


def entry_slot(position: int) -> bytes:
    """Where the log's entry at a position is stored: 32 bytes."""
    return keccak256(LOG_SLOT.to_bytes(_WORD) + position.to_bytes(_WORD))


def nonce_slot(publisher: bytes) -> bytes:
    """Where it is stored how often the publisher's keys changed: 32 bytes."""
    return keccak256(NONCES_SLOT.to_bytes(_WORD) + publisher.rjust(_WORD, b"\0"))


@dataclass(frozen=True, slots=True)
class LogState:
    """The word at `LOG_STATE_SLOT`, unpacked."""

    first_block: int
    """The block that the registry was deployed in: no event is older."""
    length: int
    """How many commits the log has."""

    @classmethod
    def unpack(cls, word: int) -> LogState:
        """Read the contract's packed word."""
        return cls(word >> _BITS, word & NUMBER_MAX)


@dataclass(frozen=True, slots=True)
class Head:
    """A publisher's head, unpacked. `signer` is an address, or None if nobody may sign. `seq` 0: no commit yet."""

    publisher: bytes
    signer: bytes | None
    retired: bool
    seq: int
    position: int
    """Of the latest commit in the log; means nothing if there is none."""

    @classmethod
    def unpack(cls, publisher: bytes, word: int) -> Head:
        """Read the contract's packed word."""
        code = word >> (2 * _BITS)
        seq, position = (word >> _BITS) & NUMBER_MAX, word & NUMBER_MAX
        if code == PUBLISHER_ITSELF:
            return cls(publisher, publisher, retired=False, seq=seq, position=position)
        if code in {REVOKED, RETIRED}:
            return cls(publisher, None, retired=code == RETIRED, seq=seq, position=position)
        return cls(publisher, code.to_bytes(ADDRESS_BYTES), retired=False, seq=seq, position=position)


@dataclass(frozen=True, slots=True)
class Committed:
    """A commit in the log. `block`, `time`: number and Unix seconds of its block."""

    commit: Commit
    position: int
    prior_position: int
    """Position of the same publisher's commit before; 0 for the first."""
    block: int
    time: int

    def __post_init__(self) -> None:
        for number in (self.position, self.prior_position):
            if not 0 <= number <= NUMBER_MAX:  # in `numbers` it would run into the next one
                raise InputError(f"a position in the log is between 0 and 2^48 - 1, not {number}")
        if not 0 <= self.block <= UINT64_MAX or not 0 <= self.time <= UINT64_MAX:
            raise InputError("the number and the time of a block are between 0 and 2^64 - 1")

    @property
    def publisher(self) -> bytes:
        """The publisher's address."""
        return self.commit.publisher

    def numbers(self) -> int:
        """Seq, position, prior position, count and created, 48 bits each: a word of the event and of the entry."""
        commit, word = self.commit, 0
        for number in (commit.seq, self.position, self.prior_position, commit.count, commit.created):
            word = word << _BITS | number
        return word

    def meta(self) -> bytes:
        """The hash of all but the root, 32 bytes: what the next commit shows as `prior`."""
        words = (int.from_bytes(self.publisher), self.numbers(), self.block, self.time)
        return keccak256(b"".join(word.to_bytes(_WORD) for word in words))

    def entry(self) -> bytes:
        """The log's entry, 32 bytes."""
        return keccak256(self.commit.root + self.meta())


@dataclass(frozen=True, slots=True)
class Rotated:
    """A new signer, from a position of the log on."""

    publisher: bytes
    signer: bytes
    nonce: int
    position: int


@dataclass(frozen=True, slots=True)
class Revoked:
    """The signer that was signs no more, from a position of the log on."""

    publisher: bytes
    signer: bytes
    nonce: int
    position: int


@dataclass(frozen=True, slots=True)
class Retired:
    """The publisher commits no more, from a position of the log on."""

    publisher: bytes
    nonce: int
    position: int


Event = Committed | Rotated | Revoked | Retired

COMMITTED: Final = keccak256(b"Committed(address,bytes32,bytes32,uint256)")
ROTATED: Final = keccak256(b"Rotated(address,address,uint64,uint256)")
REVOKED_TOPIC: Final = keccak256(b"Revoked(address,address,uint64,uint256)")
RETIRED_TOPIC: Final = keccak256(b"Retired(address,uint64,uint256)")

_DATA_WORDS: Final = {COMMITTED: 3, ROTATED: 3, REVOKED_TOPIC: 3, RETIRED_TOPIC: 2}


def decode_event(topics: list[bytes], data: bytes, block: int, time: int) -> Event:
    """Read one of the registry's events; `block`, `time`: of the block it is in. Raises `ProofError`."""
    kind = topics[0] if topics else b""
    words = _DATA_WORDS.get(kind)
    if words is None or len(topics) != 2 or len(data) != words * _WORD:  # noqa: PLR2004
        raise ProofError("a log entry of the registry's address is none of the registry's events")
    publisher = _address(topics[1])
    word = [data[at : at + _WORD] for at in range(0, len(data), _WORD)]
    if kind == COMMITTED:
        return _committed(publisher, word, block, time)
    if kind == RETIRED_TOPIC:
        return Retired(publisher, _number(word[0]), _number(word[1]))
    made = Rotated if kind == ROTATED else Revoked
    return made(publisher, _address(word[0]), _number(word[1]), _number(word[2]))


def _committed(publisher: bytes, word: list[bytes], block: int, time: int) -> Committed:
    root, previous, packed = word
    numbers = int.from_bytes(packed)
    if numbers >> 5 * _BITS:
        raise ProofError("an event of the registry holds more than its five numbers")
    seq, position, prior_position, count, created = (numbers >> at * _BITS & NUMBER_MAX for at in range(4, -1, -1))
    try:
        commit = Commit(publisher, seq, root, count, previous, created)
    except InputError as error:
        raise ProofError(f"an event of the registry holds no commit: {error}") from error
    return Committed(commit, position, prior_position, block, time)


def _number(word: bytes) -> int:
    number = int.from_bytes(word)
    if number >= 2**64:
        raise ProofError("an event of the registry holds a number beyond 64 bits")
    return number


def _address(word: bytes) -> bytes:
    if len(word) != _WORD or any(word[: _WORD - ADDRESS_BYTES]):
        raise ProofError("an event of the registry holds no address where one belongs")
    return word[-ADDRESS_BYTES:]
