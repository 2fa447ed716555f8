from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import pyoxigraph
import pytest

import dkg
from bench import data, questions
from bench.subject import rows_of
from dkg.sparql.syntax import parse

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"point", "absence", "star", "snowflake", "cycle", "path", "aggregate", "count", "join", "scattered"}
KINDS |= {"optional", "negation", "limit", "range", "union", "sub-select"}
SETS = sorted(folder.name for folder in questions.FOLDER.iterdir())


def lines_of(data_set: str) -> list[str]:
    """What the questions are about, and little else."""
    if data_set == "university":
        return list(data._Department(27).lines())
    return list(chain.from_iterable(data._product(number) for number in (1, 2, 1234, *range(1540, 1560))))


@pytest.mark.parametrize("data_set", SETS)
def test_every_question_says_what_it_is_and_is_understood_whole(data_set: str) -> None:
    found = questions.of(data_set)
    assert len(found) >= 10
    for question in found:
        assert question.kind in KINDS, question.name
        assert question.asks
        parsed = parse(question.text)
        assert parsed.whole is None, question.name


def test_between_them_the_questions_are_of_every_kind() -> None:
    for data_set in ("university", "shop", "hpo"):
        kinds = {question.kind for question in questions.of(data_set)}
        assert {"point", "absence", "star", "aggregate", "count", "optional", "negation", "limit", "range"} <= kinds
        assert {"snowflake", "cycle", "union", "sub-select"} <= kinds


@pytest.mark.parametrize("data_set", ["shop", "university"])
def test_proved_answers_are_those_of_the_engine(data_set: str) -> None:
    text = "\n".join(lines_of(data_set)).encode()
    engine = pyoxigraph.Store()
    engine.load(text, format=pyoxigraph.RdfFormat.N_QUADS)
    pages = dkg.MemoryPageStore()
    root = dkg.build(dkg.load(text, format="nq"), pages)
    for question in questions.of(data_set):
        proof = dkg.prove(pages, root, question.text)
        verified = rows_of(dkg.verify(proof.car, question.text, root))
        found = engine.query(question.text, use_default_graph_as_union=True)
        assert isinstance(found, pyoxigraph.QuerySolutions)
        expected = [tuple(row) for row in found]
        if question.kind == "limit":
            assert len(verified) == len(expected)
        else:
            assert Counter(verified) == Counter(expected), question.name


def test_a_file_that_does_not_say_what_it_is_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mute.rq"
    for text in ("SELECT * { ?s ?p ?o }", "# no kind\nSELECT * { ?s ?p ?o }"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="must begin with a line such as"):
            questions.read(path)
