"""`dkg verify --private`: a proof over a private part, from the publisher's public root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dkg
from dkg.client.cli import main
from dkg.private import COMMITMENT, Opening, commitment, commitment_iri, commitment_query, private_graph
from tests.dkg.test_private import AIR, QUERY, WATER, Shown, private, salt, shown

Capture = pytest.CaptureFixture[str]


class Files:
    """What a reader has been given."""

    def __init__(self, folder: Path, one: Shown) -> None:
        store = dkg.MemoryPageStore()
        term = f"<{commitment_iri(commitment(AIR, one.opening))}>".encode()
        root = dkg.build([[(AIR.graph, COMMITMENT, term, AIR.provenance_graph)]], store)
        self.root = dkg.root_text(root)
        self.public, self.private, self.opening = (str(folder / name) for name in ("public.car", "p.car", "opening"))
        Path(self.public).write_bytes(dkg.prove(store, root, commitment_query(AIR)).car)
        Path(self.private).write_bytes(one.car)
        Path(self.opening).write_text(one.opening.text + "\n")

    def verify(self, *more: str) -> int:
        return main(["verify", self.private, "--root", self.root, *more, QUERY])

    def all(self, ual: object = AIR) -> tuple[str, ...]:
        return "--private", str(ual), "--opening", self.opening, "--commitment", self.public


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path, shown())


def test_a_private_answer_is_verified_from_the_public_root(files: Files, capsys: Capture) -> None:
    assert files.verify(*files.all(), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verified"], found["rows"]) == (True, 1)
    assert found["root"] == dkg.root_text(private(AIR, "here")[1])


def test_a_private_proof_is_no_proof_under_the_public_root(files: Files, capsys: Capture) -> None:
    assert files.verify() == 2
    assert "here" not in capsys.readouterr().out


@pytest.mark.parametrize("opening", [Opening(salt(9), shown().opening.root), shown(WATER, number=2).opening])
def test_a_wrong_opening_is_refused(files: Files, capsys: Capture, opening: Opening) -> None:
    Path(files.opening).write_text(opening.text)
    assert files.verify(*files.all()) == 2
    out, err = capsys.readouterr()
    assert (out, "does not open" in err) == ("", True)
    assert opening.text not in err


def test_the_commitment_of_another_asset_is_refused(files: Files) -> None:
    assert files.verify(*files.all(WATER)) == 2


@pytest.mark.parametrize("text", ["", "no opening", "A" * 90, "A" * 2_000])
def test_what_is_no_opening_is_told_and_not_shown(files: Files, capsys: Capture, text: str) -> None:
    Path(files.opening).write_text(text)
    assert files.verify(*files.all()) == 1
    assert "AAAA" not in capsys.readouterr().err


def test_what_is_needed_is_told(files: Files, capsys: Capture) -> None:
    assert files.verify("--private", str(AIR)) == 1
    assert "--opening and --commitment" in capsys.readouterr().err
    assert files.verify("--private", "air", "--opening", files.opening, "--commitment", files.public) == 1
    assert private_graph(AIR).decode() not in capsys.readouterr().err
