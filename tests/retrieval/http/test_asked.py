"""Requests of `/v1/retrieve`, read before anything is asked."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dkg.errors import InputError
from retrieval.http import QUESTION_CHARS_MAX, asked
from retrieval.limits import TOKENS, TOKENS_MAX, TOKENS_MIN


def test_a_question_with_and_without_a_budget() -> None:
    assert asked(b'{"question": "Who?"}') == ("Who?", TOKENS)
    assert asked(b'{"question": "Who?", "tokens": 10}') == ("Who?", 10)


def test_the_limits_and_one_past_them() -> None:
    for tokens in (TOKENS_MIN, TOKENS_MAX):
        assert asked(json.dumps({"question": "Who?", "tokens": tokens}).encode())[1] == tokens
    for wrong in (TOKENS_MIN - 1, TOKENS_MAX + 1, True, 10.0, "10", None):
        with pytest.raises(InputError, match="tokens"):
            asked(json.dumps({"question": "Who?", "tokens": wrong}).encode())
    longest = "a" * QUESTION_CHARS_MAX
    assert asked(json.dumps({"question": longest}).encode())[0] == longest
    with pytest.raises(InputError, match="characters"):
        asked(json.dumps({"question": longest + "a"}).encode())


@given(
    st.one_of(
        st.binary(max_size=200), st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
    )
)
def test_whatever_arrives_it_is_a_question_or_an_input_error(data: bytes) -> None:
    try:
        question, tokens = asked(data)
    except InputError:
        return  # and no other error
    assert question.strip()
    assert TOKENS_MIN <= tokens <= TOKENS_MAX
