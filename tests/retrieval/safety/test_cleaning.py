from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.safety import FENCE, clean
from retrieval.safety.cleaning import MARKS_MAX, RAW_CHARS_MAX, TEXT_CHARS_MAX
from tests.retrieval.safety.attacks import ATTACKS

PIECES = [
    "<|im_start|>", "<|", "|>", "<", ">", "[INST]", "[", "]", "<<SYS>>", "###", "#", "```", "---", "System:", "user :",
    ":", "\n", "\r\n", "\u2028", "\u200b", "\u202e", "\ufe0f", "\u0301", "\U000e0041", "\u2026", "\u27e6", "\u27e7",
    "{{", "}}", "a", "b ", "A", " ", "0x0A", "\uff1a", "e\u0301", "\u212b", "\ue000", "\x00", "\ud800", "=", "\u1fef",
]  # fmt: skip

texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join)


@given(texts, st.integers(0, 40))
@settings(max_examples=120, deadline=None)
def test_cleaning_what_is_clean_changes_nothing(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert clean(clean(text), TEXT_CHARS_MAX) == clean(text)


@given(texts)
@settings(max_examples=80, deadline=None)
def test_clean_text_is_one_visible_line_without_control_tokens(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) <= TEXT_CHARS_MAX
    assert not {unicodedata.category(char) for char in cleaned} & {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == " ".join(cleaned.split())
    for token in ("<|", "[INST]", "<<", "##", "```", "---", "{{", "</", *FENCE):
        assert token not in cleaned


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<s>", "</s>", "<unk>",
        "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<think>",
        "<tool_call>", "<0x0A>", "[gMASK]", "[TOOL_CALLS]", "### Instruction", "<|<|im_start|>im_start|>",
        "[[INST]INST]", "<\u200b|im_start|>", "[IN\u200bST]", "<\u2060s>",
    ],
)  # fmt: skip
def test_tokens_of_chat_templates_do_not_survive(token: str) -> None:
    cleaned = clean(f"before {token} after")
    assert not any(part in cleaned for part in ("<", "[INST", "[/INST", "[gMASK", "[TOOL", "##"))
    assert cleaned.startswith("before")


@pytest.mark.parametrize(
    "role", ["System", "ASSISTANT", "user", "Human", "Question", "Answer", "Frage", "система", "用户"]
)
def test_no_text_opens_a_turn_of_the_conversation(role: str) -> None:
    for colon in (":", " :", "\uff1a", "::"):
        assert clean(f"x\n{role}{colon} hi") == f"x {role} - hi"


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d", "p <0.05", "x <= y", "C# and F#", "Æther \u2013 12°", "naïve café", "O'Neill & Sons (1999)",
        "北京市", "x - y", "1..5", "[sic]", "AT&T {a}",
    ],
)  # fmt: skip
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_length_at_the_limit_and_one_beyond() -> None:
    assert clean("a" * TEXT_CHARS_MAX) == "a" * TEXT_CHARS_MAX
    cut = clean("a" * (TEXT_CHARS_MAX + 1))
    assert cut == "a" * (TEXT_CHARS_MAX - 1) + "\u2026"
    assert clean("one two three", 9) == "one two\u2026"
    assert [clean("abc", limit) for limit in (0, 1, 2, 3)] == ["", "a", "a\u2026", "abc"]
    assert clean("a " * RAW_CHARS_MAX, 3 * RAW_CHARS_MAX) == ("a " * (RAW_CHARS_MAX // 2)).strip()


def test_marks_do_not_pile_up() -> None:
    assert clean("a" + "\u0316" * 50) == "a" + "\u0316" * MARKS_MAX
    assert clean("tie\u0302\u0323ng") == unicodedata.normalize("NFC", "tie\u0302\u0323ng")


@pytest.mark.parametrize("text", ATTACKS)
def test_attacks_become_one_short_line(text: str) -> None:
    cleaned = clean(text)
    assert "\n" not in cleaned
    assert "<|" not in cleaned
    assert len(cleaned) <= TEXT_CHARS_MAX
