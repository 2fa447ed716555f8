"""The vault: what is kept survives, what is damaged is noticed, and what another process grants counts at once."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from dkg.car import read_car
from dkg.errors import LimitError, StoreError
from dkg.private import commitment, private_graph
from node.assets.errors import AssetError
from node.private import packed, vault
from node.private.packed import PRIVATE_QUADS_MAX, PrivateDataset, private_dataset
from node.private.vault import Vault
from tests.node.http.conftest import Clock
from tests.node.http.world import publisher, ual

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dkg.terms import Quad

AIR, DIARY = ual(0, "air"), ual(0, "diary")
READER, OTHER = b"\x01" * 20, b"\x02" * 20


def quads(count: int = 3, asset: bytes | None = None) -> list[Quad]:
    graph = private_graph(AIR) if asset is None else asset
    return [(b"<https://e.org/s>", b"<https://e.org/p>", b'"%06d"' % number, graph) for number in range(count)]


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)


@pytest.fixture
def kept(tmp_path: Path, clock: Clock) -> Iterator[Vault]:
    with closing(Vault(tmp_path, clock)) as made:
        yield made


def test_what_is_staged_and_granted_is_there_after_a_restart(kept: Vault, clock: Clock, tmp_path: Path) -> None:
    version = kept.stage(AIR, private_dataset(AIR, quads()))
    kept.grant(READER, str(AIR))
    kept.revoke(OTHER, str(AIR))
    kept.mark_seen(version.commitment)
    key = kept.keyed(b"x")
    with closing(Vault(tmp_path, clock)) as again:
        found = again.version(version.commitment)
        assert found is not None
        assert (found.ual, found.root, found.count, found.seen) == (str(AIR), version.root, 3, 1_800_000_000)
        assert sorted(again.load(found).quads()) == quads()
        assert again.may_read(READER, AIR)
        assert not again.may_read(OTHER, AIR)
        assert again.keyed(b"x") == key


def test_the_salt_is_new_for_each_version_and_the_commitment_opens(kept: Vault) -> None:
    dataset = private_dataset(AIR, quads())
    found = [kept.stage(AIR, dataset) for _ in range(3)]
    assert len({one.salt for one in found}) == len({one.commitment for one in found}) == 3
    assert all(commitment(AIR, one.opening) == one.commitment for one in found)


def test_only_the_owner_may_look_into_it(kept: Vault) -> None:
    kept.stage(AIR, private_dataset(AIR, quads()))
    assert stat.S_IMODE(kept.directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.directory.glob("*.part")} == {0o600}


@pytest.mark.parametrize("whose", [str(AIR), publisher(0).prefix])
def test_a_grant_is_for_one_address_and_ends_when_it_is_revoked(kept: Vault, whose: str) -> None:
    assert not kept.may_read(READER, AIR)
    kept.grant(READER, whose)
    assert kept.may_read(READER, AIR)
    assert kept.may_read(READER, DIARY) is (whose != str(AIR))
    assert not kept.may_read(READER, ual(1, "air"))
    assert not kept.may_read(OTHER, AIR)
    assert kept.revoke(READER, whose)
    assert not kept.may_read(READER, AIR)
    assert not kept.revoke(READER, whose)


def test_a_grant_of_one_name_is_none_of_a_longer_one(kept: Vault) -> None:
    kept.grant(READER, str(AIR))
    assert not kept.may_read(READER, ual(0, "air2"))
    assert not kept.may_read(READER, ual(0, "ai"))


def test_the_publisher_reads_its_own_and_nobody_elses(kept: Vault) -> None:
    assert kept.may_read(publisher(0).address, AIR)
    assert not kept.may_read(publisher(1).address, AIR)


def test_what_another_process_grants_and_revokes_counts_at_once(kept: Vault, clock: Clock, tmp_path: Path) -> None:
    with closing(Vault(tmp_path, clock)) as other:
        other.grant(READER, str(AIR))
        assert kept.may_read(READER, AIR)
        version = other.stage(AIR, private_dataset(AIR, quads()))
        assert kept.version(version.commitment) == version
        kept.revoke(READER, str(AIR))
        assert not other.may_read(READER, AIR)
        assert other.grants() == []


def test_who_may_read_what_is_told_by_name(kept: Vault) -> None:
    kept.stage(AIR, private_dataset(AIR, quads()))
    kept.stage(DIARY, private_dataset(DIARY, quads(asset=private_graph(DIARY))))
    assert kept.readable(READER) == []
    assert not kept.reads_anything(READER)
    kept.grant(READER, str(DIARY))
    assert kept.readable(READER) == [DIARY]
    assert kept.reads_anything(READER)
    assert kept.readable(publisher(0).address) == [AIR, DIARY]
    assert kept.reads_anything(publisher(0).address)


# --- damage ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_damaged_is_not_read_and_nothing_of_it_is_told(
    kept: Vault, clock: Clock, tmp_path: Path
) -> None:
    version = kept.stage(AIR, private_dataset(AIR, quads()))
    (path,) = kept.directory.glob("*.part")
    data = path.read_bytes()
    for at in range(0, len(data), 11):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        with closing(Vault(tmp_path, clock)) as again, pytest.raises(StoreError) as caught:
            again.load(version)
        assert "000001" not in str(caught.value)
        assert "bafy" not in str(caught.value)
    path.unlink()
    with closing(Vault(tmp_path, clock)) as again, pytest.raises(StoreError, match="cannot be read"):
        again.load(version)


@pytest.mark.parametrize("column", ["ual", "salt", "root"])
def test_a_row_that_is_damaged_is_not_read(tmp_path: Path, clock: Clock, column: str) -> None:
    with closing(Vault(tmp_path, clock)) as made:
        made.stage(AIR, private_dataset(AIR, quads()))
    with closing(sqlite3.connect(tmp_path / "private" / "private.db")) as db:
        db.execute(f"UPDATE versions SET {column}=zeroblob(32)")
        db.commit()
    with pytest.raises(StoreError, match="learned again from nobody"):
        Vault(tmp_path, clock)


def test_a_grant_that_was_written_into_the_file_is_noticed(tmp_path: Path, clock: Clock) -> None:
    Vault(tmp_path, clock).close()
    with closing(sqlite3.connect(tmp_path / "private" / "private.db")) as db:
        db.execute("INSERT INTO grants VALUES (?, ?, 1, zeroblob(16))", (READER, str(AIR)))
        db.commit()
    with pytest.raises(StoreError, match="damaged"):
        Vault(tmp_path, clock)


def test_a_file_whose_row_never_came_is_removed_when_the_next_process_starts(
    kept: Vault, clock: Clock, tmp_path: Path
) -> None:
    version = kept.stage(AIR, private_dataset(AIR, quads()))
    orphans = [kept.directory / name for name in ("00" * 32 + ".part", "11" * 32 + ".new")]
    for orphan in orphans:
        orphan.write_bytes(b"x")
        os.utime(orphan, (clock.now - 7_200, clock.now - 7_200))
    young = kept.directory / ("22" * 32 + ".part")
    young.write_bytes(b"x")
    os.utime(young, (clock.now - 60, clock.now - 60))
    with closing(Vault(tmp_path, clock)) as again:
        assert not any(orphan.exists() for orphan in orphans)
        assert young.exists()
        assert again.load(version).count == 3


def test_private_parts_are_not_thrown_away_because_what_names_them_was_lost(tmp_path: Path, clock: Clock) -> None:
    with closing(Vault(tmp_path, clock)) as first:
        version = first.stage(AIR, private_dataset(AIR, quads()))
        part = first.directory / f"{version.commitment.hex()}.part"
    before = part.read_bytes()
    os.utime(part, (clock.now - 7_200, clock.now - 7_200))
    moved = [path.rename(tmp_path / path.name) for path in part.parent.glob("private.db*")]
    for _ in range(2):
        with pytest.raises(StoreError, match=r"has 1 private parts, and private\.db knows of none: it was lost"):
            Vault(tmp_path, clock)
    assert part.read_bytes() == before
    for path in moved:
        path.rename(part.parent / path.name)
    for path in part.parent.glob("private.db-*"):  # of the one that was made meanwhile
        if path.name not in {one.name for one in moved}:
            path.unlink()
    with closing(Vault(tmp_path, clock)) as again:
        assert again.load(version).count == 3


# --- limits ------------------------------------------------------------------------------------------------------


def test_one_grant_more_than_there_may_be_is_refused(kept: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "GRANTS_MAX", 2)
    kept.grant(READER, str(AIR))
    kept.grant(OTHER, str(AIR))
    with pytest.raises(LimitError, match="2 grants"):
        kept.grant(READER, str(DIARY))
    assert kept.grant(READER, str(AIR)).reader == READER  # it is there already
    assert len(kept.grants()) == 2


def test_one_private_part_more_than_there_may_be_is_refused(kept: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "VERSIONS_MAX", 1)
    kept.stage(AIR, private_dataset(AIR, quads()))
    with pytest.raises(LimitError, match="1 private parts"):
        kept.stage(AIR, private_dataset(AIR, quads(4)))


def test_private_parts_that_are_larger_than_they_may_be_are_refused(
    kept: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = private_dataset(AIR, quads())
    size = kept.stage(AIR, dataset).size
    monkeypatch.setattr(vault, "VAULT_BYTES_MAX", 2 * size)
    kept.stage(AIR, dataset)
    with pytest.raises(LimitError, match="bytes"):
        kept.stage(AIR, dataset)


def test_a_private_part_has_so_many_quads_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PRIVATE_QUADS_MAX == 50_000
    monkeypatch.setattr(packed, "PRIVATE_QUADS_MAX", 5)
    assert private_dataset(AIR, quads(5)).count == 5
    with pytest.raises(LimitError, match="5 quads"):
        private_dataset(AIR, quads(6))


def test_a_private_part_has_so_many_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = private_dataset(AIR, quads())
    size = sum(map(len, read_car(made.car, made.root, 100).values()))
    monkeypatch.setattr(packed, "PRIVATE_BYTES_MAX", size)
    assert private_dataset(AIR, quads()).root == made.root
    monkeypatch.setattr(packed, "PRIVATE_BYTES_MAX", size - 1)
    with pytest.raises(LimitError, match="bytes"):
        private_dataset(AIR, quads())


@pytest.mark.parametrize("graph", [AIR.graph, AIR.provenance_graph, private_graph(DIARY), b"<https://e.org/g>"])
def test_a_private_quad_in_another_graph_is_refused(graph: bytes) -> None:
    with pytest.raises(AssetError, match="another graph"):
        private_dataset(AIR, [*quads(), *quads(1, graph)])
    with pytest.raises(AssetError, match="no triples"):
        private_dataset(AIR, [])


def test_a_packed_part_is_that_of_its_root_alone() -> None:
    one, other = private_dataset(AIR, quads()), private_dataset(AIR, quads(4))
    assert PrivateDataset.unpack(one.pack(), one.root) == one
    with pytest.raises(Exception, match="for root"):
        PrivateDataset.unpack(one.pack(), other.root)
    assert "000001" not in repr(one)
