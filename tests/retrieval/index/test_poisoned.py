"""A directory of an index in which somebody, or a fault, changed rows: it is built anew, and questions are answered."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from retrieval.index import KnowledgeIndex, schema
from retrieval.pipeline import Retriever
from retrieval.reading import Reader
from tests.retrieval.family import family, iri, snapshot

if TYPE_CHECKING:
    from pathlib import Path

SNAPSHOT = snapshot(family())


def answer(directory: Path) -> list[bytes]:
    with KnowledgeIndex.open(directory, [SNAPSHOT]) as index:
        context = Retriever(Reader([SNAPSHOT]), index).retrieve("Who is the spouse of Ada Lovelace?")
    return [fact.statement.object for fact in context.facts]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE terms SET term = 'x' || id",
        "DELETE FROM terms",
        "UPDATE terms SET id = id + 2000000000",
        "UPDATE terms SET id = -id - 1",
        "DELETE FROM relations",
        "UPDATE relations SET id = id + 1000",
        "UPDATE names SET node = 99999",
        "UPDATE names SET node = -1",
        "UPDATE names SET node = 'abc'",
        "UPDATE names SET kind = 99",
        "UPDATE names SET norm = x'ff00'",
        "DELETE FROM names",
        "DELETE FROM names_fts",
        "DROP TABLE names",
        "DROP TABLE texts",
        "UPDATE arrays SET data = x'', crc = 0",
        "UPDATE arrays SET data = x'00', crc = 3523407757",
        "DELETE FROM arrays",
    ],
)
def test_an_index_whose_rows_do_not_belong_together_is_built_anew(tmp_path: Path, change: str) -> None:
    assert answer(tmp_path) == [iri("william")]
    db = sqlite3.connect(tmp_path / schema.FILE)
    try:
        db.execute(change)
        db.commit()
    finally:
        db.close()
    assert answer(tmp_path) == [iri("william")]


def test_a_whole_index_is_not_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answer(tmp_path) == [iri("william")]
    monkeypatch.setattr(KnowledgeIndex, "build", None)
    assert answer(tmp_path) == [iri("william")]
