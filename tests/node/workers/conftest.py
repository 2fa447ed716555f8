"""A store with a dataset, a view of it, and pools of workers that tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

import dkg
from dkg.client.store import SqliteStore
from node.storage.view import Views
from node.workers.settings import Settings
from tests.datasets import university
from tests.node.workers.harness import HOSTILE, Pool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.terms import Quad

OTHER = b"<https://example.org/other>"


class Data(NamedTuple):
    """A store that a writer has open, one dataset in it, and a view of that."""

    store: SqliteStore
    root: bytes
    quads: list[Quad]
    view: Path
    other: bytes
    """The second graph: a tenth of the triples of the first, and a few of its own."""

    @property
    def directory(self) -> Path:
        return self.store.directory


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Data]:
    place = tmp_path_factory.mktemp("workers")
    quads = university(60)
    quads += [(s, p, o, OTHER) for s, p, o, _ in quads[::10]]
    quads += [(b"<https://example.org/hidden>", b"<https://example.org/name>", b'"Canary"', OTHER)]
    with SqliteStore(place / "store") as store:
        root = dkg.build([quads], store)
        yield Data(store, root, quads, Views(place / "views", store).ensure(root), OTHER)


@pytest.fixture(scope="session")
def pool(data: Data) -> Iterator[Pool]:
    """Workers that have time."""
    settings = Settings(workers=2, wall_seconds=120, cpu_seconds=120, wait_seconds=120)
    with Pool(data.directory, settings, readable=[data.view.parent]) as pool:
        yield pool


@pytest.fixture(scope="session")
def hostile(data: Data) -> Iterator[Pool]:
    """Workers that somebody has taken over."""
    settings = Settings(workers=2, wall_seconds=120, cpu_seconds=120, wait_seconds=120)
    with Pool(data.directory, settings, readable=[data.view.parent], module=HOSTILE) as pool:
        yield pool
