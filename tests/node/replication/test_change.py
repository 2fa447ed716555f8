"""A change as quads is small, and counts only if it makes the tree that is anchored."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dkg.pages import MemoryPageStore, StoredPages
from node.replication import change as change_module
from node.replication.change import (
    Keys,
    TooLargeError,
    apply_change,
    change_between,
    pack_change,
    unpack_change,
)
from node.replication.complete import complete_change
from node.replication.errors import NotHeldError, PeerError
from node.replication.limits import CHANGE_QUADS_MAX
from node.replication.messages import Change
from node.replication.squeeze import squeezed
from tests.node.replication.datasets import changed, dataset, keys, quads

if TYPE_CHECKING:
    from collections.abc import Callable


def packed(gone: list[bytes], come: list[bytes]) -> Change:
    data = b"".join(len(key).to_bytes(4, "little") + key for key in (*gone, *come))
    return Change(len(gone), len(come), len(data), squeezed(data))


def test_a_change_brings_the_old_dataset_to_the_new_one_page_by_page() -> None:
    source, new = changed(200, 20)
    before, old = dataset(200)
    store = MemoryPageStore()
    store.pages.update(before.pages)
    keys = unpack_change(pack_change(source, old.root, new.root))
    assert (len(keys.gone), len(keys.come)) == (20, 20)
    page = StoredPages(source).root(new.root)
    fresh = apply_change(store, old.root, page, keys)
    assert store.pages == before.pages  # so far it leaves no trace
    complete_change(store, old.root, new.root, page, keys, fresh)
    assert store.pages == source.pages


def test_a_thousand_changed_quads_are_a_message_of_little_more_than_their_text_compressed() -> None:
    source, new = changed(2000, 500)
    _, old = dataset(2000)
    message = pack_change(source, old.root, new.root).encode()
    pages = StoredPages(source)
    found = change_between(pages, old.root, new.root)
    text = squeezed(b"".join([*found.gone, *found.come]))
    assert len(message) < 1.3 * len(text)


@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_a_change_from_a_dataset_to_itself_or_back_is_right_too(count: int) -> None:
    source, new = changed(200, count) if count else dataset(200)
    _, old = dataset(200)
    forward = change_between(StoredPages(source), old.root, new.root)
    assert change_between(StoredPages(source), new.root, old.root) == Keys(forward.come, forward.gone)


def test_a_dataset_that_is_not_there_is_not_held() -> None:
    before, old = dataset(200)
    _, new = changed(200, 20)
    with pytest.raises(NotHeldError, match="no dataset"):
        pack_change(before, old.root, new.root)


def test_a_change_of_too_many_quads_is_no_small_change() -> None:
    source, new = changed(2000, CHANGE_QUADS_MAX // 2)
    _, old = dataset(2000)
    assert pack_change(source, old.root, new.root).gone == CHANGE_QUADS_MAX // 2
    source, new = changed(2000, CHANGE_QUADS_MAX // 2 + 1)
    with pytest.raises(TooLargeError, match="no small change"):
        pack_change(source, old.root, new.root)


def test_a_change_that_takes_too_many_pages_to_find_is_no_small_change(monkeypatch: pytest.MonkeyPatch) -> None:
    source, new = changed(200, 20)
    _, old = dataset(200)
    monkeypatch.setattr(change_module, "CHANGE_PAGES_MAX", 10)
    with pytest.raises(TooLargeError, match="more than 10 pages"):
        pack_change(source, old.root, new.root)


def of(message: Change, **fields: int | bytes) -> Change:
    values = {"gone": message.gone, "come": message.come, "size": message.size, "body": message.body}
    return Change(**(values | fields))  # type: ignore[arg-type]  # the fields of a message


A, B, C = sorted(keys("spog", quads(3)[:3]))
BAD: list[tuple[str, Callable[[], Change]]] = [
    ("descending", lambda: packed([B, A], [])),
    ("twice", lambda: packed([A, A], [])),
    ("gone and come", lambda: packed([A], [A])),
    ("no quad", lambda: packed([], [b"no quad"])),
    ("empty key", lambda: packed([b""], [])),
    ("one key too many announced", lambda: of(packed([A], [B]), come=2)),
    ("one key too few announced", lambda: of(packed([A], [B, C]), come=1)),
    ("other size", lambda: of(packed([A], [B]), size=5)),
    ("no frame", lambda: of(packed([A], [B]), body=b"junk")),
    ("endless key", lambda: Change(1, 0, 8, squeezed(b"\xff\xff\xff\xffabcd"))),
    ("length alone", lambda: Change(1, 0, 3, squeezed(b"\0\0\0"))),
    ("too many of both", lambda: of(packed([A], [B]), gone=CHANGE_QUADS_MAX, come=1)),
]


@pytest.mark.parametrize(("what", "message"), BAD, ids=[what for what, _ in BAD])
def test_a_change_that_no_honest_peer_sends_is_the_peer_s_fault(what: str, message: Callable[[], Change]) -> None:
    assert what
    with pytest.raises(PeerError):
        unpack_change(message())


def test_its_well_formed_twin_is_read() -> None:
    assert unpack_change(packed([A], [B, C])) == Keys([A], [B, C])
    assert unpack_change(packed([], [])) == Keys([], [])


def test_every_lie_about_a_change_is_found_out_before_anything_is_stored() -> None:
    source, new = changed(200, 20)
    before, old = dataset(200)
    page = StoredPages(source).root(new.root)
    right = change_between(StoredPages(source), old.root, new.root)
    store = MemoryPageStore()
    store.pages.update(before.pages)
    others = keys("spog", quads(201)[-30:])
    rng = random.Random(1)
    lies = 0
    for _ in range(200):
        gone, come = set(right.gone), set(right.come)
        for part in rng.choice([[gone], [come], [gone, come]]):
            part.discard(rng.choice(sorted(part)))
            if rng.random() < 0.5:
                part.add(rng.choice(others))
        lie = Keys(sorted(gone - come), sorted(come - gone))
        if lie == right:
            continue
        with pytest.raises(PeerError, match="gives a tree"):
            apply_change(store, old.root, page, lie)
        lies += 1
    assert lies > 190
    assert store.pages == before.pages


def test_a_change_that_takes_out_what_is_not_there_and_puts_in_what_is_changes_nothing_else() -> None:
    before, old = dataset(200)
    page = StoredPages(before).root(old.root)
    there = keys("spog", quads(200)[:5])
    assert set(apply_change(before, old.root, page, Keys([A + b"\0"], sorted(there)))) <= set(before.pages)
