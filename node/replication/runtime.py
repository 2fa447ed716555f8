"""What coroutines here wait with: trio's in the node (`node.peers.runtime`), virtual time in `tests/sim`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from random import Random

Result = TypeVar("Result")


class Event(Protocol):
    """Something that happens once."""

    def set(self) -> None:
        """It has happened."""

    async def wait(self) -> None:
        """Until it has."""


class Nursery(Protocol):
    """Tasks that end before the block that started them does."""

    def start_soon(self, task: Callable[..., Awaitable[object]], *args: object) -> None:
        """Start a task. An error in it ends the others, and is raised by the block."""

    def cancel(self) -> None:
        """End all its tasks, and the block."""


class Runtime(Protocol):
    """Time, chance and tasks."""

    @property
    def random(self) -> Random:
        """Where all chance comes from."""

    def now(self) -> float:
        """Seconds since some moment, never going back."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def event(self) -> Event:
        """A new event."""

    async def wait(self, event: Event, seconds: float) -> None:
        """Wait for an event, but no longer than that."""

    def nursery(self) -> AbstractAsyncContextManager[Nursery]:
        """A block for tasks."""

    async def blocking(self, lane: str, work: Callable[[], Result]) -> Result:
        """What a function gives that takes long or reads a disk. A lane does one thing at a time, in turn."""
