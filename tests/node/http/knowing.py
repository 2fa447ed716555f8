"""What a node of these tests knows: with an event loop of its own, as each request of theirs has another."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from node.http.knowing import NodeKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.node.http.world import Node


@contextmanager
def known_of(node: Node, *, ready: bool = True, **given: Any) -> Iterator[NodeKnowledge]:  # noqa: ANN401
    """Knowledge over a node; `ready`: once its index is there."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        known = NodeKnowledge(node, loop, node.store.directory, **{"embedder": "none", **given})
        try:
            while ready and not known.knowledge.ready:
                time.sleep(0.01)
            yield known
        finally:
            known.close()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
