"""Telling the directory which datasets are here: those that came in another way than from peers, and all after a start.

(`node.replication.replicator` tells of those that it brought over.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.core.parts import Parts
    from node.replication.messages import Anchored

PENDING_MAX: Final = 1_024
"""Most datasets that wait to be told of; those that wait longest are left out."""

ALONE_S: Final = 2.0
"""Time between two looks at whether there are peers, in seconds."""

_LOOK_S: Final = 3_600.0


class Providing:
    """See the module."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pending: dict[bytes, None] = {}
        self._news = parts.runtime.event()

    def add(self, heads: Iterable[Anchored]) -> None:
        """Tell of these datasets soon. From the loop only: it wakes a task there."""
        if self._parts.directory is None:
            return
        for head in heads:
            self._pending.pop(head.root, None)
            self._pending[head.root] = None
        while len(self._pending) > PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        self._news.set()

    async def run(self) -> None:
        """Tell, one after the other, for ever."""
        parts, directory = self._parts, self._parts.directory
        while directory is not None:
            self._news = parts.runtime.event()
            if not self._pending:
                await parts.runtime.wait(self._news, _LOOK_S)
            elif not parts.transport.peers():
                await parts.runtime.sleep(ALONE_S)  # there is nobody who could keep it
            else:
                root = next(iter(self._pending))
                del self._pending[root]
                await directory.provide(root)
