"""The messages that peers send each other, as values, and their one encoding.

A message is a canonical DAG-CBOR map: `v` (the version), `t` (the type), and the fields of its class below, each by its
own name. Every field is checked on the way in and on the way out; the limits are in `node.replication.limits`.

| request       | answer       |
|---------------|--------------|
| `Hello`       | `Hello`      |
| `GetHeads`    | `Heads`      |
| `GetPages`    | `PageAnswer` |
| `GetChange`   | `Change`     |
| `GetProof`    | `ProofAnswer`|

Any request may be answered with a `Refusal`. `Announcement` is told by gossip and has no answer.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from dkg.chain.commit import NUMBER_MAX
from dkg.chain.secp import ADDRESS_BYTES
from dkg.chain.ual import CHAIN_ID_MAX
from dkg.limits import IRI_BYTES_MAX
from dkg.page import CID_LENGTH, CID_PREFIX, PAGE_BYTES_MAX
from node.replication import cbor, limits
from node.replication.errors import PeerError

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[Any], Any]
    """Gives the value of a field, from what was decoded; raises `ValueError` for what it cannot be."""

    Shape = dict[str, Check]

_DEPTH_MAX: Final = 5
_ITEMS_MAX: Final = 8 * limits.HEADS_MAX
_CAPABILITIES_MAX: Final = 16
_NAME_BYTES_MAX: Final = 64
_REASON_BYTES_MAX: Final = 512


class Code(StrEnum):
    """Why a request was refused. Codes are never renamed."""

    BAD_REQUEST = "bad-request"
    UNKNOWN_VERSION = "unknown-version"
    OTHER_NETWORK = "other-network"
    BUSY = "busy"
    NOT_HELD = "not-held"
    TOO_LARGE = "too-large"
    REFUSED = "refused"
    FAILED = "failed"


class UnknownVersionError(PeerError):
    """A message of a version that this release does not speak."""


# --- fields ---------------------------------------------------------------------------------------------------------


def _number(low: int, high: int = NUMBER_MAX) -> Check:
    def check(value: Any) -> int:  # noqa: ANN401 - whatever a peer sent
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"is a number from {low} to {high}")
        return value

    return check


def _octets(least: int, most: int) -> Check:
    def check(value: Any) -> bytes:  # noqa: ANN401
        if type(value) is not bytes or not least <= len(value) <= most:
            raise ValueError(f"has {least} to {most} bytes")
        return value

    return check


def _text(most: int) -> Check:
    def check(value: Any) -> str:  # noqa: ANN401
        if type(value) is not str or len(value.encode()) > most:
            raise ValueError(f"is text of at most {most} bytes")
        return value

    return check


def _listed(item: Check, most: int) -> Check:
    def check(value: Any) -> tuple[Any, ...]:  # noqa: ANN401
        if type(value) not in {list, tuple} or len(value) > most:
            raise ValueError(f"is a list of at most {most}")
        return tuple(map(item, value))

    return check


def _perhaps(item: Check) -> Check:
    return lambda value: None if value is None else item(value)


def _cid(value: Any) -> bytes:  # noqa: ANN401
    if type(value) is not bytes or len(value) != CID_LENGTH or not value.startswith(CID_PREFIX):
        raise ValueError("is the CID of a page")
    return value


def _truth(value: Any) -> bool:  # noqa: ANN401
    if type(value) is not bool:
        raise ValueError("is true or false")
    return value


def _code(value: Any) -> Code:  # noqa: ANN401
    return value if isinstance(value, Code) else Code(_text(_NAME_BYTES_MAX)(value))


_ADDRESS: Final = _octets(ADDRESS_BYTES, ADDRESS_BYTES)


@dataclass(frozen=True, slots=True)
class Anchored:
    """A publisher's commit as the log has it, or as a peer says that it has it."""

    publisher: bytes
    """Its address, 20 bytes."""
    seq: int
    root: bytes
    """CID of the dataset's root."""
    count: int
    """Quads of the dataset."""
    position: int
    """Of the commit in the registry's log."""


def _head(value: Any) -> Anchored:  # noqa: ANN401
    if type(value) is Anchored:
        return value
    if type(value) is not list or len(value) != len(_HEAD):
        raise ValueError("is a list of heads: publisher, seq, root, count, position")
    return Anchored(*(check(part) for check, part in zip(_HEAD, value, strict=True)))


_HEAD: Final = (_ADDRESS, _number(1, NUMBER_MAX), _cid, _number(0), _number(0, NUMBER_MAX))

