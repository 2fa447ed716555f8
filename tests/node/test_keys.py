"""Key files: read by other wallets, never in the clear, never overwritten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from eth_account import Account

from dkg.chain.secp import address_of
from dkg.errors import InputError, StoreError
from node.keys import KEY_FILE_BYTES_MAX, KeyFileError, address_in, create, unlock

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"\x11" * 32
PASSWORD = "correct horse battery"
WORK = 2  # scrypt's N: these tests are not about its slowness


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "key.json"
    create(path, PASSWORD, KEY, work=WORK)
    return path


def test_a_key_is_read_back(file: Path) -> None:
    assert unlock(file, PASSWORD) == KEY
    assert address_in(file) == address_of(KEY)


def test_another_wallet_reads_the_file(file: Path) -> None:
    assert bytes(Account.decrypt(json.loads(file.read_text()), PASSWORD)) == KEY


def test_the_key_is_not_in_the_file_and_others_cannot_read_it(file: Path) -> None:
    assert KEY.hex() not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_wrong_password_is_an_error_that_shows_neither_password_nor_key(file: Path) -> None:
    with pytest.raises(KeyFileError, match="does not open") as caught:
        unlock(file, "wrong horse battery")
    assert caught.value.__cause__ is None
    assert "horse" not in str(caught.value)


def test_a_key_is_never_overwritten(file: Path) -> None:
    before = file.read_bytes()
    with pytest.raises(InputError, match="already"):
        create(file, PASSWORD, b"\x12" * 32, work=WORK)
    assert file.read_bytes() == before


@pytest.mark.parametrize(("password", "reason"), [("7 chars", "too short"), ("x" * 1025, "too long")])
def test_passwords_have_limits(tmp_path: Path, password: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        create(tmp_path / "key.json", password, KEY, work=WORK)
    assert not (tmp_path / "key.json").exists()


def test_a_file_with_another_address_is_refused(file: Path) -> None:
    found = json.loads(file.read_text()) | {"address": "00" * 20}
    file.write_text(json.dumps(found))
    with pytest.raises(KeyFileError, match="another key"):
        unlock(file, PASSWORD)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"{}", b'{"version": 3}', b'{"crypto": 1}', b"\xff"])
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        unlock(path, PASSWORD)


def test_no_damaged_field_gives_another_key(file: Path) -> None:
    whole = json.loads(file.read_text())
    for name in whole["crypto"]:
        damaged = json.loads(json.dumps(whole))
        damaged["crypto"][name] = "nonsense"
        file.write_text(json.dumps(damaged))
        try:
            found = unlock(file, PASSWORD)
        except KeyFileError:
            continue
        assert (name, found) == ("cipher", KEY)  # the one field that the library does not read


def test_a_file_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(b"{" + b" " * KEY_FILE_BYTES_MAX + b"}")
    with pytest.raises(KeyFileError, match="no Ethereum key file"):
        unlock(path, PASSWORD)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="dkg key new"):
        unlock(tmp_path / "key.json", PASSWORD)


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        create(tmp_path / "file" / "key.json", PASSWORD, KEY, work=WORK)
