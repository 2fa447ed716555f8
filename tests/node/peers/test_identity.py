"""The host key: made once, kept, and readable by nobody else."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from libp2p.peer.id import ID

from dkg.errors import InputError, StoreError
from node.peers.identity import KEY_BYTES, host_key, key_pair

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "host.key"
    first = host_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert ID.from_pubkey(host_key(path).public_key) == ID.from_pubkey(first.public_key)
    assert ID.from_pubkey(host_key(tmp_path / "other").public_key) != ID.from_pubkey(first.public_key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "host.key"
    host_key(path)
    path.chmod(mode)
    with pytest.raises(InputError, match="others than its owner"):
        host_key(path)


@pytest.mark.parametrize(
    "text", ["", "zz", "00" * (KEY_BYTES - 1), "00" * (KEY_BYTES + 1), "00" * KEY_BYTES + "00" * 99]
)
def test_what_is_no_key_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "host.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match="no host key"):
        host_key(path)
    assert path.read_text() == text


def test_a_folder_in_the_place_of_the_key_is_the_environment_s_fault(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        host_key(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be"):
        host_key(tmp_path / "file" / "host.key")


def test_no_secret_is_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "host.key"
    host_key(path)
    secret = path.read_text().strip()
    path.write_text(secret + "00")
    with pytest.raises(InputError) as caught:
        host_key(path)
    assert secret not in str(caught.value)


def test_a_seed_has_one_key() -> None:
    assert key_pair(bytes(32)).public_key.to_bytes() == key_pair(bytes(32)).public_key.to_bytes()
