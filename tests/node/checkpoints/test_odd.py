"""Files of odd commits: how many are open, and what a damaged one does to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dkg.errors import StoreError
from dkg.page import Leaf, cid_of, cid_text
from node.checkpoints import odd
from node.checkpoints.odd import ODD, OddCommits

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [Leaf([b"%d" % at * 9]).encode() for at in range(9)]
ROOT_PAGES = [b"%d" % at for at in range(9)]
ROOTS = [cid_of(raw) for raw in ROOT_PAGES]


def opened(folder: Path) -> OddCommits:
    commits = OddCommits(folder)
    for root_page, raw in zip(ROOT_PAGES, PAGES, strict=True):
        commits.keep(cid_of(root_page), [(cid_of(one), one) for one in (root_page, raw)])
    return commits


def test_any_number_of_odd_commits_takes_no_more_open_files_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd, "FILES_MAX", 3)
    commits = opened(tmp_path)
    for _ in range(2):
        assert [commits.page(cid_of(raw)) for raw in PAGES] == PAGES
        assert commits.page(cid_of(b"none")) is None
    assert len(commits._open) == 3
    commits.close()


@pytest.mark.parametrize("damage", ["cut", "cut between pages", "page"])
def test_a_damaged_file_of_an_odd_commit_is_not_read_and_hides_no_other(tmp_path: Path, damage: str) -> None:
    commits = opened(tmp_path)
    path = tmp_path / ODD / f"{cid_text(ROOTS[4])}.car"
    raw = path.read_bytes()
    block = len(cid_of(b"")) + len(ROOT_PAGES[4]) + 1
    cut = {"cut": raw[:-1], "cut between pages": raw[:-block], "page": raw.replace(PAGES[4], PAGES[3])}
    path.write_bytes(cut[damage])
    with pytest.raises(StoreError):
        commits.get(ROOTS[4], cid_of(PAGES[4]))
    assert not commits.has(ROOTS[4])  # so that it is fetched again
    assert not path.exists()
    assert [commits.page(cid_of(raw)) for raw in PAGES] == [*PAGES[:4], None, *PAGES[5:]]
    commits.close()


def test_a_file_that_is_none_of_an_odd_commit_does_not_keep_a_node_from_starting(tmp_path: Path) -> None:
    (tmp_path / ODD).mkdir()
    (tmp_path / ODD / "mine.car").write_bytes(b"")
    commits = OddCommits(tmp_path)
    assert commits.roots == set()
    assert (tmp_path / ODD / "mine.car").exists()
