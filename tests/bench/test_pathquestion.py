from __future__ import annotations

from collections import Counter

import pytest

from bench.retrieval import noise
from bench.retrieval.pathquestion import Question, entity, lines, spoken
from tests.data import data_file

GOLD = (("ada_of_kent", "spouse", "bo_of_kent"), ("bo_of_kent", "nationality", "kent"))
ONE = Question("what is the nation of ada of kent 's couple ?", "ada_of_kent", GOLD)
NAMES = ["ada_of_kent", "bo_of_kent", "kent", "bo"]


def test_the_same_seed_makes_the_same_noise_and_another_one_other_noise() -> None:
    assert noise.typed(ONE, 5) == noise.typed(ONE, 5)
    assert len({noise.typed(ONE, seed).text for seed in range(20)}) > 10


@pytest.mark.parametrize("seed", range(8))
def test_typos_are_in_the_name_alone_and_its_first_letter_stays(seed: int) -> None:
    text = noise.typed(ONE, seed).text
    assert text.startswith("what is the nation of a")
    assert text.endswith(" 's couple ?")


def test_an_alias_of_the_graph_is_nobody_elses() -> None:
    listed = noise.aliases([*NAMES, "ann_of_kent"])
    assert listed["ada_of_kent"] == ["kent ada of"]  # "a of kent" is Ann too
    assert listed["kent"] == []
    seen = Counter(alias for others in listed.values() for alias in others)
    assert set(seen.values()) == {1}


def test_a_part_of_a_name_is_the_shortest_that_no_other_has() -> None:
    renamed = noise.Renamed(NAMES, 5)
    assert renamed._parts("ada_of_kent") == ["ada"]
    assert {renamed.question(ONE).text for _ in range(3)} == {renamed.question(ONE).text}


def test_other_words_keep_the_name_and_the_order_of_the_path() -> None:
    text = noise.reworded(ONE, 5).text
    assert "ada of kent" in text
    assert text != ONE.text


def test_a_triple_is_a_line_and_a_name_has_a_label() -> None:
    found = list(lines(GOLD, {"kent": ["the garden"]}))
    assert found[0].startswith(entity("ada_of_kent"))
    assert sum("#label>" in line for line in found) == 3
    assert f'{entity("kent")} <http://www.w3.org/2004/02/skos/core#altLabel> "the garden"@en .' in found


def test_the_halves_of_the_questions_share_no_subject() -> None:
    file = data_file("pathquestion/PQ-2H.txt")
    subjects = {line.split("\t")[2].split("#")[0] for line in file.read_text().splitlines()}
    halves = {half: {s for s in subjects if Question("", s, ()).is_held_out is half} for half in (True, False)}
    assert min(map(len, halves.values())) > len(subjects) / 3
    assert spoken("a_b") == "a b"
