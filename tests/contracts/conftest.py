"""A fresh registry for each test: a snapshot of one deployment, rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contracts.onchain import OnChain

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def deployed() -> OnChain:
    return OnChain()


@pytest.fixture
def chain(deployed: OnChain) -> Iterator[OnChain]:
    with deployed.env.anchor():
        yield deployed
