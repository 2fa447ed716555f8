"""Sites with private parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.node.private.site import PrivateSite, site_with_private_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own(tmp_path: Path) -> Iterator[PrivateSite]:
    """A site of the test's own."""
    with site_with_private_parts(tmp_path) as site:
        yield site


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSite]:
    """A site that tests only ask."""
    with site_with_private_parts(tmp_path_factory.mktemp("private")) as site:
        yield site