# --- messages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A message. Making one with a field that it cannot have is a `ValueError`."""

    TYPE: ClassVar[str]
    BYTES_MAX: ClassVar[int]
    SHAPE: ClassVar[Shape]

    def __post_init__(self) -> None:
        for name, check in self.SHAPE.items():
            check(getattr(self, name))

    def encode(self) -> bytes:
        """The message's bytes. Raises `ValueError` when they are more than its type may have."""
        values = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        made = cbor.encode({"v": limits.VERSION, "t": self.TYPE, **values})
        if len(made) > self.BYTES_MAX:
            raise ValueError(f"a message of type {self.TYPE} has {self.BYTES_MAX} bytes at most; this has {len(made)}")
        return made

    @classmethod
    def of(cls, found: dict[str, Any]) -> Self:
        """The message of decoded fields; raises `ValueError`."""
        if found.keys() - {"v", "t"} != cls.SHAPE.keys():
            raise ValueError(f"a message of type {cls.TYPE} has the fields {', '.join(cls.SHAPE)}")
        values: dict[str, Any] = {}
        for name, check in cls.SHAPE.items():
            try:
                values[name] = check(found[name])
            except ValueError as error:
                raise ValueError(f"{name} of a message of type {cls.TYPE} {error}") from error
        return cls(**values)


