"""When to try again what failed: waits that double, with jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from node.core.settings import CoreSettings
    from node.replication.runtime import Event, Runtime

_LOOK_S: Final = 60.0


class Retries:
    """What is to be tried again, by name. What was never tried is due at once."""

    def __init__(self, runtime: Runtime, settings: CoreSettings) -> None:
        self._runtime = runtime
        self._first_s = settings.retry_s
        self._most_s = max(settings.retry_s, settings.poll_max_s)
        self._failures: dict[str, int] = {}
        self._next: dict[str, float] = {}

    def is_due(self, name: str) -> bool:
        """Whether it is to be tried now."""
        return self._next.get(name, 0.0) <= self._runtime.now()

    def failed(self, name: str) -> None:
        """It did not work."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        wait_s = min(self._most_s, self._first_s * 2 ** min(failures - 1, 16))
        self._next[name] = self._runtime.now() + wait_s * (0.5 + self._runtime.random.random())

    def sent(self, name: str) -> None:
        """It worked; if what came of it does not show, it is to be tried again after a while."""
        self._failures.pop(name, None)
        self._next[name] = self._runtime.now() + self._most_s

    def done(self, name: str) -> None:
        """Forget it."""
        self._failures.pop(name, None)
        self._next.pop(name, None)

    def only(self, names: Iterable[str]) -> None:
        """Forget all but these."""
        for name in {*self._next, *self._failures} - {*names}:
            self.done(name)

    async def wait(self, news: Event) -> None:
        """Wait until something is due, or there is news."""
        now = self._runtime.now()
        waits = [at - now for at in self._next.values() if at > now]
        await self._runtime.wait(news, min(waits, default=_LOOK_S) + 0.01)
