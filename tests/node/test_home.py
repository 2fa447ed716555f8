"""A publisher's home: what is written is read back, and nothing signed is ever replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from dkg.chain.commit import Commit, Domain, SignedCommit
from dkg.chain.secp import address_of
from dkg.client.settings import ChainSettings
from dkg.errors import InputError, StoreError
from node.home import Home

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"\x11" * 32
SETTINGS = ChainSettings(31337, "0x" + "aa" * 20, ["http://127.0.0.1:8545"])
COMMIT = Commit(address_of(KEY), 1, b"\1" * 32, 5, bytes(32), 1)
SIGNED = SignedCommit.make(Domain(31337, b"\xaa" * 20), COMMIT, KEY)


def test_settings_and_commits_are_read_back(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home")
    home.keep_chain(SETTINGS)
    home.keep_commit(SIGNED)
    assert (home.chain(), home.commit(1), home.commit(2)) == (SETTINGS, SIGNED, None)
    assert home.chain().domain == SIGNED.domain


def test_a_second_commit_with_one_number_is_never_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.keep_commit(SIGNED)
    home.keep_commit(SIGNED)
    other = SignedCommit.make(SIGNED.domain, replace(COMMIT, root=b"\2" * 32), KEY)
    with pytest.raises(StoreError, match="another signed commit number 1"):
        home.keep_commit(other)
    assert home.commit(1) == SIGNED


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 0},
        {"chain_id": "1"},
        {"registry": "0x12"},
        {"registry": 5},
        {"need": 0},
        {"need": 2},
        {"endpoints": "http://x"},
        {"endpoints": [1]},
        {"first_block": -1},
        {"finality_depth": -1},
        {"finality_depth": 10_001},
        {"finality_depth": True},
        {"publisher": "0x1"},
        {"publisher": 1},
        {"unknown": 1},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    home = Home(tmp_path)
    home.keep_chain(SETTINGS)
    found = json.loads((tmp_path / "chain.json").read_text())
    (tmp_path / "chain.json").write_text(json.dumps(found | change))
    with pytest.raises(InputError):
        home.chain()


def test_settings_at_their_limits_are_taken(tmp_path: Path) -> None:
    home = Home(tmp_path)
    settings = replace(
        SETTINGS, chain_id=2**53 - 1, finality_depth=10_000, need=1, first_block=2**63, publisher="0x" + "bb" * 20
    )
    home.keep_chain(settings)
    assert home.chain() == settings


def test_no_settings_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dkg chain deploy"):
        Home(tmp_path).chain()


def test_a_damaged_commit_is_an_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.keep_commit(SIGNED)
    (tmp_path / "commits" / "1").write_bytes(SIGNED.encode()[:-1])
    with pytest.raises(StoreError, match="damaged"):
        home.commit(1)


def test_the_home_is_found_by_option_environment_or_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.delenv("DKG_HOME", raising=False)
    assert str(Home.find(None).path) == "/h/.dkg"
    monkeypatch.setenv("DKG_HOME", "/env")
    assert str(Home.find(None).path) == "/env"
    assert str(Home.find("~/x").path) == "/h/x"
