"""One development chain for all tests here, as it was after the registry's deployment each time; anvil where asked."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest

from node.devnet.chain import devnet
from tests.chain.registry import Registry
from tests.chain.rpc import Rpc
from tests.node.publish.world import World, anvil_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def development() -> Iterator[Registry]:
    """A development chain with a registry, kept for all tests."""
    with devnet() as chain:
        yield Registry(Rpc(chain.url))


@pytest.fixture
def here(development: Registry, tmp_path: Path) -> Iterator[World]:
    """The development chain with nothing on it but the registry."""
    rpc: Rpc = development.rpc  # type: ignore[assignment]  # made above
    snapshot = rpc("evm_snapshot")
    registry = copy.copy(development)
    registry.latest = {}
    yield World(rpc.url, rpc, registry, tmp_path)
    rpc("evm_setAutomine", True)  # noqa: FBT003 - JSON
    assert rpc("evm_revert", snapshot)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    """Anvil: its base fee can be set."""
    with anvil_world(tmp_path) as made:
        yield made


@pytest.fixture(params=["devnet", "anvil"])
def either(request: pytest.FixtureRequest) -> World:
    """Both, one after the other."""
    made: World = request.getfixturevalue("real" if request.param == "anvil" else "here")
    return made
