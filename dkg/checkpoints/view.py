"""What the contract reads when it judges: its own storage, and that of the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dkg.chain.checkpoints import Checkpoint, Mark
    from dkg.chain.commit import Domain
    from dkg.chain.log import RegistryLog

_NO_ENTRY = bytes(32)


class View(Protocol):
    """What a judge asks of the two contracts."""

    @property
    def domain(self) -> Domain:
        """The chain and the registry."""

    @property
    def shown(self) -> Mapping[bytes, bytes]:
        """The words that are kept of pages that were shown, by digest; both 32 bytes."""

    def entry(self, position: int) -> bytes:
        """The registry's log entry at a position, 32 bytes; zeros if there is none."""

    def head(self, publisher: bytes) -> tuple[int, int]:
        """Seq and position of a publisher's latest commit; seq 0 if it has none."""

    def mark(self, position: int) -> Mark | None:
        """The mark of the commit at a position."""

    def checkpoint(self, checkpoint: int) -> Checkpoint | None:
        """The checkpoint with an id."""


@dataclass(frozen=True, slots=True)
class LogView:
    """A view of logs that were followed: to try evidence before it is sent."""

    domain: Domain
    log: RegistryLog
    marked: Mapping[int, Mark] = field(default_factory=dict)
    """By position."""
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)
    """By id."""
    shown: Mapping[bytes, bytes] = field(default_factory=dict)
    """See `View.shown`."""

    def entry(self, position: int) -> bytes:
        """See `View.entry`."""
        entries = self.log.entries
        return entries[position].entry() if position < len(entries) else _NO_ENTRY

    def head(self, publisher: bytes) -> tuple[int, int]:
        """See `View.head`."""
        state = self.log.publishers.get(publisher)
        return (state.head.seq, state.head.position) if state else (0, 0)

    def mark(self, position: int) -> Mark | None:
        """See `View.mark`."""
        return self.marked.get(position)

    def checkpoint(self, checkpoint: int) -> Checkpoint | None:
        """See `View.checkpoint`."""
        return self.checkpoints.get(checkpoint)
