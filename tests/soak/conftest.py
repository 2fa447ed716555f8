"""Where simulated nodes keep their databases."""

from __future__ import annotations

from tests.sim.conftest import folder

__all__ = ["folder"]
