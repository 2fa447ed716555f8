"""Vectors: the right ones found, gone when removed, filtered before the search; a file is whole or an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dkg.errors import InputError, StoreError
from retrieval import sketch, vectors
from retrieval.vectors import Vectors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WIDE = 48


def _rows(count: int, seed: int = 1, dimension: int = WIDE) -> NDArray[np.float32]:
    """Vectors of length one that differ more in some directions than in others, as those of texts do."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    rows *= np.linspace(2, 0.2, dimension, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _made(rows: NDArray[np.float32]) -> Vectors:
    made = Vectors(rows.shape[1], "test")
    made.add(np.arange(len(rows)), rows)
    return made


@pytest.fixture
def short_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few vectors count as many, so that searches go by short forms, which here leave something out."""
    monkeypatch.setattr(vectors, "EXACT_ROWS_MAX", 100)
    monkeypatch.setattr(sketch, "WIDTH", 32)
    monkeypatch.setattr(sketch, "WHOLE_MIN", 150)


# --- the search -------------------------------------------------------------------------------------------------


def test_an_exact_search_finds_the_best_in_order() -> None:
    rows = _rows(3000)
    ids, scores = _made(rows).search(rows[5], 10)
    exact = rows @ rows[5]
    assert ids[0] == 5
    assert np.abs(scores - exact[ids]).max() < 0.01
    assert exact[ids].min() >= np.sort(exact)[-12]
    assert (np.diff(scores) <= 0).all()


@pytest.mark.usefixtures("short_forms")
def test_a_search_by_short_forms_finds_nearly_what_an_exact_one_does() -> None:
    rows = _rows(4000)
    made = _made(rows)
    found = 0
    for number in range(50):
        exact = np.argsort(-(rows @ rows[number]))[:10]
        found += len(np.intersect1d(made.search(rows[number], 10)[0], exact))
    assert found >= 0.95 * 500


def test_equal_vectors_come_by_their_ids() -> None:
    row = _rows(1)
    made = Vectors(WIDE, "test")
    made.add([9, 4, 7], np.repeat(row, 3, axis=0))
    assert made.search(row[0], 2)[0].tolist() in ([4, 7], [4, 9], [7, 9])
    assert made.search(row[0], 3)[0].tolist() == [4, 7, 9]


def test_nothing_is_like_a_row_of_zeros_or_the_opposite() -> None:
    rows = _rows(2)
    rows[1] = 0
    made = _made(rows)
    assert made.search(rows[1], 5)[0].tolist() == []
    assert made.search(-rows[0], 5)[0].tolist() == []
    assert made.search(rows[0], 5)[0].tolist() == [0]


@pytest.mark.parametrize("k", [0, 1, 3, 4])
def test_no_more_are_found_than_are_asked_for_or_there(k: int) -> None:
    row = _rows(1)
    assert len(_made(np.repeat(row, 3, axis=0)).search(row[0], k)[0]) == min(k, 3)


def test_an_empty_one_finds_nothing() -> None:
    made = Vectors(WIDE, "test")
    assert len(made.search(_rows(1)[0], 5)[0]) == 0
    assert made.remove([1, 2]) == 0
    assert made.similar(_rows(1)[0], [3]).tolist() == [0]


def test_similar_gives_the_cosine_of_each_id_and_zero_for_strangers() -> None:
    rows = _rows(200)
    found = _made(rows).similar(rows[3], [3, 999, 17])
    assert found[0] == pytest.approx(1, abs=0.01)
    assert found[1] == 0
    assert found[2] == pytest.approx(float(rows[3] @ rows[17]), abs=0.01)


# --- who may be found -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True])
def test_a_filter_is_applied_before_the_search(many: bool, request: pytest.FixtureRequest) -> None:  # noqa: FBT001
    if many:
        request.getfixturevalue("short_forms")
    rows = _rows(2000)
    made = _made(rows)
    least = np.argsort(rows @ rows[0])[:1000]
    like = [number for number in least if rows[number] @ rows[0] > 0.02][-120:]
    allowed = np.zeros(2000, dtype=np.bool_)
    allowed[like] = True
    found, _ = made.search(rows[0], 120, allowed)
    assert len(found) >= 0.95 * len(like)
    assert set(found.tolist()) <= set(like)


def test_ids_beyond_the_end_of_the_filter_may_not_be_found() -> None:
    rows = np.repeat(_rows(1), 5, axis=0)
    made = _made(rows)
    assert made.search(rows[0], 5, np.ones(3, dtype=np.bool_))[0].tolist() == [0, 1, 2]
    assert made.search(rows[0], 5, np.ones(0, dtype=np.bool_))[0].tolist() == []
    assert made.search(rows[0], 5, np.zeros(9, dtype=np.bool_))[0].tolist() == []


def test_the_limit_of_exact_searches_is_at_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT_ROWS_MAX", 300)
    made = _made(_rows(300))
    made.prepare()
    assert made._sketch is None
    made.add([300], _rows(1, seed=2))
    made.prepare()
    assert made._sketch is not None


# --- changes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True])
def test_what_is_removed_is_gone_and_what_is_left_is_found(many: bool, request: pytest.FixtureRequest) -> None:  # noqa: FBT001
    if many:
        request.getfixturevalue("short_forms")
    rows = _rows(1000)
    made = _made(rows)
    made.prepare()
    gone = np.arange(0, 1000, 3)
    assert made.remove(gone) == len(gone)
    assert made.remove(gone) == 0
    assert len(made) == 1000 - len(gone)
    for number in range(100):
        ids, scores = made.search(rows[number], 1)
        assert (ids[0] == number) == (number % 3 != 0)
        assert scores[0] > 0.98 or number % 3 == 0
    assert not np.isin(made.search(rows[0], 1000)[0], gone).any()


def test_adding_again_replaces() -> None:
    old, new = _rows(2)
    made = Vectors(WIDE, "test")
    made.add([7], old[None])
    made.add([7, 8], np.stack([new, old]))
    assert len(made) == 2
    assert made.search(new, 1)[0].tolist() == [7]
    assert made.search(old, 1)[0].tolist() == [8]


@pytest.mark.usefixtures("short_forms")
def test_short_forms_are_made_anew_when_the_number_has_doubled() -> None:
    rows = _rows(900)
    made = _made(rows[:300])
    made.prepare()
    first = made._sketch
    made.add(np.arange(300, 600), rows[300:600])
    made.prepare()
    assert made._sketch is first
    made.add(np.arange(600, 900), rows[600:])
    assert made.search(rows[899], 1)[0].tolist() == [899]
    assert made._sketch is not first


Change = st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=12, unique=True), st.integers(0, 5))


@given(st.lists(Change, max_size=12), st.booleans())
def test_any_changes_leave_what_a_dictionary_would(changes: list[tuple[bool, list[int], int]], many: bool) -> None:  # noqa: FBT001
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "EXACT_ROWS_MAX", 3 if many else 1000)
        made = Vectors(8, "test")
        expected: dict[int, NDArray[np.float32]] = {}
        for adds, ids, seed in changes:
            if adds:
                rows = _rows(len(ids), seed, 8)
                made.add(ids, rows)
                expected |= dict(zip(ids, rows, strict=True))
            else:
                assert made.remove(ids) == len(expected.keys() & set(ids))
                expected = {key: row for key, row in expected.items() if key not in ids}
            made.prepare()
        assert sorted(made.ids.tolist()) == sorted(expected)
        for key, row in expected.items():
            found, scores = made.search(row, len(expected))
            assert key in found
            assert scores[0] == pytest.approx(1, abs=0.02)


# --- wrong input ------------------------------------------------------------------------------------------------


def test_wrong_input_changes_nothing() -> None:
    rows = _rows(3)
    made = _made(rows)
    endless = rows.copy()
    endless[1, 1] = np.inf
    for ids, given_rows, what in (
        ([1, 2], rows, "one row for each id"),
        ([3, 4, 5], rows[:, :-1], "one row for each id"),
        ([3, 4, 3], rows, "given twice"),
        ([3, 4, -5], rows, "negative"),
        ([3, 4, 5], endless, "infinite or none"),
    ):
        with pytest.raises(InputError, match=what):
            made.add(ids, given_rows)
    with pytest.raises(InputError, match="a vector of 48 numbers"):
        made.search(rows[0][:-1], 3)
    assert sorted(made.ids.tolist()) == [0, 1, 2]


# --- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [False, True])
def test_a_file_gives_back_what_was_saved(many: bool, tmp_path: Path, request: pytest.FixtureRequest) -> None:  # noqa: FBT001
    if many:
        request.getfixturevalue("short_forms")
    rows = _rows(500)
    made = _made(rows)
    made.remove([3])
    made.prepare()
    made.save(tmp_path / "vectors")
    read = Vectors.load(tmp_path / "vectors", WIDE, "test")
    assert (read._sketch is not None) == many
    for one in (made, read):
        one.add([3, 900], rows[[3, 4]])
        one.remove([17])
    for number in range(20):
        assert [part.tolist() for part in read.search(rows[number], 5)] == [
            part.tolist() for part in made.search(rows[number], 5)
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]


def test_an_empty_one_is_saved_and_read(tmp_path: Path) -> None:
    Vectors(WIDE, "test").save(tmp_path / "vectors")
    assert len(Vectors.load(tmp_path / "vectors", WIDE, "test")) == 0


@settings(max_examples=settings().max_examples)
@given(st.data())
def test_a_damaged_file_is_an_error_that_says_what_to_do(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged-vectors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "EXACT_ROWS_MAX", 5)
        made = _made(_rows(10, dimension=6))
        made.prepare()
    made.save(path)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    kind = data.draw(st.sampled_from(["bit", "cut", "more"]))
    if kind == "bit":
        whole[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole[:place] if kind == "cut" else whole + b"x" if kind == "more" else whole)
    with pytest.raises(StoreError, match="build the index again"):
        Vectors.load(path, 6, "test")


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    _made(_rows(3)).save(path)
    head, _, rest = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps(json.loads(head) | {"count": 10**15}).encode() + b"\n" + rest)
    with pytest.raises(StoreError, match="cut off"):
        Vectors.load(path, WIDE, "test")


def test_vectors_of_another_model_and_missing_files_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    _made(_rows(3)).save(path)
    with pytest.raises(StoreError, match="are of test, not of other"):
        Vectors.load(path, WIDE, "other")
    with pytest.raises(StoreError, match="cannot read the vectors"):
        Vectors.load(tmp_path / "nowhere", WIDE, "test")
    with pytest.raises(StoreError, match="cannot write"):
        _made(_rows(3)).save(tmp_path / "no" / "folder")
