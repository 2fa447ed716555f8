"""A contract's log on disk, so that a node that starts goes on where it was, and serves while no endpoint answers.

`chain.log` is a file of frames that only grows. Each frame is one step of the follower: blocks with their events,
blocks that a reorganisation took back, and what is final since; it carries a hash over itself and all frames before it.
A crash loses the last frames at most, and what is left is the log as it was before: the next step reads the rest anew.
Replaying goes through the log's `apply`, so a file that says what the contract cannot have logged is found out.
`checkpoints.log` is the same for the checkpoint contract.

Nothing in it is the truth: it can be deleted, and is then read from the chain again.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Generic

import libipld

from dkg.chain.log import Block
from dkg.client.database import sync_directory
from dkg.client.follower import Resumed, kept_blocks
from dkg.errors import DkgError, StoreError
from node.core.recorded import Kind, L, RecordedLog, block_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from dkg.chain.commit import Domain

CHAIN_FILE: Final = "chain.log"
CHECKPOINTS_FILE: Final = "checkpoints.log"

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""Longest frame that is read, in bytes."""

RECORDS_MAX: Final = 2_000
"""Most records of a frame that is written; a step with more makes several."""

FINAL_BLOCKS: Final = 64
"""Blocks by which what is final moves on before that alone is worth a frame."""

_VERSION: Final = 1
_SUM_BYTES: Final = 16
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Kept(Generic[L]):
    """What a file held. `head`: the block that the log was as of; None in a new one."""

    log: L
    final: tuple[int, bytes] | None = None
    head: Block | None = None
    proved_entries: int = 0

    @property
    def resumed(self: Kept[RecordedLog]) -> Resumed:
        """For the follower of the registry."""
        return Resumed(self.log, self.final, self.proved_entries)


