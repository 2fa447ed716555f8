"""A chain and two nodes that know each other, each a process of its own, for as long as a block runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.chain.proxy import Proxy, Rule, proxy
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc
from tests.node.core.processes import ROOT, NodeProcess
from tests.node.publish.world import KEYS, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAYER = KEYS[5]

SETTINGS: dict[str, Any] = {
    "http.trusted_proxies": ["127.0.0.1"],  # so that the load comes from many clients
    "http.remembered_bytes": 1024 * 1024,  # which is full before it is warm
    "storage.keep_days": 0,
    "storage.collect_s": 20.0,
    "storage.view_quads_min": 500,
    "workers.workers": 2,
    "workers.wall_seconds": 6.0,
    "chain.poll_s": 0.5,
}
"""What the nodes are told: old roots go soon, small datasets have views, and a query that is too long is seen to be."""


@dataclass
class Network:
    """The processes. `endpoint`: what stands between the nodes and the chain."""

    world: World
    first: NodeProcess
    second: NodeProcess
    endpoint: Proxy

    @property
    def nodes(self) -> dict[str, NodeProcess]:
        """By name."""
        return {"first": self.first, "second": self.second}


@contextmanager
def chain(folder: Path) -> Iterator[World]:
    """A development chain as a process, with a registry."""
    port = folder / "chain.port"
    command = [sys.executable, "-m", "node.devnet.chain", "--port", "0", "--port-file", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            while not port.exists():
                assert process.poll() is None, "the chain did not start"
                time.sleep(0.05)
            rpc = Rpc(f"http://127.0.0.1:{port.read_text().strip()}")
            yield World(rpc.url, rpc, Registry(rpc), folder)
        finally:
            process.terminate()


@contextmanager
def network(folder: Path, **settings: Any) -> Iterator[Network]:  # noqa: ANN401 - of the configuration
    """Both nodes, answering. The second one knows where the first is, which is there after it was killed too."""
    with ExitStack() as stack:
        world = stack.enter_context(chain(folder))
        endpoint = stack.enter_context(proxy(world.url, honest))
        behind = World(endpoint.url, world.rpc, world.registry, folder)
        made = Network(world, NodeProcess(folder / "first", behind), NodeProcess(folder / "second", behind), endpoint)
        for node in (made.first, made.second):
            node.settings |= SETTINGS | settings | {"peers.listen": f"/ip4/127.0.0.1/tcp/{free_port()}"}
            stack.callback(end, node)
        made.first.with_key(PAYER, own=False)
        made.first.start()
        made.second.settings["peers.bootstrap"] = made.first.facts["peers"]
        made.second.start()
        yield made


def end(node: NodeProcess) -> None:
    """Kill a node that still runs."""
    if node.process is not None and node.process.poll() is None:
        node.kill()


def free_port() -> int:
    """A port that nobody has, for a node that is to come back to it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def honest(_request: object, response: Any) -> Any:  # noqa: ANN401 - a rule of tests.chain.proxy
    """The rule of an endpoint that does nothing wrong."""
    return response


def failing(kind: int) -> Rule:
    """Rules of endpoints that are down, busy, or break off."""

    def rule(_request: object, response: Any) -> Any:  # noqa: ANN401
        if kind == 0:
            response.hang_up = True
        elif kind == 1:
            response.status, response.body, response.headers = 429, b"busy", {"Retry-After": "1"}
        else:
            response.part = 0.5
        return response

    return rule


def settle() -> str:
    """What a run is of: the commit of this checkout, for the record."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or os.environ.get("DKG_COMMIT", "unknown")
