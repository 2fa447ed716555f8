"""Tokens: kept as digests, found in constant time, in files that only their owner reads."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from dkg.errors import InputError, StoreError
from node.http import HttpSettings, Scope, Token, new_token, read_tokens, write_tokens
from node.http.tokens import TOKEN_FILE_BYTES_MAX, TOKENS_MAX, find_token

if TYPE_CHECKING:
    from pathlib import Path

SECRET = bytes(range(32))


def test_a_token_is_found_and_no_other() -> None:
    text, token = new_token("ci", [Scope.PUBLISH], SECRET)
    other_text, other = new_token("other", [], bytes(32))
    assert find_token((other, token), text) == token
    assert find_token((other, token), other_text) == other
    for wrong in ("", text[:-1], text + "x", text.upper(), "é", "\ud800", "x" * 100_000, token.digest):
        assert find_token((other, token), wrong) is None
    assert find_token((), text) is None


def test_what_the_node_keeps_does_not_tell_the_token() -> None:
    text, token = new_token("ci", [Scope.PUBLISH], SECRET)
    assert text.startswith("dkg_")
    assert text not in repr(token)
    assert len(text) == 4 + 43
    with pytest.raises(ValueError, match="32 bytes"):
        new_token("ci", [], b"short")


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "-a", "a\n"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="is no name for a token"):
        Token(name, "0" * 64, frozenset())


def test_digests_that_are_none() -> None:
    with pytest.raises(InputError, match="not a SHA-256"):
        Token("a", "0" * 63, frozenset())


def test_two_of_one_name_and_too_many() -> None:
    token = Token("a", "0" * 64, frozenset())
    with pytest.raises(InputError, match="2 tokens have the name 'a'"):
        HttpSettings(tokens=(token, token))
    many = tuple(Token(f"t{number}", "0" * 64, frozenset()) for number in range(TOKENS_MAX + 1))
    HttpSettings(tokens=many[:-1])
    with pytest.raises(InputError, match="are the most"):
        HttpSettings(tokens=many)


def test_a_file_of_tokens(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    assert read_tokens(file) == ()
    tokens = tuple(
        new_token(f"t{number}", [Scope.ADMIN, Scope.METRICS], bytes([number]) * 32)[1] for number in range(3)
    )
    write_tokens(file, tokens)
    assert read_tokens(file) == tokens
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    write_tokens(file, tokens[:1])
    assert read_tokens(file) == tokens[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"tokens": 1}',
        '{"tokens": [{"name": "a"}]}',
        json.dumps({"tokens": [{"name": "a", "sha256": "0" * 64, "scopes": ["root"]}]}),
        json.dumps({"tokens": [{"name": "a", "sha256": "0" * 64, "scopes": []}] * 2}),
        " " * (TOKEN_FILE_BYTES_MAX + 1),
    ],
)
def test_what_is_no_file_of_tokens(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(InputError):
        read_tokens(file)


def test_a_place_where_nothing_can_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be read"):
        read_tokens(tmp_path)
    with pytest.raises(StoreError, match="cannot be written"):
        write_tokens(tmp_path / "file" / "tokens.json", ())
