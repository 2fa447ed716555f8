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
ROOTS = [cid_of(b"%d" % at) for at in range(9)]


def opened(folder: Path) -> OddCommits:
    commits = OddCommits(folder)
    for root, raw in zip(ROOTS, PAGES, strict=True):
        commits.keep(root, [(cid_of(raw), raw)])
    return commits


def test_any_number_of_odd_commits_takes_no_more_open_files_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd, "FILES_MAX", 3)
    commits = opened(tmp_path)
    for _ in range(2):
        assert [commits.page(cid_of(raw)) for raw in PAGES] == PAGES
        assert commits.page(ROOTS[0]) is None
    assert len(commits._open) == 3
    commits.close()


@pytest.mark.parametrize("damage", ["cut", "page"])
def test_a_damaged_file_of_an_odd_commit_is_not_read_and_hides_no_other(tmp_path: Path, damage: str) -> None:
    commits = opened(tmp_path)
    path = tmp_path / ODD / f"{cid_text(ROOTS[4])}.car"
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] if damage == "cut" else raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(StoreError):
        commits.get(ROOTS[4], cid_of(PAGES[4]))
    assert not commits.has(ROOTS[4])  # so that it is fetched again
    assert not path.exists()
    assert [commits.page(cid_of(raw)) for raw in PAGES] == [*PAGES[:4], None, *PAGES[5:]]
    commits.close()
