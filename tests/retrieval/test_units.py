from __future__ import annotations

from retrieval.link import Mention
from retrieval.units import UNITS_MAX, orders, units_of


def _texts(question: str) -> list[str]:
    return [unit.text for unit in units_of(question.split())]


def test_phrases_are_one_and_stop_words_none() -> None:
    assert _texts("what is the other half of the religious belief") == ["other half", "religious belief"]


def test_a_grandson_is_the_son_of_a_child() -> None:
    assert _texts("grandson") == ["son", "son"]
    assert [unit.concepts for unit in units_of(["grandmother"])] == [("parent",)] * 2


def test_mother_or_father_is_one_step() -> None:
    assert _texts("the mother or father") == ["mother"]
    assert _texts("the mother of the father") == ["mother", "father"]


def test_a_question_that_ends_with_do_asks_for_an_occupation() -> None:
    assert [unit.concepts for unit in units_of(["father", "do"])] == [("parent",), ("profession",)]


def test_what_is_nearest_to_the_name_comes_first() -> None:
    said = ["place", "of", "birth", "of", "ada", "father"]
    first, second = orders(said, Mention(0, 4, 5, 1.0, 1.0, "linked"))
    assert [unit.text for unit in first] == ["father", "birth", "place"]
    assert [unit.text for unit in second] == ["birth", "place", "father"]


def test_one_order_is_not_tried_twice() -> None:
    assert len(orders(["father", "of", "ada"], Mention(0, 2, 3, 1.0, 1.0, "linked"))) == 1


def test_the_farthest_words_of_a_long_question_are_left_out() -> None:
    said = [*(f"word{n}" for n in range(UNITS_MAX + 5)), "ada"]
    (units,) = orders(said, Mention(0, len(said) - 1, len(said), 1.0, 1.0, "linked"))
    assert [unit.text for unit in units][:1] == [f"word{UNITS_MAX + 4}"]
    assert len(units) == UNITS_MAX
