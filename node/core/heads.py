"""What replication is told of the chain, and of what is held: `node.replication.state` over a view and the shelf."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from dkg.errors import StoreError
from node.core.view import LogView, anchored

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.chain.registry import Committed
    from node.core.shelf import Shelf
    from node.replication.messages import Anchored


class CoreChain:
    """See `node.replication.state.Chain`. `view` is replaced as a whole, when the chain has news."""

    def __init__(self, shelf: Shelf, follow: tuple[bytes, ...] | None, publishers_max: int) -> None:
        """`follow`: whose datasets are wanted; None: those of the first `publishers_max` that committed anything."""
        self.view = LogView()
        self._shelf = shelf
        self._follow = follow
        self._publishers_max = publishers_max
        self._wanted: tuple[object, object, list[Anchored]] = (None, None, [])

    def followed(self) -> list[bytes]:
        """Whose datasets are wanted, in the order in which they first committed."""
        publishers = self.view.log.publishers
        if self._follow is not None:
            return [publisher for publisher in self._follow if publisher in publishers]
        found = [publisher for publisher, state in publishers.items() if state.head.seq]
        return found[: self._publishers_max]

    def follows(self, publisher: bytes) -> bool:
        """Whether a publisher's datasets are wanted, or would be if there were any."""
        if self._follow is not None:
            return publisher in self._follow
        followed = self.followed()
        return len(followed) < self._publishers_max or publisher in followed

    def wanted(self) -> list[Anchored]:
        """See `Chain.wanted`: of each publisher the latest commit that is not known to be malformed."""
        view, refused = self.view, self._shelf.refused
        if self._wanted[0] is not view or self._wanted[1] is not refused:
            found = [self._shelf.wanted(publisher, view) for publisher in self.followed()]
            self._wanted = view, refused, [anchored(one) for one in found if one is not None]
        return self._wanted[2]

    def confirms(self, head: Anchored) -> bool:
        """See `Chain.confirms`."""
        return self.view.confirms(head)


class CoreHeads:
    """See `node.replication.state.Heads`."""

    def __init__(self, shelf: Shelf, chain: CoreChain, told: Callable[[Committed, str], None]) -> None:
        """`told`: of datasets that are refused, and why."""
        self._shelf = shelf
        self._chain = chain
        self._told = told

    def held(self, publisher: bytes) -> Anchored | None:
        """See `Heads.held`."""
        found = self._shelf.held(publisher, self._chain.view)
        return None if found is None else anchored(found)

    def after(self, publisher: bytes, most: int) -> list[Anchored]:
        """See `HeldHeads.after`."""
        names = self._shelf.publishers()
        found: list[Anchored] = []
        for name in names[bisect_right(names, publisher) :]:
            head = self.held(name)
            if head is not None:
                found.append(head)
            if len(found) == most:
                break
        return found

    def accept(self, head: Anchored) -> None:
        """See `Heads.accept`. Raises `MalformedError` when the commit tells a wrong number of quads."""
        self._shelf.keep(self._committed(head))

    def refuse(self, head: Anchored, why: str) -> None:
        """See `Heads.refuse`. Nothing is said of a commit that the log has no more."""
        if not self._chain.confirms(head):
            return
        committed = self._committed(head)
        self._shelf.refuse(committed, why)
        self._told(committed, why)

    def refused(self, head: Anchored) -> bool:
        """See `Heads.refused`."""
        return self._chain.confirms(head) and self._shelf.is_refused(self._committed(head))

    def _committed(self, head: Anchored) -> Committed:
        if not self._chain.confirms(head):
            raise StoreError(f"commit {head.seq} is not in the log any more")
        return self._chain.view.log.entries[head.position]
