"""Workers that die as they start."""

from __future__ import annotations

from node.workers import child

runner = child.runner


def warm_up() -> None:
    """Nothing: there is no use."""


def serve(*_: object) -> None:
    raise RuntimeError("born to fail")
