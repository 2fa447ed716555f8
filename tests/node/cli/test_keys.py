"""`dkg key`: made once, encrypted, never shown; and who signs."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dkg.client.cli import main
from node.home import Home
from node.keys import unlock
from tests.node.cli.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.node.cli.conftest import Desk

Capture = pytest.CaptureFixture[str]


def test_a_new_key_is_encrypted_for_its_owner_alone_and_made_once(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    argv = ["key", "new", "--home", str(tmp_path / "home"), "--password-file", str(tmp_path / "password")]
    assert main(argv) == 0
    out, err = capsys.readouterr()
    file = Home(tmp_path / "home").key_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    key = unlock(file, PASSWORD)
    assert key.hex() not in file.read_text() + out + err
    assert PASSWORD not in file.read_text() + out + err
    before = file.read_bytes()
    assert main(argv) == 1
    assert "left alone" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_password_is_asked_for_on_a_terminal_only(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DKG_PASSWORD_FILE", raising=False)
    with Path(os.devnull).open(encoding="ascii") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["key", "new", "--home", str(tmp_path)]) == 1
    assert "--password-file" in capsys.readouterr().err
    assert not Home(tmp_path).key_file.exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "one line"),
        (b"two\nlines\n", "one line"),
        (b"short\n", "too short"),
        (b"\xff" * 9, "UTF-8"),
        (b"x" * 1025, "1024"),
    ],
    ids=["empty", "lines", "short", "bytes", "long"],
)
def test_a_bad_password_file_makes_no_key(tmp_path: Path, capsys: Capture, data: bytes, said: str) -> None:
    (tmp_path / "password").write_bytes(data)
    assert main(["key", "new", "--home", str(tmp_path), "--password-file", str(tmp_path / "password")]) == 1
    assert said in capsys.readouterr().err
    assert not Home(tmp_path).key_file.exists()


def test_the_longest_password_is_taken_and_a_windows_line_end_is_none_of_it(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "password").write_bytes(b"x" * 1024 + b"\r\n")
    assert main(["key", "new", "--home", str(tmp_path), "--password-file", str(tmp_path / "password")]) == 0
    assert unlock(Home(tmp_path).key_file, "x" * 1024)
    assert capsys.readouterr().out.startswith("0x")


def test_a_key_is_shown_by_its_address_and_never_whole(desk: Desk) -> None:
    home = desk.deployed()
    shown = desk.run("key", "show", "--home", home)
    assert shown.out.strip() == desk.address()
    assert f"did:pkh:eip155:31337:{desk.address()}" in shown.err
    assert desk.chain.accounts[0].key.hex() not in shown.out + shown.err


def test_a_wrong_password_opens_nothing_and_says_so(desk: Desk) -> None:
    home = desk.deployed()
    (desk.path / "password").write_text("another one\n")
    ran = desk.refused(home, "key", "revoke")
    assert (ran.code, "does not open with this password" in ran.err) == (1, True)


def test_a_signer_is_named_revoked_and_the_publisher_retires(desk: Desk) -> None:
    home = desk.deployed()
    file = desk.file("a.ttl", "<urn:a> <urn:p> 1 .")
    other = desk.home("signer", 1)
    chain = desk.ok("chain", "status", "--home", home)
    use = ("chain", "use", "--rpc", desk.chain.url, "--registry", chain["registry"], "--publisher", desk.address())
    desk.ok(*use, "--home", other)
    assert "may not sign" in desk.refused(other, "publish", file, "--asset", "a").err
    assert desk.signed(home, "key", "rotate", desk.address(1))["signer"] == desk.address(1)
    assert desk.signed(home, "key", "rotate", desk.address(1))["changed"] is False
    made = desk.signed(other, "publish", file, "--asset", "a")
    assert made["changed"]
    assert desk.address()[2:].lower() in made["ual"]
    assert desk.signed(other, "key", "revoke")["signer"] is None
    assert "revoked" in desk.refused(other, "publish", file, "--asset", "b").err
    assert desk.signed(home, "key", "retire")["retired"] is True
    assert "retired" in desk.refused(home, "key", "rotate", desk.address(2)).err
