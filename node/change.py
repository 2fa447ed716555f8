"""A change to a publisher's dataset: the quads that come and those that go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dkg.pages import Pages
    from dkg.terms import Quad

    Edit = Callable[[Pages, bytes | None], "Change"]
    """Makes the change to a dataset: its pages and its root, None before the first commit. Pure: it may run twice."""


@dataclass(frozen=True, slots=True)
class Change:
    """Quads in normal form. What is in both sets is in the result (`dkg.dataset.update_dataset`)."""

    add: frozenset[Quad] = frozenset()
    remove: frozenset[Quad] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.add or self.remove)
