from __future__ import annotations

import numpy as np
import pytest

from retrieval.index.relations import FORWARD_ONLY, Relations, Unit
from tests.retrieval.family import LABEL, iri

TEXTS = {
    0: ("parents",), 1: ("children",), 2: ("place of birth",), 3: ("place of death",), 4: ("director",), 5: ("label",)
}  # fmt: skip
TERMS = {0: iri("p0"), 1: iri("p1"), 2: iri("p2"), 3: iri("p3"), 4: iri("p4"), 5: LABEL}


def _fit(relations: Relations, text: str, *concepts: str) -> list[float]:
    found = relations.fits(Unit(text, concepts, 1.0))
    return np.max([row for _, row in found], axis=0).round(2).tolist() if found else []


@pytest.fixture
def relations() -> Relations:
    return Relations(TERMS, TEXTS, None)


def test_a_word_for_a_parent_fits_parents_forward_and_children_back(relations: Relations) -> None:
    fit = _fit(relations, "mother", "parent")
    assert fit[0] == 1.0
    assert fit[6 + 1] == pytest.approx(FORWARD_ONLY)
    assert fit[1] == fit[6 + 0] == 0.0


def test_a_word_that_tells_more_of_a_label_fits_it_better(relations: Relations) -> None:
    birth, place = _fit(relations, "born", "birth"), _fit(relations, "where", "place")
    assert birth[2] > place[2] > 0
    assert birth[3] == 0
    assert place[3] > 0


def test_words_of_one_stem_or_one_beginning_fit(relations: Relations) -> None:
    assert _fit(relations, "directed", "director")[4] == 1.0
    assert 0.5 < _fit(relations, "directorate")[4] < 1.0
    assert _fit(relations, "births")[2] > 0
    assert relations.knows("birth")
    assert not relations.knows("zzz")
    assert relations.fits(Unit("zzz", (), 1.0)) == []


def test_labels_are_no_steps(relations: Relations) -> None:
    assert relations.naming == {5}
    assert _fit(relations, "label") == []


class _Embedder:
    """Two directions: words that begin with p, and others."""

    asked = 0

    def __call__(self, texts: list[str], *, keep: bool = False) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        del keep
        self.asked += 1
        return np.asarray([[1, 0] if " p" in text else [0, 1] for text in texts], dtype=np.float32)


def test_a_strange_word_fits_the_relations_whose_vectors_are_near_and_is_compared_once() -> None:
    embed = _Embedder()
    relations = Relations(TERMS, TEXTS, embed)
    fit = _fit(relations, "pabc")
    assert fit[0] == fit[2] == fit[3] > fit[6] > 0
    assert fit[1] == fit[4] == fit[5] == 0
    asked = embed.asked
    assert _fit(relations, "pabc") == fit
    assert embed.asked == asked
    _fit(relations, "mother", "parent")
    assert embed.asked == asked  # a word that is known needs no vector