@dataclass(slots=True)
class ChainFile(Generic[L]):
    """The file of one contract in a node's directory. For one thread at a time; `close` it after use."""

    path: Path
    domain: Domain
    """The chain, and the contract's address."""
    kind: Kind[L]
    _file: BinaryIO | None = field(default=None, init=False)
    _sum: bytes = field(default=b"", init=False)
    _final: int = field(default=-1, init=False)
    lost_bytes: int = field(default=0, init=False)
    """Bytes at the end of the file that were no whole frame when it was read: what a crash left."""

    def load(self, finality_depth: int) -> Kept[L]:
        """What the file holds; an empty log if there is none. It is made, and open to be written, after this.

        Raises `StoreError`: it cannot be read or made, is another registry's, or says what cannot be.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab+")
            size = self._begin()
            kept, end = self._read(finality_depth)
            self.lost_bytes = size - end
            self._file.truncate(end)
        except OSError as error:
            self.close()
            raise StoreError(f"{self.path} cannot be used: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise
        return kept

    def _begin(self) -> int:
        """Read the header, or write it into a new file; gives the size of the file."""
        file, header = self._opened(), b"dkg %b log %d %d %b\n" % (self.kind.name.encode(), *_ids(self.domain))
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if not header.startswith(file.read(len(header))):
            raise StoreError(
                f"{self.path} is of another chain or registry than {self.domain.chain_id}, "
                f"0x{self.domain.registry.hex()}, or of another release: move it away, or use another directory"
            )
        if size < len(header):
            file.truncate(0)
            file.write(header)
            self._sync()
            sync_directory(self.path.parent)
            size = len(header)
        file.seek(len(header))
        self._sum = sha256(header).digest()[:_SUM_BYTES]
        return size

    def _read(self, finality_depth: int) -> tuple[Kept[L], int]:
        """What is in it, and where its last whole step ends."""
        file, log = self._opened(), self.kind.make(kept_blocks(finality_depth))
        kept: Kept[L] = Kept(log)
        end, total, waiting = file.tell(), self._sum, list[list[Any]]()
        while (found := _frame(file, total)) is not None:
            payload, total = found
            frame = libipld.decode_dag_cbor(payload)
            waiting += frame["records"]
            if "head" in frame:
                self._replay(log, waiting)
                final = frame["final"]
                kept = Kept(log, (final[0], final[1]), Block(*frame["head"]), frame["proved"])
                end, self._sum, waiting = file.tell(), total, []
        self._replay(log, _unread(log.tip, kept.head))
        self._final = kept.final[0] if kept.final else -1
        return kept, end

    def _replay(self, log: L, records: list[list[Any]]) -> None:
        try:
            _replay(log, records, self.kind.event_of)
        except (DkgError, ValueError, TypeError, KeyError, IndexError) as error:
            raise StoreError(
                f"{self.path} says what the contract cannot have logged ({error}). Move it away: what is in it is read "
                "from the chain again"
            ) from error
        log.written()

    def empty(self) -> None:
        """Throw away what is in it: the log is written down anew. Raises `StoreError`."""
        try:
            self._opened().truncate(0)
            self._begin()
        except OSError as error:
            self.close()
            raise StoreError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._final = -1

    def write(self, log: L, final: tuple[int, bytes], head: Block, proved: int) -> None:
        """Write down what happened to a log; on the disk when this returns. Raises `StoreError`.

        Nothing is written where there is no news but a few blocks, and none of them makes an entry final; `flush`
        writes those too.
        """
        if log.records or log.settled(final[0]) > self._final or final[0] >= self._final + FINAL_BLOCKS:
            self.flush(log, final, head, proved)

    def flush(self, log: L, final: tuple[int, bytes], head: Block, proved: int) -> None:
        """The same, news or not."""
        records = log.records
        step = {"final": list(final), "head": block_row(head), "proved": proved}
        try:
            while len(records) > RECORDS_MAX:
                self._append({"records": records[:RECORDS_MAX]})
                records = records[RECORDS_MAX:]
            self._append({"records": records, **step})
            self._sync()
        except OSError as error:
            self.close()  # what is in the file now nobody knows: the next start reads what is whole
            raise StoreError(f"{self.path} cannot be written: {error.strerror or error}") from error
        self._final = final[0]
        log.written()

    def _append(self, frame: dict[str, Any]) -> None:
        payload: bytes = libipld.encode_dag_cbor(frame)
        self._sum = _next(self._sum, payload)
        self._opened().write(_LENGTH.pack(len(payload)) + self._sum + payload)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise StoreError(f"{self.path} takes no more, because it could not be written: start the node anew")
        return self._file

    def _sync(self) -> None:
        file = self._opened()
        file.flush()
        os.fsync(file.fileno())

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _frame(file: BinaryIO, total: bytes) -> tuple[bytes, bytes] | None:
    """The next frame of a file and the sum after it; None if there is no whole one."""
    head = file.read(_LENGTH.size + _SUM_BYTES)
    if len(head) < _LENGTH.size + _SUM_BYTES:
        return None
    (length,) = _LENGTH.unpack_from(head)
    if length > FRAME_BYTES_MAX:
        return None
    payload = file.read(length)
    after = _next(total, payload)
    return (payload, after) if len(payload) == length and after == head[_LENGTH.size :] else None


def _next(total: bytes, payload: bytes) -> bytes:
    return sha256(total + payload).digest()[:_SUM_BYTES]


def _ids(domain: Domain) -> tuple[int, int, bytes]:
    return _VERSION, domain.chain_id, domain.registry.hex().encode()


# --- records ----------------------------------------------------------------------------------------------------


def _unread(tip: Block | None, head: Block | None) -> list[list[Any]]:
    """The block that a log was read up to, if it had no events."""
    if head is None or (tip is not None and tip.number >= head.number):
        return []
    return [["b", *block_row(head), []]]


def _replay(log: L, records: list[list[Any]], event_of: Callable[[list[Any], Block], Any]) -> None:
    for kind, *values in records:
        if kind == "b":
            *block, events = values
            found = Block(*block)
            log.apply(found, [event_of(event, found) for event in events])
        elif kind == "r":
            blocks = log.blocks  # without the empty ones there were, so that they may begin later than then
            log.rollback(max(values[0], blocks[0].number - 1) if blocks else values[0])
        else:
            raise ValueError(f"a record of the kind {kind!r}")
