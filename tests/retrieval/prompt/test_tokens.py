"""The estimate of tokens: never below what the one tokenizer at hand counts."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from retrieval.llm.local import LocalModel
from retrieval.prompt.tokens import estimate
from tests.data import data_file

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    with LocalModel() as running:
        yield running


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "a", "a  b   c", "\n\n\n", "ffffffffffffffff", "AAAAAAAAAAAA", "0x1234567890abcdef", "1000000",
        "https://example.org/a/b?c=d#e_f-g", "Київ є столицею України", "東京は日本の首都です", "القاهرة عاصمة مصر",
        "München liegt in Bayern", "\u200b\u200c", "🎉🎉👩\u200d👩\u200d👧", "a\u0301\u0302\u0303", "\ud800",
    ],
)  # fmt: skip
def test_odd_texts_are_not_counted_too_low(model: LocalModel, text: str) -> None:
    assert estimate(text) >= model.count(text)


def test_sentences_are_not_counted_too_low_and_not_much_too_high(model: LocalModel) -> None:
    triples = data_file("pathquestion/2H-kb.txt").read_text().replace("_", " ").splitlines()[::6]
    facts = [f"{n}. {s}'s {p} is {o}." for n, (s, p, o) in enumerate((line.split("\t") for line in triples), 1)]
    with gzip.open(data_file("factbench/labels-en.nt.gz"), "rt") as file:
        labels = ["It is called " + line.split('"')[1] for line in file if '"' in line][::20]
    for lines in (facts, labels):
        texts = ["\n".join(lines[at : at + 5]) for at in range(0, len(lines), 5)]
        assert not [text for text in texts if estimate(text) < model.count(text)]
        assert sum(map(estimate, texts)) < 1.4 * sum(map(model.count, texts))
