from __future__ import annotations

from retrieval.index.vocabulary import Vocabulary

WORDS = Vocabulary([("byron", 3), ("lovelace", 1), ("london", 2), ("ada", 1), ("1815", 1), ("bryony", 1)])


def test_a_word_with_a_typo_is_taken_for_those_that_are_near() -> None:
    assert WORDS.meant("byrom") == ["byron"]
    assert WORDS.meant("bryon") == ["bryony", "byron"]
    assert WORDS.meant("lovelcae") == ["lovelace"]


def test_a_short_word_and_a_number_are_taken_for_nothing_else() -> None:
    assert WORDS.meant("adb") == WORDS.meant("1816") == WORDS.meant("x" * 100) == []


def test_two_typos_are_too_many_for_a_short_word() -> None:
    assert WORDS.meant("lxndxn") == []
    assert WORDS.meant("lvelece") == []
    assert WORDS.meant("lovxlxce") == ["lovelace"]
