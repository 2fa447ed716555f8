from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dkg.client.files import compress, decompress, proof_file_bytes_max, read_input, read_proof, replaced, write_proof
from dkg.errors import InputError, ProofError, StoreError
from dkg.limits import Budget

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Budget(pages=1, proof_bytes=1000)
MOST = proof_file_bytes_max(SMALL)


@pytest.mark.parametrize("name", ["p.car", "p.car.zst"])
def test_a_proof_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    car = bytes(range(256)) * 3
    path = tmp_path / name
    assert write_proof(str(path), car) == path.stat().st_size
    assert read_proof(str(path), SMALL) == car
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["p.car", "p.car.zst"])
def test_a_proof_at_its_limit_and_over(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    write_proof(str(path), b"a" * MOST)
    assert len(read_proof(str(path), SMALL)) == MOST
    write_proof(str(path), b"a" * (MOST + 1))
    with pytest.raises((InputError, ProofError), match=str(MOST)):
        read_proof(str(path), SMALL)


def test_a_decompression_bomb_is_not_unpacked() -> None:
    bomb = compress(bytes(100_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(ProofError, match="more than the 1000 bytes"):
        decompress(bomb, 1000)


def test_a_huge_window_is_refused() -> None:
    # Frame header: magic, descriptor without size, window descriptor 0xF8 = 2^41 bytes; then one empty last block.
    with pytest.raises(ProofError, match="does not decompress"):
        decompress(b"\x28\xb5\x2f\xfd" + b"\x00" + b"\xf8" + b"\x01\x00\x00", 1000)


def test_a_frame_cut_short_is_refused() -> None:
    frame = compress(b"a proof" * 30)
    for end in range(4, len(frame)):
        with pytest.raises(ProofError):
            decompress(frame[:end], 1000)


def test_bytes_after_the_frame_are_refused() -> None:
    frame = compress(b"a proof")
    for rest in (b"\x00", frame):
        with pytest.raises(ProofError, match="follow"):
            decompress(frame + rest, 1000)


def test_an_empty_frame_is_an_empty_proof() -> None:
    assert decompress(compress(b""), 1000) == b""


def test_a_file_of_the_longest_length(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    assert read_input(str(tmp_path / "f"), 5, "query") == b"12345"
    with pytest.raises(InputError, match="longer than the 4 bytes"):
        read_input(str(tmp_path / "f"), 4, "query")


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")
    with pytest.raises(TypeError), replaced(str(path)) as file:
        file.writelines([b"new", "text"])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with replaced(str(tmp_path / "link")) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_the_umask_is_respected(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_proof(str(tmp_path / "p"), b"x")
    finally:
        os.umask(old)
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["none/p.car", "."])
def test_where_nothing_can_be_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        write_proof(str(tmp_path / name), b"x")
    assert list(tmp_path.iterdir()) == []
