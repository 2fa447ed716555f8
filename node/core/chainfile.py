"""The registry's log on disk, so that a node that starts goes on where it was, and serves while no endpoint answers.

`chain.log` is a file of frames that only grows. Each frame is one step of the follower: blocks with their events,
blocks that a reorganisation took back, and what is final since; it carries a hash over itself and all frames before it.
A crash loses the last frames at most, and what is left is the log as it was before: the next step reads the rest anew.
Replaying goes through `RegistryLog.apply`, so a file that says what the registry cannot have logged is found out.

Nothing in it is the truth: it can be deleted, and is then read from the chain again.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import libipld

from dkg.chain.commit import Commit
from dkg.chain.log import Block, RegistryLog
from dkg.chain.registry import Committed, Retired, Revoked, Rotated
from dkg.client.database import sync_directory
from dkg.client.follower import Resumed, kept_blocks
from dkg.errors import DkgError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO

    from dkg.chain.commit import Domain
    from dkg.chain.log import Mark
    from dkg.chain.registry import Event

CHAIN_FILE: Final = "chain.log"

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""Longest frame that is read, in bytes."""

RECORDS_MAX: Final = 2_000
"""Most records of a frame that is written; a step with more makes several."""

FINAL_BLOCKS: Final = 64
"""Blocks by which what is final moves on before that alone is worth a frame."""

_VERSION: Final = 1
_SUM_BYTES: Final = 16
_LENGTH: Final = struct.Struct("<I")
_COMMITTED, _ROTATED, _REVOKED, _RETIRED = range(4)


class RecordedLog(RegistryLog):
    """A log that tells what happens to it. `records`: what happened since it was last written down.

    Blocks without events are left out: where the log was read to is in every frame.
    """

    def __init__(self, kept: int) -> None:
        super().__init__(kept)
        self.records: list[list[Any]] = []
        self._written = -1  # number of the newest block that is written down

    def apply(self, block: Block, events: Sequence[Event]) -> None:
        """See `RegistryLog.apply`."""
        super().apply(block, events)
        if events:
            self.records.append(["b", *_block(block), [_event(event) for event in events]])

    def rollback(self, number: int) -> None:
        """See `RegistryLog.rollback`."""
        super().rollback(number)
        self._went_back()

    def restore(self, mark: Mark) -> None:
        """See `RegistryLog.restore`."""
        super().restore(mark)
        self._went_back()

    def _went_back(self) -> None:
        """Forget the records of blocks that are gone; of those that are written down, tell."""
        tip = self.tip.number if self.tip else -1
        while self.records and self.records[-1][1] > tip - (self.records[-1][0] == "r"):
            self.records.pop()
        if self._written > tip:
            self.records.append(["r", tip])

    def written(self) -> None:
        """All records are written down."""
        if self.records:
            self._written = self.records[-1][1]
        self.records = []

    def copy(self) -> RegistryLog:
        """The log as it is, for reading: it changes no more."""
        made = RegistryLog()
        made.entries = self.entries.copy()
        made.publishers = self.publishers.copy()
        return made


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file held. `head`: the block that the log was as of; None in a new one."""

    log: RecordedLog
    final: tuple[int, bytes] | None = None
    head: Block | None = None
    proved_entries: int = 0

    @property
    def resumed(self) -> Resumed:
        """For the follower."""
        return Resumed(self.log, self.final, self.proved_entries)


@dataclass(slots=True)
class ChainFile:
    """The file of one registry in a node's directory. For one thread at a time; `close` it after use."""

    path: Path
    domain: Domain
    _file: BinaryIO | None = field(default=None, init=False)
    _sum: bytes = field(default=b"", init=False)
    _final: int = field(default=-1, init=False)
    lost_bytes: int = field(default=0, init=False)
    """Bytes at the end of the file that were no whole frame when it was read: what a crash left."""

    def load(self, finality_depth: int) -> Kept:
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
        file, header = self._opened(), b"dkg chain log %d %d %b\n" % _ids(self.domain)
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

    def _read(self, finality_depth: int) -> tuple[Kept, int]:
        """What is in it, and where its last whole step ends."""
        file, log = self._opened(), RecordedLog(kept_blocks(finality_depth))
        kept, end, total, waiting = Kept(log), file.tell(), self._sum, list[list[Any]]()
        while (found := _frame(file, total)) is not None:
            payload, total = found
            frame = libipld.decode_dag_cbor(payload)
            waiting += frame["records"]
            if "head" in frame:
                self._replay(log, waiting)
                final = frame["final"]
                kept = Kept(log, (final[0], final[1]), Block(*frame["head"]), frame["proved"])
                end, self._sum, waiting = file.tell(), total, []
        if kept.head is not None and (log.tip is None or log.tip.number < kept.head.number):
            self._replay(log, [["b", *_block(kept.head), []]])  # it was read up to there
        self._final = kept.final[0] if kept.final else -1
        return kept, end

    def _replay(self, log: RecordedLog, records: list[list[Any]]) -> None:
        try:
            _replay(log, records)
        except (DkgError, ValueError, TypeError, KeyError, IndexError) as error:
            raise StoreError(
                f"{self.path} says what the registry cannot have logged ({error}). Move it away: what is in it is read "
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

    def write(self, log: RecordedLog, final: tuple[int, bytes], head: Block, proved: int) -> None:
        """Write down what happened to a log; on the disk when this returns. Raises `StoreError`.

        Nothing is written where there is no news but a few blocks, and none of them makes an entry final; `flush`
        writes those too.
        """
        settled = next((one.block for one in reversed(log.entries) if one.block <= final[0]), -1)
        if log.records or settled > self._final or final[0] >= self._final + FINAL_BLOCKS:
            self.flush(log, final, head, proved)

    def flush(self, log: RecordedLog, final: tuple[int, bytes], head: Block, proved: int) -> None:
        """The same, news or not."""
        records = log.records
        step = {"final": list(final), "head": _block(head), "proved": proved}
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


def _replay(log: RegistryLog, records: list[list[Any]]) -> None:
    for kind, *values in records:
        if kind == "b":
            *block, events = values
            found = Block(*block)
            log.apply(found, [_event_of(event, found) for event in events])
        elif kind == "r":
            blocks = log.blocks  # without the empty ones there were, so that they may begin later than then
            log.rollback(max(values[0], blocks[0].number - 1) if blocks else values[0])
        else:
            raise ValueError(f"a record of the kind {kind!r}")


def _block(block: Block) -> list[Any]:
    return [block.number, block.hash, block.parent, block.time]


def _event(event: Event) -> list[Any]:
    match event:
        case Committed():
            commit = event.commit
            own = [commit.publisher, commit.seq, commit.root, commit.count, commit.previous, commit.created]
            return [_COMMITTED, *own, event.position, event.prior_position]
        case Rotated():
            return [_ROTATED, event.publisher, event.signer, event.nonce, event.position]
        case Revoked():
            return [_REVOKED, event.publisher, event.signer, event.nonce, event.position]
        case Retired():
            return [_RETIRED, event.publisher, event.nonce, event.position]


def _event_of(found: list[Any], block: Block) -> Event:
    kind, *values = found
    if kind == _COMMITTED:
        *own, position, prior = values
        return Committed(Commit(*own), position, prior, block.number, block.time)
    made: type[Rotated | Revoked | Retired] = {_ROTATED: Rotated, _REVOKED: Revoked, _RETIRED: Retired}[kind]
    return made(*values)
