"""Items: what a file has many of (rows, objects, blocks, entries), as triples, each with the place it is from."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Protocol

from dkg.errors import LimitError, RdfError
from dkg.normal import normalize
from node.imports.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dkg.canon import RawQuad

Triple = tuple[bytes, bytes, bytes]
"""Subject, predicate, object as N-Triples text, blank nodes and all."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a file."""

    nodes: tuple[bytes, ...]
    """What it is about: IRIs as terms, in normal form."""
    place: str
    """Where in the file it is, as a fragment of the file's IRI: `row=12`, `/records/3`, `item=4`."""
    key: str | None
    """What the file itself calls it, if it does: the key of an entry, the guid of an item."""
    triples: tuple[Triple, ...]


class Import(Protocol):
    """One kind of import. It says in `warnings` what it left out, in sentences."""

    warnings: list[str]

    def items(self, source: Bounded) -> Iterator[Item]:
        """The items of a file. Raises `SourceError` that says where, and `LimitError`."""


class Bounded:
    """A file that is read once, up to a limit in bytes, and hashed on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = sha256()
        self.bytes = 0

    def whole(self, bytes_max: int, name: str) -> bytes:
        """All of it. Raises `LimitError` if it has more bytes than the limit `name`."""
        parts = []
        while part := self._stream.read(min(1 << 20, bytes_max + 1 - self.bytes)):
            self._took(part, bytes_max, name)
            parts.append(part)
        return b"".join(parts)

    def lines(self, line_max: int, bytes_max: int, names: tuple[str, str]) -> Iterator[bytes]:
        """Its lines, with what ends them. `names`: those of the two limits in bytes. Raises `LimitError`."""
        number = 0
        while line := self._stream.readline(line_max + 1):
            number += 1
            if len(line) > line_max:
                raise LimitError(f"line {number} has more than {line_max} bytes ({names[0]})")
            self._took(line, bytes_max, names[1])
            yield line

    def digest(self) -> bytes:
        """The SHA-256 of what was read."""
        return self._hash.digest()

    def _took(self, part: bytes, bytes_max: int, name: str) -> None:
        self.bytes += len(part)
        if self.bytes > bytes_max:
            raise LimitError(f"the file has more than {bytes_max} bytes ({name}): split it")
        self._hash.update(part)


def iri_term(iri: str) -> bytes | None:
    """An IRI as a term in normal form; None if it is no absolute IRI."""
    try:
        term = normalize(f"<{iri}>".encode())
    except (RdfError, LimitError, UnicodeEncodeError):
        return None
    return term if term.startswith(b"<") else None


def required_iri(iri: str) -> bytes:
    """An IRI as a term in normal form. Raises `SourceError` if it is no absolute IRI, or too long."""
    term = iri_term(iri)
    if term is None:
        raise SourceError(f"{iri[:200]!r} is no absolute IRI, or is too long for one")
    return term


def quads_of(item: Item) -> list[RawQuad]:
    """The quads of an item, in no graph yet."""
    return [(s, p, o, b"") for s, p, o in item.triples]
