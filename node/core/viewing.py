"""`HeldViews`: views that are asked are held from one question to the next, so that not each locks and reads files.

What has not been asked for a second is let go when another question comes, and when views are to be deleted
(`release`), so that one that nobody reads is in nobody's way.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from node.storage import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOLD_S: Final = 1.0
"""How long a view is held without being looked at again, in seconds: one that was put away is found out by then."""


@dataclass(slots=True, eq=False)
class _Held:
    path: Path
    """The engine's directory."""
    lock: ExitStack
    until: float
    readers: int = 0
    gone: bool = False
    """Whether it is let go when nobody reads it any more."""


class HeldViews:
    """See the module. `directory`: the one of `Views`; `clock`: seconds that never go back. For any thread."""

    def __init__(self, directory: Path, clock: Callable[[], float]) -> None:
        self._directory = directory
        self._clock = clock
        self._held: dict[bytes, _Held] = {}
        self._lock = threading.Lock()

    @contextmanager
    def reading(self, root: bytes) -> Iterator[Path]:
        """The view of a root, as `node.storage.reading` gives it. Raises `ViewError`."""
        held = self._take(root)
        try:
            yield held.path
        finally:
            with self._lock:
                held.readers -= 1
                if held.gone and not held.readers:
                    held.lock.close()

    def release(self) -> None:
        """Let go of all views, of those that are being read when they are not any more."""
        with self._lock:
            for root in list(self._held):
                self._let_go(root)

    def _take(self, root: bytes) -> _Held:
        with self._lock:
            now = self._clock()
            for old in [old for old, held in self._held.items() if held.until <= now]:
                self._let_go(old)
            held = self._held.get(root)
            if held is None:
                lock = ExitStack()
                path = lock.enter_context(reading(self._directory, root))
                held = self._held[root] = _Held(path, lock, now + HOLD_S)
            held.readers += 1
            return held

    def _let_go(self, root: bytes) -> None:
        held = self._held.pop(root)
        held.gone = True
        if not held.readers:
            held.lock.close()
