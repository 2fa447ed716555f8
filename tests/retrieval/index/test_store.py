from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dkg.errors import StoreError
from dkg.pages import MemoryPageStore, StoredPages
from retrieval.embed import StaticEmbedder
from retrieval.index import KnowledgeIndex, filling, schema
from tests.retrieval.family import ALIAS, GRAPH, LABEL, family, iri, snapshot
from tests.retrieval.index.dumped import dumped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dkg.terms import Quad


def test_it_holds_every_triple_in_both_directions() -> None:
    quads = family()
    with KnowledgeIndex.build([snapshot(quads)]) as index:
        found = dumped(index)
    triples = {quad[:3] for quad in quads}
    assert found.out == found.back == triples
    assert found.edges == {(*triple, 1) for triple in triples}


def test_things_are_found_by_label_alias_and_last_part_of_the_iri() -> None:
    with KnowledgeIndex.build([snapshot(family())]) as index:
        named = index.called(["adalovelace", "countessoflovelace", "адалавлеис", "wilfrid", "ada"])
        terms = {name: [index.terms([node])[node] for _, node in held] for name, held in named.items()}
        assert terms["adalovelace"] == terms["countessoflovelace"] == terms["адалавлеис"] == [iri("ada")]
        assert terms["wilfrid"] == [iri("wilfrid")]
        assert "ada" not in terms  # it has a label, so its IRI is no name


def test_the_text_of_a_literal_is_found_and_that_of_a_label_is_only_a_name() -> None:
    with KnowledgeIndex.build([snapshot(family())]) as index:
        (found,) = index.with_words(["thames"], 10)
        assert index.terms([found.node])[found.node].startswith(b'"The capital')
        assert all(index.terms([n.node])[n.node][:1] == b"<" for n in index.with_words(["lovelace"], 10))


def test_a_triple_of_two_publishers_stays_until_both_have_taken_it_back() -> None:
    quad = (iri("a"), iri("knows"), iri("b"), GRAPH)
    other = (iri("a"), iri("knows"), iri("c"), GRAPH)
    one, two = snapshot([quad, other], "one"), snapshot([quad], "two")
    less = snapshot([other], "one")
    with KnowledgeIndex.build([one, two]) as index:
        index.move([one, two], [less, two])
        assert dumped(index).out == {quad[:3], other[:3]}
        index.move([less, two], [less])
        assert dumped(index).out == {other[:3]}
        assert index.node(iri("b")) is None


def test_what_is_taken_back_is_gone_from_every_part() -> None:
    quads = family()
    rest = [quad for quad in quads if iri("byron") not in quad]
    old, new = snapshot(quads), snapshot(rest)
    with KnowledgeIndex.build([old]) as index:
        node = index.node(iri("byron"))
        assert node is not None
        index.move([old], [new])
        assert index.node(iri("byron")) is None
        assert index.called(["lordbyron"]) == {}
        assert [n.norm for n in index.with_words(["lord", "byron"], 10)] == ["anne isabella noel byron"]
        assert "lord" not in index.vocabulary.names
        assert index.edges.runs(node, back=True) == []
        assert iri("placeOfDeath") not in index.relations.terms.values()
        assert dumped(index) == dumped(KnowledgeIndex.build([new]))


def test_a_label_that_goes_leaves_the_last_part_of_the_iri() -> None:
    quads = family()
    rest = [quad for quad in quads if quad[:2] != (iri("london"), LABEL)]
    old, new = snapshot(quads), snapshot(rest)
    with KnowledgeIndex.build([old]) as index:
        index.move([old], [new])
        assert [kind for kind, _ in index.called(["london"])["london"]] == [schema.LOCAL]
        index.move([new], [old])
        assert [kind for kind, _ in index.called(["london"])["london"]] == [schema.LABEL]


def test_only_graphs_that_count_are_in_it() -> None:
    mine = (iri("a"), iri("knows"), iri("b"), b"<https://example.org/mine/1>")
    foreign = (iri("a"), iri("knows"), iri("c"), b"<https://example.org/foreign>")
    whole = snapshot([mine, foreign])
    part = replace(whole, only=b"<https://example.org/mine/")
    with KnowledgeIndex.build([part]) as index:
        assert dumped(index).out == {mine[:3]}
        index.move([part], [whole])
        assert dumped(index).out == {mine[:3], foreign[:3]}
        index.move([whole], [part])
        assert dumped(index) == dumped(KnowledgeIndex.build([part]))


def test_labels_are_those_of_the_language_that_is_asked_for() -> None:
    with KnowledgeIndex.build([snapshot(family())]) as index:
        assert index.label_statements([iri("london")])[iri("london")].object == b'"London"@en'
        assert index.label_statements([iri("london")], "fr")[iri("london")].object == b'"Londres"@fr'
        assert index.label_statements([iri("wilfrid"), b'"x"', iri("nobody")]) == {}


def test_relations_are_called_by_their_labels_and_otherwise_by_their_iris() -> None:
    with KnowledgeIndex.build([snapshot(family())]) as index:
        texts = {term: index.relations.texts[number] for number, term in index.relations.terms.items()}
        assert texts[iri("profession")] == ("profession", "Beruf")
        assert texts[iri("placeOfBirth")] == ("place Of Birth",)


def test_an_index_of_other_snapshots_does_not_move() -> None:
    one, two = snapshot(family()), snapshot(family()[:5])
    with KnowledgeIndex.build([one]) as index:
        before = dumped(index)
        with pytest.raises(StoreError, match="other snapshots"):
            index.move([two], [one])
        assert dumped(index) == before


