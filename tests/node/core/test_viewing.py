"""Views that are held between questions: who reads is never in danger, and what nobody reads is in nobody's way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.dataset import build_dataset
from node.core.viewing import HOLD_S, HeldViews
from node.storage import NodeStore, ViewError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.terms import Quad


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Iterator[NodeStore]:
    with NodeStore(tmp_path / "node") as made:
        yield made


def view_of(store: NodeStore, value: str) -> bytes:
    quads: list[Quad] = [(b"<urn:s>", b"<urn:p>", f'"{value}"'.encode(), b"<urn:g>")]
    root = build_dataset([quads], store.pages)
    store.views.ensure(root)
    return root


def test_a_view_is_held_between_questions_and_is_not_deleted_until_it_is_let_go(store: NodeStore) -> None:
    root, held = view_of(store, "a"), HeldViews(store.views.directory, Clock())
    with held.reading(root) as path:
        assert path == store.views.path(root)
    assert store.views.prune([]) == []
    held.release()
    assert store.views.prune([]) == [root]
    with pytest.raises(ViewError), held.reading(root):
        pass


def test_a_view_that_is_being_read_when_it_is_let_go_is_deleted_only_after_that(store: NodeStore) -> None:
    root, held = view_of(store, "a"), HeldViews(store.views.directory, Clock())
    with held.reading(root), held.reading(root):
        held.release()
        assert store.views.prune([]) == []
    assert store.views.prune([]) == [root]


def test_a_view_that_was_put_away_is_found_out_in_time(store: NodeStore) -> None:
    clock = Clock()
    root, held = view_of(store, "a"), HeldViews(store.views.directory, clock)
    with held.reading(root):
        pass
    store.views.discard(root)
    clock.now += HOLD_S
    with pytest.raises(ViewError), held.reading(root):
        pass


def test_a_view_that_is_not_asked_any_more_is_let_go_when_another_is(store: NodeStore) -> None:
    clock = Clock()
    old, new = view_of(store, "a"), view_of(store, "b")
    held = HeldViews(store.views.directory, clock)
    with held.reading(old):
        pass
    clock.now += HOLD_S
    with held.reading(new):
        pass
    assert store.views.prune([new]) == [old]
    held.release()


def test_what_has_no_view_holds_nothing(store: NodeStore) -> None:
    held = HeldViews(store.views.directory, Clock())
    root = build_dataset([[(b"<urn:s>", b"<urn:p>", b"<urn:o>", b"<urn:g>")]], store.pages)
    for _ in range(2):
        with pytest.raises(ViewError), held.reading(root):
            pass
    store.views.ensure(root)
    with held.reading(root) as path:
        assert path.exists()
    held.release()
