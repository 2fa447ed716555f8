"""Applications over real nodes, and clients that ask them without a network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from node.http import HttpSettings, Scope, Token, make_app, new_token
from node.http.app import context_of
from node.workers.inprocess import InProcess
from tests.node.http.world import Node, world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from node.http.knowing import NodeKnowledge
    from node.private.assets import PrivateAssets
    from node.workers.jobs import Runner

SECRETS = {scope: bytes([number]) * 32 for number, scope in enumerate(Scope)}
TOKENS = {scope: new_token(f"{scope}-token", [scope], secret) for scope, secret in SECRETS.items()}


@dataclass
class Clock:
    """Time that tests move, in seconds."""

    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """An application, and what was logged."""

    app: FastAPI
    node: Node
    runner: Runner
    settings: HttpSettings
    clock: Clock
    ticks: Clock
    log: list[tuple[str, dict[str, object]]]
    base: str = "http://127.0.0.1"
    peer: tuple[str, int] = ("192.0.2.1", 4321)
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        """One request."""
        return asyncio.run(self.ask_soon(method, path, **given))

    async def ask_soon(self, method: str, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        transport = httpx.ASGITransport(self.app, client=self.peer)
        async with httpx.AsyncClient(
            transport=transport, base_url=self.base, headers=self.headers, trust_env=False
        ) as client:
            return await client.request(method, path, **given)

    def get(self, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        return self.ask("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:  # noqa: ANN401
        return self.ask("POST", path, **given)

    def query(self, text: str, accept: str | None = None, /, **fields: Any) -> httpx.Response:  # noqa: ANN401
        """A query by GET."""
        headers = {} if accept is None else {"Accept": accept}
        return self.get("/sparql", params={"query": text, **fields}, headers=headers)

    def events(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.log if event == name]

    def made(self, runner: Runner | None = None, **changed: Any) -> Site:  # noqa: ANN401
        """The same with other settings, and no requests so far."""
        return site_of(self.node, runner or self.runner, replace(self.settings, **changed))


def walk(site: Site, where: str) -> list[dict[str, Any]]:
    """All items of a list, part by part."""
    found: list[dict[str, Any]] = []
    following: str | None = where
    while following is not None:
        part = site.get(following).json()
        found += part["items"]
        following = part["next"]
    return found


def bearer(scope: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[scope][0]}"}


def all_tokens() -> tuple[Token, ...]:
    return tuple(token for _, token in TOKENS.values())


def site_of(
    node: Node,
    runner: Runner,
    settings: HttpSettings | None = None,
    private: PrivateAssets | None = None,
    known: NodeKnowledge | None = None,
) -> Site:
    settings = settings or HttpSettings(tokens=all_tokens())
    log: list[tuple[str, dict[str, object]]] = []
    clock = Clock(node.block.time + 30)

    def keep(event: str, /, **fields: object) -> None:
        log.append((event, fields))

    ticks = Clock(0.0)
    app = make_app(node, runner, settings, clock, private=private, ticks=ticks, log=keep)
    context_of(app).known = known
    return Site(app, node, runner, settings, clock, ticks, log)


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that tests only read."""
    with world(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="session")
def shared_runner(shared_node: Node) -> Iterator[InProcess]:
    runner = InProcess(shared_node.store.pages)
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def shared_site(shared_node: Node, shared_runner: InProcess) -> Site:
    return site_of(shared_node, shared_runner, HttpSettings(tokens=all_tokens(), requests_burst=1_000_000))


@pytest.fixture
def site(shared_site: Site) -> Site:
    """An application over the node that tests only read."""
    shared_site.log.clear()
    shared_site.clock.now = shared_site.node.block.time + 30
    return shared_site


@pytest.fixture
def own(tmp_path: Any) -> Iterator[Site]:  # noqa: ANN401 - a path
    """An application over a node of the test's own."""
    with world(tmp_path) as node:
        runner = InProcess(node.store.pages)
        yield site_of(node, runner)
        runner.close()