def test_a_move_that_cannot_read_its_pages_changes_nothing() -> None:
    old = snapshot(family())
    new = snapshot([*family(), (iri("new"), LABEL, b'"New"', GRAPH)])
    empty = replace(new, pages=StoredPages(MemoryPageStore()))
    with KnowledgeIndex.build([old]) as index:
        before = dumped(index)
        with pytest.raises(StoreError):
            index.move([old], [empty])
        assert dumped(index) == before
        index.move([old], [new])
        assert index.called(["new"])


def test_a_directory_keeps_it_and_follows_it(tmp_path: Path) -> None:
    old = snapshot(family())
    new = snapshot([*family(), (iri("anne"), ALIAS, b'"Lady Anne"', GRAPH)])
    with KnowledgeIndex.open(tmp_path, [old]) as index:
        index.move([old], [new])
        expected = dumped(index)
    number = (tmp_path / schema.FILE).stat().st_ino
    with KnowledgeIndex.open(tmp_path, [new]) as index:
        assert dumped(index) == expected == dumped(KnowledgeIndex.build([new]))
    assert (tmp_path / schema.FILE).stat().st_ino == number  # it was opened, not built
    with KnowledgeIndex.open(tmp_path, [old]) as index:
        assert dumped(index) == dumped(KnowledgeIndex.build([old]))
    assert (tmp_path / schema.FILE).stat().st_ino != number
    assert [path.name for path in tmp_path.iterdir()] == [schema.FILE]


def _cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


def _other_version(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("UPDATE meta SET value = replace(value, ?, ?)", (f"[{schema.VERSION},", "[999,"))
    db.close()


def _wrong_edges(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("UPDATE arrays SET data = zeroblob(length(data))")
    db.close()


def _no_edges(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("DELETE FROM arrays")
    db.close()


def _no_tables(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE other (x)")
    db.close()


def _noise(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 64)


@pytest.mark.parametrize("damage", [_cut, _other_version, _wrong_edges, _no_edges, _no_tables, _noise])
def test_a_damaged_index_is_built_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    of = snapshot(family())
    KnowledgeIndex.build([of], directory=tmp_path).close()
    damage(tmp_path / schema.FILE)
    with KnowledgeIndex.open(tmp_path, [of]) as index:
        assert dumped(index) == dumped(KnowledgeIndex.build([of]))


def test_an_index_that_was_not_finished_is_built_over(tmp_path: Path) -> None:
    (tmp_path / f"{schema.FILE}.new").write_bytes(b"half")
    with KnowledgeIndex.open(tmp_path, [snapshot(family())]) as index:
        assert index.called(["lordbyron"])


def test_a_directory_that_cannot_be_is_an_error_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="cannot write the index"):
        KnowledgeIndex.build([snapshot(family())], directory=tmp_path / "file")


def test_an_empty_dataset_has_an_empty_index() -> None:
    empty: list[Quad] = []
    old, new = snapshot(empty), snapshot(family())
    with KnowledgeIndex.build([old]) as index:
        assert dumped(index).out == set()
        assert index.with_words(["ada"], 10) == []
        index.move([old], [new])
        assert dumped(index) == dumped(KnowledgeIndex.build([new]))
        index.move([new], [old])
        assert dumped(index).terms == set()


def test_words_of_the_full_text_language_are_words(tmp_path: Path) -> None:
    with KnowledgeIndex.open(tmp_path, [snapshot(family())]) as index:
        assert index.with_words(["not", "and", "near", 'lo"ve*'], 10) == []


# --- by meaning ---------------------------------------------------------------------------------------------------

ABOUT = iri("about")


def _said(*texts: str) -> list[Quad]:
    return [(iri(f"thing{n}"), ABOUT, f'"{text}"'.encode(), GRAPH) for n, text in enumerate(texts)]


def test_a_text_is_found_by_what_it_means_until_it_is_taken_back(tmp_path: Path) -> None:
    embedder = StaticEmbedder()
    cat, rates = "the small cat sleeps on a sofa", "interest rates of the central bank rise"
    old, new = snapshot(_said(cat, rates, "a cat")), snapshot(_said(rates))
    with KnowledgeIndex.open(tmp_path, [old], embedder) as index:
        node, near = index.meaning("a kitten naps on the couch", 5)[0]
        assert index.terms([node])[node] == f'"{cat}"'.encode()
        assert near > 0.3
        assert len(dumped(index).texts) == 2  # two words are found as words
        index.move([old], [new])
        assert dumped(index).texts == {f'"{rates}"'.encode()}
        assert node not in {found for found, _ in index.meaning("a kitten naps on the couch", 5)}
    with KnowledgeIndex.open(tmp_path, [new], embedder) as index:
        assert dumped(index) == dumped(KnowledgeIndex.build([new], embedder))


def test_an_index_of_another_embedder_is_built_anew(tmp_path: Path) -> None:
    of = snapshot(_said("the small cat sleeps on a sofa"))
    KnowledgeIndex.open(tmp_path, [of], StaticEmbedder()).close()
    with KnowledgeIndex.open(tmp_path, [of]) as index:
        assert index.meaning("cat", 5) == []


def test_only_so_many_texts_are_found_by_what_they_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "TEXTS_MAX", 2)
    texts = [f"sentence number {n} of several" for n in range(4)]
    with KnowledgeIndex.build([snapshot(_said(*texts))], StaticEmbedder()) as index:
        assert len(dumped(index).texts) == 2
        assert len(index.with_words(["several"], 10)) == 4