def _plain(value: object) -> object:
    """A value as DAG-CBOR has it."""
    if type(value) is tuple:
        return [_plain(item) for item in value]
    if type(value) is Anchored:
        return [value.publisher, value.seq, value.root, value.count, value.position]
    return str(value) if isinstance(value, Code) else value


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Who speaks: the network (chain id and registry), the program, and what it can do besides `GetPages`."""

    TYPE = "hello"
    BYTES_MAX = limits.SMALL_BYTES_MAX
    SHAPE = {  # noqa: RUF012 - in slots
        "chain": _number(1, CHAIN_ID_MAX),
        "registry": _ADDRESS,
        "agent": _text(_NAME_BYTES_MAX),
        "can": _listed(_text(_NAME_BYTES_MAX), _CAPABILITIES_MAX),
    }

    chain: int
    registry: bytes
    agent: str
    can: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Announcement(Message):
    """Datasets that the one who announces has come to hold."""

    TYPE = "announce"
    BYTES_MAX = limits.ANNOUNCEMENT_BYTES_MAX
    SHAPE = {  # noqa: RUF012
        "chain": _number(1, CHAIN_ID_MAX),
        "registry": _ADDRESS,
        "heads": _listed(_head, limits.ANNOUNCED_MAX),
    }

    chain: int
    registry: bytes
    heads: tuple[Anchored, ...]


@dataclass(frozen=True, slots=True)
class GetHeads(Message):
    """Asks what is held, of publishers after this address; empty: from the first."""

    TYPE = "get-heads"
    BYTES_MAX = limits.SMALL_BYTES_MAX
    SHAPE = {"after": _octets(0, ADDRESS_BYTES)}  # noqa: RUF012

    after: bytes


@dataclass(frozen=True, slots=True)
class Heads(Message):
    """Heads that are held, in the order of the publishers' addresses; `more`: there are others after them."""

    TYPE = "heads"
    BYTES_MAX = limits.HEADS_BYTES_MAX
    SHAPE = {"heads": _listed(_head, limits.HEADS_MAX), "more": _truth}  # noqa: RUF012

    heads: tuple[Anchored, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class GetPages(Message):
    """Pages by their CIDs. `bytes_max`: of all pages in the answer, uncompressed."""

    TYPE = "get-pages"
    BYTES_MAX = limits.REQUEST_BYTES_MAX
    SHAPE = {"cids": _listed(_cid, limits.PAGES_MAX), "bytes_max": _number(1, PAGE_BYTES_MAX)}  # noqa: RUF012

    cids: tuple[bytes, ...]
    bytes_max: int


@dataclass(frozen=True, slots=True)
class PageAnswer(Message):
    """Pages in the order of the request, which may be a first part of it.

    `sizes`: for each CID the bytes of its page, 0 for one that is not held, and the negative number of bytes for one
    that did not fit. `body`: the pages, one after the other, as one zstd frame.
    """

    TYPE = "pages"
    BYTES_MAX = limits.ANSWER_BYTES_MAX
    SHAPE = {  # noqa: RUF012
        "sizes": _listed(_number(-PAGE_BYTES_MAX, PAGE_BYTES_MAX), limits.PAGES_MAX),
        "body": _octets(0, limits.ANSWER_BYTES_MAX),
    }

    sizes: tuple[int, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class GetChange(Message):
    """Asks what must be taken out of the dataset `old`, and put into it, to make `new`."""

    TYPE = "get-change"
    BYTES_MAX = limits.SMALL_BYTES_MAX
    SHAPE = {"old": _cid, "new": _cid}  # noqa: RUF012

    old: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Change(Message):
    """A small change. `body`: a zstd frame of `size` bytes: the keys of spog that went, then those that came.

    Each key is preceded by its length, 32 bits, little-endian.
    """

    TYPE = "change"
    BYTES_MAX = limits.CHANGE_BYTES_MAX + limits.CHANGE_BYTES_MAX // 256 + limits.BODY_OVERHEAD_BYTES
    SHAPE = {  # noqa: RUF012
        "gone": _number(0, limits.CHANGE_QUADS_MAX),
        "come": _number(0, limits.CHANGE_QUADS_MAX),
        "size": _number(0, limits.CHANGE_BYTES_MAX),
        "body": _octets(0, BYTES_MAX),
    }

    gone: int
    come: int
    size: int
    body: bytes


@dataclass(frozen=True, slots=True)
class GetProof(Message):
    """A query to be answered with a proof. `default_graphs`, `named_graphs`, `base_iri`, `now`: as for `dkg.prove`."""

    TYPE = "get-proof"
    BYTES_MAX = limits.REQUEST_BYTES_MAX
    SHAPE = {  # noqa: RUF012
        "root": _cid,
        "query": _text(limits.TEXT_BYTES_MAX),
        "default_graphs": _perhaps(_listed(_octets(1, IRI_BYTES_MAX), limits.GRAPHS_MAX)),
        "named_graphs": _perhaps(_listed(_octets(1, IRI_BYTES_MAX), limits.GRAPHS_MAX)),
        "base_iri": _perhaps(_text(IRI_BYTES_MAX)),
        "now": _perhaps(_text(_NAME_BYTES_MAX)),
    }

    root: bytes
    query: str
    default_graphs: tuple[bytes, ...] | None = None
    named_graphs: tuple[bytes, ...] | None = None
    base_iri: str | None = None
    now: str | None = None


@dataclass(frozen=True, slots=True)
class ProofAnswer(Message):
    """A proof as a CAR file, as one zstd frame of `size` bytes. Nobody has checked it."""

    TYPE = "proof"
    BYTES_MAX = limits.PROOF_BYTES_MAX + limits.PROOF_BYTES_MAX // 256 + limits.BODY_OVERHEAD_BYTES
    SHAPE = {"size": _number(1, limits.PROOF_BYTES_MAX), "body": _octets(1, BYTES_MAX)}  # noqa: RUF012

    size: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Refusal(Message):
    """Why there is no answer. `retry_after_ms`: when to try again, 0 if that does not help."""

    TYPE = "refusal"
    BYTES_MAX = limits.SMALL_BYTES_MAX
    SHAPE = {  # noqa: RUF012
        "code": _code,
        "reason": _text(_REASON_BYTES_MAX),
        "retry_after_ms": _number(0, int(limits.RETRY_AFTER_MAX_S * 1000)),
    }

    code: Code
    reason: str
    retry_after_ms: int = 0


Asked = TypeVar("Asked", bound=Message)

REQUESTS: Final = (Hello, GetHeads, GetPages, GetChange, GetProof)
"""What a peer may ask."""


def decode(raw: bytes, *expected: type[Asked]) -> Asked:
    """The message, which must be of one of the expected types. Raises `PeerError`, `UnknownVersionError`."""
    most = max(kind.BYTES_MAX for kind in expected)
    if len(raw) > most:
        raise PeerError(f"a message of {len(raw)} bytes is over the limit of {most} bytes")
    try:
        found = cbor.decode(raw, depth_max=_DEPTH_MAX, items_max=_ITEMS_MAX)
    except ValueError as error:
        raise PeerError(f"not a message of this protocol: {error}") from error
    if type(found) is not dict or type(found.get("v")) is not int:
        raise PeerError("not a message of this protocol: it has no version")
    if found["v"] != limits.VERSION:
        raise UnknownVersionError(f"a message of version {found['v']}; this release speaks {limits.VERSION}")
    for kind in expected:
        if found.get("t") == kind.TYPE:
            if len(raw) > kind.BYTES_MAX:
                raise PeerError(f"a message of type {kind.TYPE} has {kind.BYTES_MAX} bytes at most, not {len(raw)}")
            try:
                return kind.of(found)
            except ValueError as error:
                raise PeerError(str(error)) from error
    raise PeerError(f"a message of type {str(found.get('t'))[:40]!r}, and {_names(expected)} was expected")


def _names(kinds: tuple[type[Message], ...]) -> str:
    return " or ".join(kind.TYPE for kind in kinds)
