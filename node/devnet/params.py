"""Parameters of JSON-RPC calls, read strictly. Everything here raises `RpcError` (-32602) for what it cannot read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from node.devnet.errors import invalid

_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_TOPICS_MAX: Final = 4


def number(value: object, what: str) -> int:
    """A quantity: `0x` and hex digits; whole JSON numbers too, which tools for development chains send."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise invalid(f"{what} must be a quantity such as 0x1b4")


def octets(value: object, what: str, size: int | None = None) -> bytes:
    """Bytes in hex; `size`: how many there must be."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise invalid(f"{what} must be 0x and an even number of hex digits")
    found = bytes.fromhex(value[2:])
    if size is not None and len(found) != size:
        raise invalid(f"{what} must have {size} bytes, not {len(found)}")
    return found


def address(value: object, what: str = "an address") -> bytes:
    """20 bytes."""
    return octets(value, what, 20)


def digest(value: object, what: str = "a hash") -> bytes:
    """32 bytes."""
    return octets(value, what, 32)


def flag(value: object, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid(f"{what} must be true or false")
    return value


def members(value: object, what: str) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise invalid(f"{what} must be an object")
    return value


def items(value: object, what: str, most: int) -> list[Any]:
    """A JSON array of at most `most`."""
    if not isinstance(value, list) or len(value) > most:
        raise invalid(f"{what} must be an array of at most {most}")
    return value


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What `eth_getLogs` asks for. `topics`: at each place the words that may stand there, None for any."""

    addresses: frozenset[bytes] | None
    topics: tuple[frozenset[int] | None, ...]

    def takes(self, topics: tuple[int, ...]) -> bool:
        """Whether a log with these topics is asked for."""
        if len(topics) < len(self.topics):
            return False
        return all(wanted is None or topic in wanted for wanted, topic in zip(self.topics, topics, strict=False))


def log_filter(query: dict[str, Any]) -> LogFilter:
    """The contracts and topics of a filter object."""
    named = query.get("address")
    names = named if isinstance(named, list) else [] if named is None else [named]
    topics = items(query.get("topics") or [], "topics", _TOPICS_MAX)
    return LogFilter(
        frozenset(address(name, "a contract's address") for name in names) if names else None,
        tuple(_words(topic) for topic in topics),
    )


def _words(topic: object) -> frozenset[int] | None:
    words = topic if isinstance(topic, list) else [] if topic is None else [topic]
    return frozenset(int.from_bytes(digest(word, "a topic"), "big") for word in words) or None
