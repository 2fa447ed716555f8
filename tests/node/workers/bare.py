"""Workers of a system where nothing cuts the network: they are as usual, and say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.workers import child

if TYPE_CHECKING:
    import socket

    from node.workers.child import Run
    from node.workers.settings import Settings

runner = child.runner


def warm_up() -> None:
    """Nothing: these workers need not be fast."""


def serve(run: Run, connection: socket.socket, settings: Settings, measures: dict[str, str]) -> None:
    refused = {"network": "Operation not permitted", "seccomp": "Invalid argument"}
    child.serve(run, connection, settings, measures | refused)
