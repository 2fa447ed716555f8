"""Roots that somebody reads, or was told of a moment ago: no garbage collection takes a page of them.

A root is leased by being named in a `Standing`, for some time, and held while it is read. Any thread may do either.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dkg.errors import StoreError
from dkg.page import cid_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Leases:
    """See the module."""

    def __init__(self, known: Callable[[bytes], bool], clock: Callable[[], float], lease_s: float) -> None:
        """`known`: whether a root is kept now. `clock`: seconds that never go back, in any thread."""
        self._known = known
        self._clock = clock
        self._lease_s = lease_s
        self._until: dict[bytes, float] = {}
        self._held: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def lease(self, root: bytes) -> None:
        """Keep the pages of a root, which was just found to be kept, for some time."""
        with self._lock:
            self._until[root] = self._clock() + self._lease_s

    @contextmanager
    def reading(self, root: bytes) -> Iterator[None]:
        """Keep the pages of a root while the block runs. Raises `StoreError` when it is not kept any more."""
        with self._lock:
            if not (self._held[root] or self._known(root) or self._until.get(root, 0.0) > self._clock()):
                del self._held[root]
                raise StoreError(f"the dataset {cid_text(root)} is not kept here, or not any more")
            self._held[root] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[root] -= 1
                if not self._held[root]:
                    del self._held[root]

    def roots(self) -> set[bytes]:
        """All of them, now."""
        with self._lock:
            now = self._clock()
            self._until = {root: until for root, until in self._until.items() if until > now}
            return {*self._until, *self._held}
