"""Whose a key is, by its bytes alone, and the same quad's key in another index: docs/formats.md, section 12.

No term is looked at. A key has the *shape of a quad* if it is four components, each followed by 0x00, none of them
empty or beginning with 0x01, 0x12 or 0xff: such a key may have no place in the index that its component heads.
Indexes are named as in `dkg.page.ORDERS`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dkg.errors import InputError
from dkg.limits import KEY_MAX

if TYPE_CHECKING:
    from dkg.chain.commit import Domain

_PARTS: Final = 4
_NEVER: Final = frozenset([b"", b"\x01", b"\x12", b"\xff"])
_PUBLISHER: Final = re.compile(rb"0x([0-9a-f]{40})/")


def registry_prefix(domain: Domain) -> bytes:
    """What the graph names of all publishers of a registry begin with, as components."""
    return f"<did:dkg:eip155:{domain.chain_id}:0x{domain.registry.hex()}/".encode()


def prefix_of(domain: Domain, publisher: bytes) -> bytes:
    """What the graph names of a publisher (20 bytes) begin with, as components."""
    return registry_prefix(domain) + b"0x" + publisher.hex().encode() + b"/"


def is_short(key: bytes) -> bool:
    """Whether checkpoints cover a key of this length."""
    return len(key) <= KEY_MAX


def has_shape(key: bytes) -> bool:
    """Whether a key has the shape of a quad."""
    parts = key.split(b"\0")
    return len(parts) == _PARTS + 1 and not parts.pop() and not any(part[:1] in _NEVER for part in parts)


def owner_of(key: bytes, domain: Domain) -> bytes | None:
    """The publisher (20 bytes) that a key of spog, or its stem, is of; None if it is nobody's, long or no quad."""
    if not is_short(key) or not has_shape(key):
        return None
    return owner_of_graph(key.split(b"\0")[_PARTS - 1], domain)


def owner_of_graph(graph: bytes, domain: Domain) -> bytes | None:
    """The publisher (20 bytes) that a graph, as a component, is of; None if it is nobody's."""
    prefix = registry_prefix(domain)
    found = _PUBLISHER.match(graph, len(prefix)) if graph.startswith(prefix) else None
    return bytes.fromhex(found[1].decode()) if found else None


def permute(key: bytes, from_order: str, to_order: str) -> bytes:
    """The key of the same components in another index. Raises `InputError` for what has not the shape of a quad."""
    if not has_shape(key):
        raise InputError("a key that is not four components, each followed by 0x00, has no place in another index")
    parts = dict(zip(from_order, key.split(b"\0")[:_PARTS], strict=True))
    return b"".join(parts[place] + b"\0" for place in to_order)
